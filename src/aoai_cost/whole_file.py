"""A file that appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file beside its place and rename it; on any failure what was there is as it was.

    A link is followed, and what is there and no file (a pipe, a device) is written to.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        # Renaming over it would put a file in the place of a pipe, or of /dev/null for all the machine.
        target.write_bytes(data)
        return
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        error.filename = os.fspath(path)  # not that of the file beside it, which nobody asked for
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read; this one gets what the user's umask grants.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
