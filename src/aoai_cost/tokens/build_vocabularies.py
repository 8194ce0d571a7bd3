"""Make the packaged vocabularies from the official files: ``python -m aoai_cost.tokens.build_vocabularies FOLDER``."""

from __future__ import annotations

import hashlib
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path

from ..errors import VocabularyError
from .vocabulary import HEADER, HOLE, MAGIC, OFFICIAL_DIGESTS, packaged_path

__all__ = ["list_merges", "official_name", "pack_official", "read_official"]

# What `aoai_cost._fast.bpe` holds: a pair of ids and the id of its merge in one word, and a token in one array.
MAX_IDS = (1 << 18) - 1
MAX_TOKEN_BYTES = 128


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
    merges = list_merges(read_official(name, path))
    source = bytes.fromhex(OFFICIAL_DIGESTS[name])
    n_ids = 256 + (len(merges) - 256) // 6
    return HEADER.pack(MAGIC, n_ids, source, hashlib.sha256(merges).digest()) + merges


def list_merges(ids: Mapping[bytes, int]) -> bytes:
    """Return the merges of a vocabulary, given the ids of its tokens, as `aoai_cost._fast.bpe.Vocabulary` takes them.

    Raises
    ------
    ValueError
        If merges alone do not tell the vocabulary: the first 256 ids are not the single bytes, two tokens have
        one id, an id or a token is too long, or a token is not made by its own merges.

    Examples
    --------
    >>> list_merges({**{bytes([byte]): byte for byte in range(256)}, b"01": 256})[256:].strip(b"\\0")
    b'0\\x00\\x001'
    """
    tokens = {number: token for token, number in ids.items()}
    n_ids = max(tokens, default=0) + 1
    if len(tokens) != len(ids) or min(tokens, default=0) < 0 or n_ids > MAX_IDS:
        raise ValueError(f"{len(ids)} tokens with {len(tokens)} ids up to {n_ids - 1}")
    if any(len(tokens.get(number, b"")) != 1 for number in range(256)):
        raise ValueError("the first 256 ids are not those of the single bytes")
    if not 0 < min(map(len, ids)) <= max(map(len, ids)) <= MAX_TOKEN_BYTES:
        raise ValueError(f"a token is empty or has more than {MAX_TOKEN_BYTES} bytes")
    parts = [_parts(ids, tokens[number]) if number in tokens else (HOLE, HOLE) for number in range(256, n_ids)]
    planes = [bytes(pair[side] >> shift & 0xFF for pair in parts) for side in (0, 1) for shift in (0, 8, 16)]
    return b"".join(tokens[number] for number in range(256)) + b"".join(planes)


def official_name(ids: Mapping[bytes, int]) -> str | None:
    """Return the name of the official vocabulary that has exactly these tokens, or None."""
    digest = hashlib.sha256()
    for token, number in sorted(ids.items(), key=itemgetter(1)):
        digest.update(b64encode(token) + b" %d\n" % number)
    return next((name for name, official in OFFICIAL_DIGESTS.items() if official == digest.hexdigest()), None)


def _parts(ids: Mapping[bytes, int], token: bytes) -> tuple[int, int]:
    """Return the ids of the two tokens that are merged last into `token`."""
    cuts = list(range(len(token) + 1))
    ranks = [ids.get(token[i : i + 2], HOLE) for i in range(len(token) - 1)]
    while len(ranks) > 1:
        # Merging the bytes of a token never reaches past it, so the token itself is the last merge.
        rank = min(ranks)
        if rank == HOLE:
            raise ValueError(f"token {token!r} is not made by its own merges")
        at = ranks.index(rank)
        del ranks[at], cuts[at + 1]
        if at > 0:
            ranks[at - 1] = ids.get(token[cuts[at - 1] : cuts[at + 1]], HOLE)
        if at < len(ranks):
            ranks[at] = ids.get(token[cuts[at] : cuts[at + 2]], HOLE)
    return ids[token[: cuts[1]]], ids[token[cuts[1] :]]


def main(folder: Path) -> None:
    """Write the packaged form of every official file in `folder`."""
    for name in OFFICIAL_DIGESTS:
        packaged_path(name).write_bytes(pack_official(name, folder / f"{name}.tiktoken"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
