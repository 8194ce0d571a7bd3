"""The tokenizers of the table, each through the fastest calls it has for one thread.

A tokenizer goes by the name of its distribution. Only `write_vocabulary` imports anything but the tokenizer itself, so
that the load time of a process that measures is the tokenizer's own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Call = Callable[[Any], Any]
SHAPES = ("count", "flat", "lists")


@dataclass(frozen=True)
class Calls:
    """What one tokenizer offers, special tokens being ordinary text; None where it has no such call.

    `lists` gives a list of ids, `flat` gives them in one buffer, `count` their number. `batch` holds, by the same
    names, the calls for many texts; where it has none, many texts are a loop over the call for one.
    """

    lists: Call
    flat: Call | None = None
    count: Call | None = None
    batch: dict[str, Call] = field(default_factory=dict)

    def one(self, shape: str) -> Call | None:
        """Return the call of a shape for one text."""
        call: Call | None = getattr(self, shape)
        return call

    def many(self, shape: str) -> Call | None:
        """Return the call of a shape for many texts."""
        call = self.one(shape)
        if shape in self.batch or call is None:
            return self.batch.get(shape)
        return lambda texts: [call(text) for text in texts]


def load_aoai_cost(name: str, folder: Path) -> Calls:
    from aoai_cost import get_encoding

    encoding = get_encoding(name)
    flat = encoding.encode_flat
    return Calls(
        lists=encoding.encode_ordinary,
        flat=lambda text: flat([text]),
        count=encoding.count,
        batch={"count": encoding.count_batch, "flat": flat},
    )


def load_tiktoken(name: str, folder: Path) -> Calls:
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe
    from tiktoken_ext import openai_public

    openai_public.load_tiktoken_bpe = lambda url, expected_hash: load_tiktoken_bpe(
        str(folder / url.rpartition("/")[2]), expected_hash
    )
    encoding = tiktoken.Encoding(**openai_public.ENCODING_CONSTRUCTORS[name]())
    encode, to_numpy = encoding.encode_ordinary, encoding.encode_to_numpy
    return Calls(
        lists=encode,
        flat=lambda text: to_numpy(text, disallowed_special=()),
        # For short texts its lists are faster than its arrays, and a loop faster than its pool of one thread.
        batch={"flat": lambda texts: [encode(text) for text in texts]},
    )


def load_gigatoken(name: str, folder: Path) -> Calls:
    from gigatoken import Tokenizer

    # Without special tokens, because it cannot take their text as ordinary text.
    backend = Tokenizer.from_tiktoken(folder / f"{name}.tiktoken", special_tokens={}).backend
    encode, encode_lists, encode_batch = backend.encode, backend.encode_batch_list, backend.encode_batch
    return Calls(
        lists=lambda text: encode(text).tolist(),
        flat=encode,
        batch={
            "flat": lambda texts: encode_batch(texts, parallel=False),
            "lists": lambda texts: encode_lists(texts, parallel=False),
        },
    )


def load_fastokens(name: str, folder: Path) -> Calls:
    from fastokens import Tokenizer

    tokenizer = Tokenizer.from_tiktoken(str(folder / f"{name}.tiktoken"), encoding=name, special_tokens={})
    encode, encode_flat = tokenizer.encode_ordinary, tokenizer.encode_batch_flat
    return Calls(
        lists=lambda text: encode(text).ids,
        flat=lambda text: encode_flat([text]),
        count=lambda text: len(encode(text)),
        batch={"flat": encode_flat},
    )


def load_snaptokens(name: str, folder: Path) -> Calls:
    from snaptokens import Tokenizer

    # The first load writes its own compiled form beside the file, the later ones read that.
    tokenizer = Tokenizer.from_file(str(folder / f"{name}.json"), tkz_cache=True)
    encode, encode_flat = tokenizer.encode, tokenizer.encode_batch_flat
    return Calls(
        # On long texts its flat ids made a list are sooner there than its list.
        lists=lambda text: encode(text).ids if len(text) < 1_000 else numbers(encode_flat([text])),
        flat=lambda text: encode_flat([text]),
        count=lambda text: len(encode(text)),
        batch={"flat": encode_flat},
    )


def load_toktok(name: str, folder: Path) -> Calls:
    import toktok

    # Its public face has only counts in batches; the object behind it has all calls.
    encoding = toktok._encoding(name)
    return Calls(
        lists=encoding.encode_ordinary,
        flat=lambda text: encoding.encode_batch_to_numpy([text], 1),
        count=encoding.count,
        batch={
            "count": lambda texts: encoding.count_batch(texts, 1),
            "flat": lambda texts: encoding.encode_batch_to_numpy(texts, 1),
        },
    )


def load_quicktok(name: str, folder: Path) -> Calls:
    import quicktok

    encoding = quicktok.get_encoding(name)
    return Calls(
        lists=encoding.encode_ordinary,
        flat=lambda text: encoding.encode_batch([text], 1),
        count=encoding.count,
        batch={"flat": lambda texts: encoding.encode_batch(texts, 1)},
    )


def load_splintr(name: str, folder: Path) -> Calls:
    from splintr import Tokenizer

    tokenizer = Tokenizer.from_pretrained(name)
    encode, encode_flat = tokenizer.encode_ordinary, tokenizer.encode_flat
    return Calls(
        lists=encode,
        # Its flat calls take the text of a special token for the token.
        flat=lambda text: encode(text) if "<|" in text else encode_flat(text),
        batch={"flat": tokenizer.encode_batch_flat},
    )


def load_bpe_openai(name: str, folder: Path) -> Calls:
    from bpe_openai import _bindings

    # Its public face has no count, and refuses more than 200,000 tokens a call.
    tokenizer = _bindings.tokenizer_for_encoding(name)
    return Calls(lists=tokenizer.encode, count=tokenizer.count)


TOKENIZERS: dict[str, Callable[[str, Path], Calls]] = {
    "aoai-cost": load_aoai_cost,
    "tiktoken": load_tiktoken,
    "gigatoken": load_gigatoken,
    "fastokens": load_fastokens,
    "snaptokens": load_snaptokens,
    "toktok-rs": load_toktok,
    "quicktok-v1": load_quicktok,
    "splintr-rs": load_splintr,
    "bpe-openai": load_bpe_openai,
}


def numbers(result: Any) -> list[int]:
    """Return counts or ids as one list, whatever a call has put them in."""
    if isinstance(result, int):
        return [result]
    if isinstance(result, tuple):  # ids, offsets
        return numbers(result[0])
    if isinstance(result, bytes):
        return memoryview(result).cast("I").tolist()
    if hasattr(result, "tolist"):
        return numbers(result.tolist())
    return [number for part in result for number in ((part,) if isinstance(part, int) else numbers(part))]


def write_vocabulary(name: str, folder: Path) -> None:
    """Write a packaged vocabulary as the files the peers want: ``.tiktoken`` and ``tokenizer.json``."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from reference_tokens import official_file, packaged_ranks, tiktoken_encoding

    (folder / f"{name}.tiktoken").write_bytes(official_file(name))
    document = tokenizer_json(packaged_ranks(name), tiktoken_encoding(name)._pat_str)
    (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def tokenizer_json(ranks: dict[bytes, int], pattern: str) -> dict[str, Any]:
    """Return ranks and a split pattern in the form of ``tokenizer.json``."""
    # Bytes that are no visible Latin-1 character are written as the characters from 256 on.
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = iter(range(256, 512))
    letters = [chr(byte if byte in visible else next(hidden)) for byte in range(256)]
    word = {token: "".join(map(letters.__getitem__, token)) for token in ranks}
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        halves = ((token[:i], token[i:]) for i in range(1, len(token)))
        known = [(left, right) for left, right in halves if left in ranks and right in ranks]
        known.sort(key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
        merges += [[word[left], word[right]] for left, right in known]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            # A piece that is a token stays whole, as in tiktoken.
            "ignore_merges": True,
            "vocab": {word[token]: rank for token, rank in ranks.items()},
            "merges": merges,
        },
    }
