"""Campaigns: the rows of a customer's file become messages, each of them once."""
