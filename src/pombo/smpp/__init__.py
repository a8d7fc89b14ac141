"""SMPP 3.4 without IO: octets in, events out. Time is an argument."""
