"""Accounts, tokens, secrets and credits."""
