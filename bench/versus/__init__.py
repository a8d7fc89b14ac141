"""Pombo and Kannel side by side: `python -m bench.versus`, or `make bench`."""
