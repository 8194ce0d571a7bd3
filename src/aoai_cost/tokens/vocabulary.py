"""Where vocabularies come from: the packaged ones, their form and how they are loaded; tiktoken for all others.

A vocabulary travels as its list of merges: of every token, the ids of the two parts it is merged from.
That is all there is to know, since every token is spelled by its parts, and it is what merging needs; no
merge has to be found again when it is loaded. A file is

====== ============================================================================
bytes  what
====== ============================================================================
8      ``aoaivoc1``
4      how many ids follow, little-endian
32     SHA-256 of the official file it was made from
32     SHA-256 of all that follows
256    the bytes of the ids 0-255
6 x m  id of the left and of the right part of each further id, 24 bits each, as
       six planes of m bytes; all ones for an id that no token has
====== ============================================================================

`build_vocabularies` makes these files from the official ones.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import VocabularyError

__all__ = [
    "HEADER",
    "HOLE",
    "MAGIC",
    "OFFICIAL_DIGESTS",
    "ask_tiktoken",
    "load_merges",
    "make_tiktoken",
    "packaged_path",
]

# SHA-256 of the official files, as tiktoken_ext/openai_public.py states them.
OFFICIAL_DIGESTS = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "p50k_base": "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    "r50k_base": "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
}

MAGIC = b"aoaivoc1"
HEADER = struct.Struct("<8sI32s32s")
HOLE = 0xFFFFFF


def packaged_path(name: str) -> Path:
    """Return where the packaged form of a vocabulary stands."""
    return Path(__file__).with_name("vocab") / f"{name}.bin"


def load_merges(name: str, path: Path | None = None) -> bytes:
    """Return the merges of a packaged vocabulary, as `aoai_cost._fast.bpe.Vocabulary` takes them.

    Raises
    ------
    VocabularyError
        If the file is absent, damaged, or not made from the official one.

    Examples
    --------
    >>> len(load_merges("r50k_base"))
    300256
    """
    path = packaged_path(name) if path is None else path
    try:
        with path.open("rb", buffering=0) as file:
            header, merges = file.read(HEADER.size), file.read()
    except OSError as error:
        raise VocabularyError(
            name, str(path), f"cannot be read ({error.strerror}); install the package again"
        ) from None
    if len(header) < HEADER.size:
        raise VocabularyError(name, str(path), "is cut short; install the package again")
    magic, n_ids, source, digest = HEADER.unpack(header)
    if magic != MAGIC:
        raise VocabularyError(name, str(path), "is not a packaged vocabulary; install the package again")
    if source.hex() != OFFICIAL_DIGESTS.get(name):
        raise VocabularyError(name, str(path), "is made from another file than the official one")
    if len(merges) != 256 + 6 * (n_ids - 256) or hashlib.sha256(merges).digest() != digest:
        raise VocabularyError(name, str(path), "is damaged; install the package again")
    return merges


def make_tiktoken(
    name: str, pat_str: str, mergeable_ranks: Mapping[bytes, int], special_tokens: Mapping[str, int]
) -> Any:
    """Return a ``tiktoken.Encoding``; what tiktoken refuses raises what tiktoken raises."""
    import tiktoken  # only what cannot be compiled pays for it

    return tiktoken.Encoding(
        name, pat_str=pat_str, mergeable_ranks=dict(mergeable_ranks), special_tokens=dict(special_tokens)
    )


def ask_tiktoken(special_tokens: Mapping[str, int]) -> tuple[frozenset[str], dict[int, str]]:
    """Return the special tokens that tiktoken never finds in a text, and the text it decodes each id to.

    Where several special tokens start at one place, tiktoken takes the one that comes first in the order of a
    hash table of its own; so a token is found nowhere if one that it starts with comes before it. Of the texts of
    one id it decodes to the last in that order. The order depends on the texts and on the order they are given in,
    and nothing but tiktoken tells it. Special tokens that cannot be raise what tiktoken raises.

    Examples
    --------
    >>> hidden, texts = ask_tiktoken({"<a>": 300, "<b>": 301})
    >>> hidden, texts
    (frozenset(), {300: '<a>', 301: '<b>'})
    """
    numbered = {special: 256 + i for i, special in enumerate(special_tokens)}
    finds = make_tiktoken("finds", ".", {bytes([byte]): byte for byte in range(256)}, numbered)
    hidden = (special for special in numbered if finds.encode(special, allowed_special="all")[0] != numbered[special])
    numbers = set(special_tokens.values())
    unused = next(number for number in count() if number not in numbers)
    shown = make_tiktoken("shown", ".", {b"x": unused}, special_tokens)
    return frozenset(hidden), {number: shown.decode([number]) for number in numbers}
