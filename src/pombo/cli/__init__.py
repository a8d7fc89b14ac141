"""The command line: `pombo …`."""

from pombo.cli.program import main

__all__ = ["main"]
