"""What one process of the table measures: one tokenizer, one text, one shape of answer.

A process of its own, because the first pass of a tokenizer over anything can be had only once. Times are CPU seconds
of the whole process, so threads that a tokenizer starts unasked are counted.
"""

from __future__ import annotations

import gc
import json
import sys
from collections import deque
from pathlib import Path
from time import process_time
from typing import Any

import peers

MOST_BYTES = 1_200_000
REPEATS = 5
REPEAT_S = 0.1
HELLO = "Hello, how are you?"
SMALL = {"19 bytes": 19, "100 characters": 100, "1,000 characters": 1_000}
# Where tokenizers part: Unicode versions, folded contractions, blanks, digits, special tokens as text.
TRAPS = [
    "",
    HELLO,
    "I'LL we'Ve they'RE don't 'S",
    " I'\u017f T'\u017f x'\u017f\u017f",  # the long s is an s to a pattern that ignores case
    "\u088f's \u0c5c's \ua7ce's \U00032992's a\U000323b0b",  # letters since Unicode 17
    "a  b   \t c \n\n  \r\n x \n \n y\u00a0\u3000\u2003z   ",
    "\u180e\u200b\u2028 \x1c\x1d\x85 \ufeff",
    "1234567 12 \u0661\u0662\u0663\u0664 \u2167\u2168 \u00bd\u00be",
    "<|endoftext|> <|think|> <|fim_prefix|> <|im_start|>",
    "camelCaseHTTPServer \u01c5\u01c8 \u1e9e\u00df \u02b0\u02b1 e\u0301\u0301 \u0915\u094d\u0937",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "//////****====----....\n\n\n/// ==\r\n" + "=" * 300 + " " * 300 + "ab" * 300,
]


def read_parts(path: Path) -> tuple[Any, Any]:
    """Return two parts of a corpus that share no line: each a text, or, of a ``.jsonl`` file, a list of texts."""
    data = path.read_bytes()
    half = min(len(data) // 2, MOST_BYTES)
    cut = data.rfind(b"\n", 0, half) + 1 or half
    parts = (data[:cut].decode(errors="ignore"), data[cut : cut + MOST_BYTES].decode(errors="ignore"))
    if path.suffix != ".jsonl":
        return parts
    first, rest = ([_text(line) for line in part.split("\n") if line] for part in parts)
    return first, rest


def _text(line: str) -> str:
    """Return the string that a line of JSON is, or the line itself."""
    try:
        value = json.loads(line)
    except ValueError:
        return line
    return value if isinstance(value, str) else line


def seconds(call: peers.Call, given: Any) -> float:
    started = process_time()
    call(given)
    return process_time() - started


def passes(call: peers.Call, first: Any, rest: Any) -> dict[str, float]:
    """Return the first pass over a text, the first over another, and the best of more over that other."""
    cold, fresh = seconds(call, first), seconds(call, rest)
    warm = [seconds(call, rest) for _ in range(REPEATS)]
    while sum(warm) < REPEAT_S:
        warm.append(seconds(call, rest))
    return {"cold": cold, "fresh": fresh, "warm": min(warm)}


def small_calls(call: peers.Call, text: str) -> dict[str, float]:
    """Return the seconds of one call over short texts, after a warming on others: equal ones of 19 bytes, else all
    different."""
    found = {}
    for name, size in SMALL.items():
        texts = [text[i : i + size] for i in range(0, min(len(text) - size, 2_000 * size), size)]
        if size == len(HELLO):
            texts = [HELLO.encode().decode() for _ in range(20_000)]
        n = len(texts) // 4
        deque(map(call, texts[:n]), 0)
        found[name] = seconds(lambda many: deque(map(call, many), 0), texts[n:]) / len(texts[n:])
    return found


def differences(calls: peers.Calls, reference: peers.Calls, paths: list[Path]) -> dict[str, list[str]]:
    """Return what a tokenizer answers otherwise than the reference, by text."""
    found = {"traps": [wrong for text in TRAPS for wrong in _wrong(calls.one, reference.lists, text)]}
    for path in paths:
        many = path.suffix == ".jsonl"
        ask, expect = (calls.many, reference.many("lists")) if many else (calls.one, reference.lists)
        found[path.stem] = [wrong for part in read_parts(path) for wrong in _wrong(ask, expect, part)]
    return {name: wrong for name, wrong in found.items() if wrong}


def _wrong(ask: Any, expect: Any, given: Any) -> list[str]:
    """Return in one line, or none, which shapes of an answer are wrong, and the last of them beside what it must be."""
    lists = expect(given)
    counts = [len(lists)] if isinstance(given, str) else [len(ids) for ids in lists]
    shapes: list[str] = []
    last = ""
    for shape in peers.SHAPES:
        call = ask(shape)
        if call is None:
            continue
        want = counts if shape == "count" else peers.numbers(lists)
        try:
            got = peers.numbers(call(given))
        except Exception as error:  # noqa: BLE001  (a peer may raise anything)
            shapes, last = [*shapes, shape], f"{error!r:.100}"
            continue
        if got != want:
            at = next((i for i, pair in enumerate(zip(got, want, strict=False)) if pair[0] != pair[1]), len(want))
            shapes, last = [*shapes, shape], f"{got[at : at + 3]} where tiktoken has {want[at : at + 3]}, from {at:,}"
    shown = ascii(given[:40]) if isinstance(given, str) else f"{len(given):,} texts"
    return [f"{', '.join(shapes)} of {shown}: {last}"] if shapes else []


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do what the table asks of one process: ``check``, ``text``, ``small`` or ``once``."""
    folder, encoding, paths = Path(job["folder"]), job["encoding"], [Path(path) for path in job["paths"]]
    started = process_time()
    calls = peers.TOKENIZERS[job["tokenizer"]](encoding, folder)
    (calls.count or calls.lists)("x")
    load = process_time() - started
    if job["what"] == "check":
        shapes = [shape for shape in peers.SHAPES if calls.one(shape)]
        return {"shapes": shapes, "differences": differences(calls, peers.load_tiktoken(encoding, folder), paths)}
    first, rest = read_parts(paths[0])
    call = (calls.one if isinstance(first, str) else calls.many)(job["shape"])
    assert call is not None
    if job["what"] == "once":
        call(first)
        return {"bytes": len(first.encode())}
    call("x" if isinstance(first, str) else ["x"])  # numpy and the like, which some import only now
    gc.disable()
    return {"load": load, **(small_calls(call, first) if job["what"] == "small" else passes(call, first, rest))}


if __name__ == "__main__":
    print(json.dumps(work(json.loads(sys.argv[1]))))
