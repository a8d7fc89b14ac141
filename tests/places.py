"""Where tests keep data directories."""

import os
import shutil
import tempfile
from pathlib import Path

_ROOM_OCTETS = 4 * 2**30
_MEMORY = Path("/dev/shm")


def new_directory(prefix: str = "pombo-test-") -> Path:
    """A directory that every user reaches: PostgreSQL does not run as root, and pytest's own only root may enter.

    In memory, where there is a file system with room there: a thousand new databases and their flushes keep a slow disk
    busy for minutes, and tests wait for it.
    """
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if _has_room() else None))
    path.chmod(0o755)
    return path


def _has_room() -> bool:
    try:
        return shutil.disk_usage(_MEMORY).free > _ROOM_OCTETS and os.access(_MEMORY, os.W_OK)
    except OSError:
        return False
