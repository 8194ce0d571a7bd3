"""Make the packaged vocabularies from the official files: ``python -m aoai_cost.tokens.build_vocabularies FOLDER``."""

from __future__ import annotations

import hashlib
import sys
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

from ..errors import VocabularyError
from .vocabulary import HEADER, HOLE, MAGIC, OFFICIAL_DIGESTS, packaged_path

__all__ = ["pack_official", "read_official"]


def read_official(name: str, path: Path) -> dict[bytes, int]:
    """Return the ids of the tokens in an official ``.tiktoken`` file.

    Raises
    ------
    VocabularyError
        If the file is absent, or its digest is not the one that tiktoken publishes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VocabularyError(name, str(path), f"cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != OFFICIAL_DIGESTS.get(name):
        raise VocabularyError(name, str(path), "is not the file that tiktoken publishes: its SHA-256 differs")
    return {b64decode(token): int(number) for token, number in map(bytes.split, content.splitlines())}


def pack_official(name: str, path: Path) -> bytes:
    """Return the packaged form of an official ``.tiktoken`` file; the same bytes every time.

    Raises
    ------
    VocabularyError
        If the file is absent or not the official one.
    """
    ids = read_official(name, path)
    tokens = {number: token for token, number in ids.items()}
    n_ids = max(tokens) + 1
    parts = [_parts(ids, tokens[number]) if number in tokens else (HOLE, HOLE) for number in range(256, n_ids)]
    planes = [bytes(pair[side] >> shift & 0xFF for pair in parts) for side in (0, 1) for shift in (0, 8, 16)]
    merges = b"".join(tokens[number] for number in range(256)) + b"".join(planes)
    source = bytes.fromhex(OFFICIAL_DIGESTS[name])
    return HEADER.pack(MAGIC, n_ids, source, hashlib.sha256(merges).digest()) + merges


def _parts(ids: Mapping[bytes, int], token: bytes) -> tuple[int, int]:
    """Return the ids of the two tokens that are merged last into `token`."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        # Merging the bytes of a token never reaches past it, so the token itself is the last merge.
        rank, at = min((ids.get(parts[i] + parts[i + 1], HOLE), i) for i in range(len(parts) - 1))
        if rank == HOLE:
            raise ValueError(f"token {token!r} is not made by its own merges")
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return ids[parts[0]], ids[parts[1]]


def main(folder: Path) -> None:
    """Write the packaged form of every official file in `folder`."""
    for name in OFFICIAL_DIGESTS:
        packaged_path(name).write_bytes(pack_official(name, folder / f"{name}.tiktoken"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
