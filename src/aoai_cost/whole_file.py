"""A file that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_whole", "write_whole"]


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file as `open_whole` does, of which all is known.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    with open_whole(path) as file:
        file.write(data)


@contextmanager
def open_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file beside its place and rename it at the end; on any failure what was there is as it was.

    A link is followed, and what is there and no file (a pipe, a device) is written to.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    target = _behind_links(path)
    if target.exists() and not target.is_file():
        # Renaming over it would put a file in the place of a pipe, or of /dev/null for all the machine.
        with target.open("wb") as opened:
            yield opened
        return
    temporary = target.with_name(f".{target.name[:64]}.{secrets.token_hex(8)}")
    # A report gets what the user's umask grants, and keeps what somebody gave the file that it replaces.
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        error.filename = os.fspath(path)  # not that of the file beside it, which nobody asked for
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _behind_links(path: str | os.PathLike[str]) -> Path:
    in_a_circle = OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    try:
        target = Path(path).resolve()
    except RuntimeError:  # Python before 3.13
        raise in_a_circle from None
    if target.is_symlink():  # from 3.13 on a circle is followed until it closes
        raise in_a_circle
    return target
