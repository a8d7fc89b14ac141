"""Pombo, an SMS gateway: HTTP in, SMPP 3.4 out, receipts and replies back."""

__version__ = "0.1.0"
