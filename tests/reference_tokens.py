"""Slow and obvious twins of the tokenizer, and tiktoken itself over the packaged vocabularies."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import Any

import tiktoken
from tiktoken_ext import openai_public

from aoai_cost.tokens import get_encoding

BYTE_RANKS = {bytes([byte]): byte for byte in range(256)}


@cache
def packaged_ranks(name: str) -> dict[bytes, int]:
    """Return token -> id of a packaged vocabulary, special tokens left out."""
    encoding = get_encoding(name)
    ids = (i for i in range(encoding.n_vocab) if not encoding.is_special_token(i))
    ranks = {}
    for number in ids:
        try:
            ranks[encoding.decode_single_token_bytes(number)] = number
        except KeyError:
            continue  # a hole: an id that no token has
    return ranks


def official_file(name: str) -> bytes:
    """Return what the official ``.tiktoken`` file must hold if the packaged vocabulary is right."""
    return b"".join(b64encode(token) + b" %d\n" % number for token, number in packaged_ranks(name).items())


@cache
def tiktoken_encoding(name: str) -> tiktoken.Encoding:
    """Return tiktoken's own encoding, made by tiktoken's own code, its downloads answered from the package.

    The ranks are those of the package, whose digests `test_vocabulary.py` proves; the pattern and the
    special tokens are tiktoken's.
    """
    with _no_downloads():
        arguments: dict[str, Any] = openai_public.ENCODING_CONSTRUCTORS[name]()
    return tiktoken.Encoding(**arguments)


class _no_downloads:  # noqa: N801  (it reads as a statement)
    def __enter__(self) -> None:
        self.kept = openai_public.load_tiktoken_bpe, openai_public.data_gym_to_mergeable_bpe_ranks
        openai_public.load_tiktoken_bpe = lambda path, expected_hash=None: packaged_ranks(
            path.rpartition("/")[2].removesuffix(".tiktoken")
        )
        # The original GPT-2 files list the tokens of r50k_base under other names; the ids are the same.
        openai_public.data_gym_to_mergeable_bpe_ranks = lambda **files: packaged_ranks("r50k_base")

    def __exit__(self, *error: object) -> None:
        openai_public.load_tiktoken_bpe, openai_public.data_gym_to_mergeable_bpe_ranks = self.kept


def pieces_by_tiktoken(pattern: str, text: str) -> list[str]:
    """Return the exact pieces that a pattern cuts a short text into, by tiktoken's own engine.

    Every part of the text is made a token, so a whole piece is always one token.
    """
    data = text.encode()
    ranks = dict(BYTE_RANKS)
    for length in range(2, len(data) + 1):
        for start in range(len(data) - length + 1):
            ranks.setdefault(data[start : start + length], len(ranks))
    oracle = tiktoken.Encoding(name="pieces", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return [oracle.decode_single_token_bytes(token).decode() for token in oracle.encode_ordinary(text)]


def merge_piece(ranks: dict[bytes, int], piece: bytes) -> list[int]:
    """Merge the bytes of one piece as byte-pair encoding is defined: the lowest rank first, of equals the leftmost."""
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        known = [(ranks[parts[i] + parts[i + 1]], i) for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in ranks]
        if not known:
            return [ranks[part] for part in parts]
        at = min(known)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
