"""Differential fuzzing of the encodings against tiktoken: at random by structure, or guided by coverage.

``python tests/fuzz_tokens.py --seconds 60 --seed 1`` draws texts at random. ``--corpus FOLDER`` lets atheris guide it
instead, over kernels built with AOAI_COST_FUZZED=1; `make fuzz` does both. A text that was found belongs into the table
of ``tests/tokens/test_found.py``; ``--show FILE`` prints the text of what atheris has kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random

from random_texts import ALPHABETS, KINDS, bytes_of_text, random_text, text_of_bytes
from reference_tokens import tiktoken_encoding

from aoai_cost import get_encoding
from aoai_cost.tokens.encoding import ENCODING_NAMES

# A longer text is checked with one vocabulary, so that other texts get their turn.
LONG_TEXT = 1_000


class Difference(AssertionError):  # noqa: N818  (it is what was looked for, not a fault of the search)
    """An encoding whose answer is not tiktoken's: ``.name``, ``.what``, ``.text``."""

    def __init__(self, name: str, what: str, text: str) -> None:
        super().__init__(name, what, text)
        self.name, self.what, self.text = name, what, text

    def __str__(self) -> str:
        shown = ascii(self.text) if len(self.text) <= LONG_TEXT else f"{self.text[:LONG_TEXT]!a}... ({len(self.text)})"
        return f'{self.what} of {self.name} differs from tiktoken\n    pytest.param({shown}, id="..."),'


@cache
def names_alike() -> dict[str, list[str]]:
    """Return the encodings by the first of them that has the same ranks and pattern: ordinary ids are the same."""
    found: dict[tuple[object, ...], list[str]] = {}
    for name in ENCODING_NAMES:
        theirs = tiktoken_encoding(name)
        found.setdefault((theirs._pat_str, tuple(theirs._mergeable_ranks.items())), []).append(name)
    return {names[0]: names for names in found.values()}


def utf8_of(text: str) -> bytes:
    """Return the bytes that tiktoken encodes: pairs of surrogates are joined, lone ones are U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def differences(name: str, text: str, expected: Sequence[int]) -> Iterator[str]:
    """Name each answer of an encoding that is not what it must be, given the ordinary ids."""
    ours, theirs = get_encoding(name), tiktoken_encoding(name)
    if ours.count(text) != len(expected):
        yield "count"
    if ours.encode_ordinary(text) != expected:
        yield "encode_ordinary"
    if ours.count_batch([text, "", text]).tolist() != [len(expected), 0, len(expected)]:
        yield "count_batch"
    ids, offsets = ours.encode_flat(["", text])
    if ids.tolist() != expected or offsets.tolist() != [0, 0, len(expected)]:
        yield "encode_flat"
    if ours.decode_bytes(expected) != utf8_of(text):
        yield "decode"
    if "<|" in text:
        with_specials = theirs.encode(text, allowed_special="all")
        if ours.encode(text, allowed_special="all") != with_specials:
            yield "encode with special tokens"
        if ours.decode_bytes(with_specials) != theirs.decode_bytes(with_specials):
            yield "decode with special tokens"


def answer(name: str, text: str) -> list[int] | None:
    """Return the ordinary ids by tiktoken; None where it gives up, as it does on very long runs of blanks."""
    try:
        return tiktoken_encoding(name).encode_ordinary(text)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # which is no Exception
            raise
        return None


def check(text: str) -> int:
    """Compare every encoding that could differ with tiktoken; a long text takes a vocabulary that its length chooses.

    Returns how often tiktoken itself had no answer; then ours must only have one.

    Raises
    ------
    Difference
        At the first answer that differs.
    """
    groups = list(names_alike().items())
    if len(text) > LONG_TEXT:
        groups = [groups[len(text) % len(groups)]]
    unanswered = 0
    for first, names in groups:
        expected = answer(first, text)
        if expected is None:
            unanswered += 1
            if get_encoding(first).decode(get_encoding(first).encode_ordinary(text)).encode() != utf8_of(text):
                raise Difference(first, "decode without an answer of tiktoken", text)
            continue
        # What is alike differs in special tokens alone.
        for name in names if "<|" in text else names[:1]:
            for what in differences(name, text, expected):
                raise Difference(name, what, text)
    return unanswered


def differs(text: str, *, name: str, what: str) -> bool:
    """Tell whether an encoding still has this fault on a text."""
    expected = answer(name, text)
    return expected is not None and what in differences(name, text, expected)


def shrink(text: str, fails: Callable[[str], bool]) -> str:
    """Return a shorter text that still fails, none of whose characters can be left out."""
    size = len(text) // 2
    while size:
        start = 0
        while start < len(text):
            shorter = text[:start] + text[start + size :]
            if fails(shorter):
                text = shorter
            else:
                start += size
        size //= 2
    return text


def check_and_shrink(text: str) -> int:
    """Compare as `check` does; the text of what is raised is as short as it gets."""
    try:
        return check(text)
    except Difference as found:
        fails = partial(differs, name=found.name, what=found.what)
        raise Difference(found.name, found.what, shrink(text, fails)) from None


def fuzz_at_random(seed: int, keep_on: Callable[[int], bool]) -> Counter[str]:
    """Check texts at random for as long as `keep_on` says, given how many there were; return what was checked."""
    random = Random(seed)
    done: Counter[str] = Counter()
    while keep_on(done["texts"]):
        text = random_text(random)
        unanswered = check_and_shrink(text)
        done.update(texts=1, characters=len(text), special=int("<|" in text), surrogate=int(not _is_utf8(text)))
        done.update(unanswered=unanswered)
    return done


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def write_seeds(folder: Path, *, seed: int) -> None:
    """Write texts for atheris to begin with: a few of every kind, and every sharp fragment around a word."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(seed)
    seeds = {f"{kind.__name__}-{i}": kind(random)[:60] for kind in KINDS for i in range(20)}
    for name, alphabet in ALPHABETS.items():
        seeds |= {f"{name}-{i}": f"{fragment}word{fragment}" for i, fragment in enumerate(dict.fromkeys(alphabet))}
    for name, text in seeds.items():
        (folder / f"seed-{name}").write_bytes(bytes_of_text(text))


