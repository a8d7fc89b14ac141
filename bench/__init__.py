"""Measurements. Not tests: they print figures and judge nothing."""
