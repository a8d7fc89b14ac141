"""Replies (MO): decode them and find the message they answer."""