def kernels() -> list[Path]:
    """Return the files of the compiled modules that are in use."""
    files = [
        getattr(module, "__file__", None) for name, module in sys.modules.items() if name.startswith("aoai_cost._fast.")
    ]
    return [Path(file) for file in files if file and file.endswith(".so")]


def fuzz_by_coverage(corpus: Path, *, seconds: int, seed: int) -> None:
    """Let atheris make texts of bytes until the time is over; ends the process."""
    for kernel in kernels():
        # atheris would go on all the same, blindly: millions of texts, and nothing found.
        if b"__sanitizer_cov" not in kernel.read_bytes():
            sys.exit(f"{kernel} is not built for fuzzing: run `make fuzz`")
    import atheris  # only this way of fuzzing needs it

    write_seeds(corpus, seed=seed)
    finds = corpus.with_name("finds")
    finds.mkdir(exist_ok=True)
    check("warm up: load every vocabulary before the clock of a single text runs")
    options = [
        f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=128", "-timeout=60", "-rss_limit_mb=8192",
        f"-artifact_prefix={finds}/", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: check_and_shrink(text_of_bytes(data)) and None)
    atheris.Fuzz()


def main() -> None:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="fuzz by coverage, keeping what reaches new code in this folder")
    parser.add_argument("--show", type=Path, help="print the text of a file that atheris has kept, and end")
    options = parser.parse_args()
    if options.show:
        print(ascii(text_of_bytes(options.show.read_bytes())))
        return
    print(f"seed {options.seed}, {options.seconds} s", flush=True)
    if options.corpus:
        fuzz_by_coverage(options.corpus, seconds=options.seconds, seed=options.seed)
        return
    end = time.monotonic() + options.seconds
    try:
        done = fuzz_at_random(options.seed, lambda texts: time.monotonic() < end)
    except Difference as found:
        sys.exit(str(found))
    print(", ".join(f"{count:,} {what}" for what, count in done.items()) + ": no difference")


if __name__ == "__main__":
    main()
