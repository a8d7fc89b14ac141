"""Alphabets, splitting and transliteration of message texts, without IO."""
