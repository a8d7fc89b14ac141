"""Delivery receipts: from what operators write to message states."""
