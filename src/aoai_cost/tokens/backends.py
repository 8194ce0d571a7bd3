"""What encodes text between special tokens: this package's own kernels, or tiktoken where they cannot.

Both have the same methods, so that nothing above asks which it is.
"""

from __future__ import annotations

import re
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import accumulate, islice, takewhile
from typing import TYPE_CHECKING, Any, Protocol

from .._fast.bpe import Counts, Vocabulary
from .._fast.split import FAMILIES, split_pieces
from ..errors import VocabularyError
from .vocabulary import load_merges, packaged_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["PATTERNS", "Backend", "backend_of", "packaged_backend", "tiktoken_backend"]

# family -> pattern, as tiktoken_ext/openai_public.py states them.
PATTERNS = {
    "r50k": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}

# Earlier spellings of the r50k pattern, in the GPT-2 release and in tiktoken; the pieces are the same.
_R50K_SPELLINGS = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}

# Earlier spellings of the cl100k pattern in tiktoken. They end a piece after the last newline of blanks at the end of a
# text, where the present one takes all blanks as one piece.
_CL100K_SPELLINGS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
}
# A newline and what may begin a run of other blanks to the end: only such a token could reach over that border.
_BLANKS_AFTER_NEWLINE = re.compile(rb"[\r\n][\t\v\f \xc2\xe1\xe2\xe3][^\r\n]*\Z")

_compiled: dict[tuple[str, str], CompiledBackend] = {}
# One thread may come twice: a stream that is collected as garbage while it loads is counted there and then.
_loading = threading.RLock()


class Ordinary(Protocol):
    """The vocabulary of a backend: what `aoai_cost._fast.bpe.Vocabulary` offers."""

    @property
    def n_ids(self) -> int: ...
    def count(self, text: str) -> int: ...
    def count_until(self, text: str, limit: int) -> int | None: ...
    def prefix_length(self, text: str, most: int) -> int: ...
    def encode(self, text: str) -> list[int]: ...
    def encode_bytes(self, text: str) -> bytes: ...
    def encode_flat(self, texts: list[str], offsets: npt.NDArray[np.int64]) -> bytes: ...
    def token_id(self, token: bytes) -> int | None: ...
    def token_bytes(self, token: int) -> bytes | None: ...


class Running(Protocol):
    """A count of many texts: what `aoai_cost._fast.bpe.Counts` offers."""

    def run(self, first: int, last: int) -> None: ...
    def stop(self) -> None: ...


class Backend(Protocol):
    """What an encoding asks of its backend; a text is one without special tokens."""

    name: str
    pat_str: str

    @property
    def vocabulary(self) -> Ordinary:
        """Whole texts, and tokens by id or bytes."""

    @property
    def ranks(self) -> dict[bytes, int]:
        """The id of every token."""

    @property
    def sorted_tokens(self) -> list[bytes]:
        """Every token, in the order of the bytes."""

    def counts(self, texts: tuple[str, ...], out: npt.NDArray[np.int64], edges: list[int] | None = None) -> Running:
        """Prepare to count many texts, or one in the stretches between the edges."""

    def encode_piece(self, piece: bytes) -> list[int]:
        """Return the ids of bytes that are not to be cut into pieces."""

    def encode_utf8(self, data: bytes) -> list[int]:
        """Return the ids of bytes that should be UTF-8."""

    def encode_natively(self, text: str) -> list[int]:
        """Return the ids of a text without surrogates."""

    def complete(self, text: str) -> tuple[list[int], list[list[int]]]:
        """Return the ids that more text cannot change, and the sequences of ids that the rest may become."""


class CompiledBackend:
    """The package's own kernels."""

    name = "compiled"

    def __init__(self, vocabulary: Vocabulary, family: str, pat_str: str) -> None:
        self.vocabulary = vocabulary
        self.pat_str = pat_str
        self._family = family
        self._parts_last_blanks = pat_str in _CL100K_SPELLINGS

    @cached_property
    def ranks(self) -> dict[bytes, int]:
        spelled = ((self.vocabulary.token_bytes(number), number) for number in range(self.vocabulary.n_ids))
        return {token: number for token, number in spelled if token is not None}

    @cached_property
    def sorted_tokens(self) -> list[bytes]:
        return sorted(self.ranks)

    def counts(self, texts: tuple[str, ...], out: npt.NDArray[np.int64], edges: list[int] | None = None) -> Counts:
        return Counts(self.vocabulary, texts, out, None if edges is None else array("q", edges))

    def encode_piece(self, piece: bytes) -> list[int]:
        # Parts by where they start; merges that are possible, the lowest id first, of equals the leftmost.
        rank, n = self.vocabulary.token_id, len(piece)
        end = [*range(1, n + 1), 0]
        before = list(range(-1, n))
        possible = [(found, i, i + 1, i + 2) for i in range(n - 1) if (found := rank(piece[i : i + 2])) is not None]
        heapify(possible)
        while possible:
            _, start, middle, stop = heappop(possible)
            if end[start] != middle or end[middle] != stop:
                continue  # one of the two parts is merged by now
            end[start], end[middle] = stop, -1
            before[stop] = start
            for left, right in ((before[start], start), (start, stop)):
                if left >= 0 and right < n and (found := rank(piece[left : end[right]])) is not None:
                    heappush(possible, (found, left, right, end[right]))
        return [self._id(piece[start : end[start]]) for start in range(n) if end[start] > 0]

    def encode_utf8(self, data: bytes) -> list[int]:
        try:
            return self.vocabulary.encode(data.decode())
        except UnicodeDecodeError as error:
            # What follows may belong to the last piece of what can be read, so that is merged anew with it.
            stable, rest = self._settled(data[: error.start].decode())
            return stable + self.encode_piece(rest + data[error.start :])

    def encode_natively(self, text: str) -> list[int]:
        text.encode()  # a surrogate is an error here
        return self.vocabulary.encode(text)

    def complete(self, text: str) -> tuple[list[int], list[list[int]]]:
        stable, rest = self._settled(text)
        found: set[tuple[int, ...]] = {(self._id(token),) for token in self._starting_with(rest)} if rest else set()
        for i in range(1, len(rest)):
            # A token that begins inside the rest and reaches to its end or over it.
            for token in self._starting_with(rest[i:]):
                found.add(self._covering(self._encode_any(rest[:i] + token), len(rest)))
        last = rest.decode(errors="ignore")[-1:]
        if rest.endswith(last.encode()) and len(last.encode()) < len(rest) and _is_blank(last):
            # A last blank may part from those before it, to stand before the word that follows.
            border = len(rest) - len(last.encode())
            found.add((*self.encode_piece(rest[:border]), *self.encode_piece(rest[border:])))
        return stable, [list(ids) for ids in sorted(found)]

    def _settled(self, text: str) -> tuple[list[int], bytes]:
        """Return the ids before the last piece, and the bytes from there on."""
        last = "".join(split_pieces(text, self._family)[-1:])
        if self._parts_last_blanks:
            last = last[max(last.rfind("\n"), last.rfind("\r")) + 1 :] or last
        ids = self.vocabulary.encode(text)
        at = len(ids) - len(self.vocabulary.encode(last))
        # Blanks before a last piece of blanks may become one piece with it.
        if at < len(ids) and self._is_blank(ids[at]):
            while at and self._is_blank(ids[at - 1]):
                at -= 1
        return ids[:at], b"".join(map(self._bytes, ids[at:]))

    def _starting_with(self, beginning: bytes) -> Iterator[bytes]:
        tokens = self.sorted_tokens
        at = bisect_left(tokens, beginning)
        return takewhile(lambda token: token.startswith(beginning), islice(tokens, at, None))

    def _encode_any(self, data: bytes) -> list[int]:
        try:
            return self.vocabulary.encode(data.decode())
        except UnicodeDecodeError:
            return self.encode_piece(data)

    def _covering(self, ids: list[int], n_bytes: int) -> tuple[int, ...]:
        """Return the first ids that together have at least so many bytes."""
        reached = accumulate(len(self._bytes(number)) for number in ids)
        return tuple(ids[: 1 + sum(1 for _ in takewhile(lambda length: length < n_bytes, reached))])

    def _is_blank(self, number: int) -> bool:
        return not self._bytes(number).strip(b" \n\t")

    def _bytes(self, number: int) -> bytes:
        return self.vocabulary.token_bytes(number) or b""

    def _id(self, token: bytes) -> int:
        found = self.vocabulary.token_id(token)
        if found is None:
            raise KeyError(token)
        return found


class TiktokenBackend:
    """A ``tiktoken.Encoding``; its special tokens are left to the caller."""

    name = "tiktoken"

    def __init__(self, encoding: Any) -> None:
        self.pat_str: str = encoding._pat_str
        self.ranks: dict[bytes, int] = encoding._mergeable_ranks
        self.n_ids = max(self.ranks.values()) + 1
        self._encoding = encoding

    @property
    def vocabulary(self) -> TiktokenBackend:
        return self

    @cached_property
    def sorted_tokens(self) -> list[bytes]:
        return sorted(self.ranks)

    @cached_property
    def _tokens(self) -> dict[int, bytes]:
        return {number: token for token, number in self.ranks.items()}

    def count(self, text: str) -> int:
        return len(self.encode(text))

    def encode(self, text: str) -> list[int]:
        # Not encode_ordinary: where the pattern fails, that raises what no ``except Exception`` catches.
        ids: list[int] = self._encoding.encode(text, disallowed_special=())
        return ids

    def count_until(self, text: str, limit: int) -> int | None:
        n = self.count(text)
        return n if n <= limit else None

    def prefix_length(self, text: str, most: int) -> int:
        ids = self.encode(text)
        if len(ids) <= most:
            return len(text)
        spelled = b"".join(self._tokens[number] for number in ids[:most])
        return len(spelled.decode("utf-8", errors="ignore"))

    def encode_bytes(self, text: str) -> bytes:
        return array("I", self.encode(text)).tobytes()

    def encode_flat(self, texts: list[str], offsets: npt.NDArray[np.int64]) -> bytes:
        encoded = []
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"text {i} is {type(text).__name__}, not str")
            encoded.append(self.encode_bytes(text))
            offsets[i + 1] = offsets[i] + len(encoded[-1]) // 4
        return b"".join(encoded)

    def token_id(self, token: bytes) -> int | None:
        return self.ranks.get(token)

    def token_bytes(self, token: int) -> bytes | None:
        if not 0 <= token < 1 << 32:
            raise OverflowError(f"{token} does not fit 32 bits without a sign")
        return self._tokens.get(token)

    def counts(self, texts: tuple[str, ...], out: npt.NDArray[np.int64], edges: list[int] | None = None) -> Running:
        if edges is not None:
            # An unknown pattern is not known to end a piece there.
            return _Counts(self, (*texts, *[""] * (len(edges) - 2)), out)
        return _Counts(self, texts, out)

    def encode_piece(self, piece: bytes) -> list[int]:
        ids: list[int] = self._encoding._encode_single_piece(piece) if piece else []
        return ids

    def encode_utf8(self, data: bytes) -> list[int]:
        ids: list[int] = self._encoding._encode_bytes(data)
        return ids

    def encode_natively(self, text: str) -> list[int]:
        ids: list[int] = self._encoding._encode_only_native_bpe(text)
        return ids

    def complete(self, text: str) -> tuple[list[int], list[list[int]]]:
        stable, completions = self._encoding.encode_with_unstable(text, disallowed_special=())
        return stable, sorted(completions)


class _Counts:
    """Counts of many texts, one after the other; more threads do not make them faster."""

    def __init__(self, backend: TiktokenBackend, texts: tuple[str, ...], out: npt.NDArray[np.int64]) -> None:
        self._backend, self._texts, self._out = backend, texts, out
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def run(self, first: int, last: int) -> None:
        for i in range(first, last):
            if self._stopped:
                return
            text = self._texts[i]
            if not isinstance(text, str):
                raise TypeError(f"text {i} is {type(text).__name__}, not str")
            self._out[i] = self._backend.count(text)


def packaged_backend(name: str, family: str) -> CompiledBackend:
    """Return the backend of a packaged vocabulary with the pattern of a family; always the same object.

    Raises
    ------
    VocabularyError
        If the vocabulary is absent or damaged.
    """
    # One at a time: two threads that want the same vocabulary must not both build it.
    with _loading:
        if (name, family) not in _compiled:
            merges = load_merges(name)
            try:
                vocabulary = Vocabulary(merges, FAMILIES[family])
            except ValueError as error:
                raise VocabularyError(name, str(packaged_path(name)), str(error)) from None
            _compiled.setdefault((name, family), CompiledBackend(vocabulary, family, PATTERNS[family]))
        return _compiled[name, family]


def backend_of(pat_str: str, ranks: Mapping[bytes, int]) -> CompiledBackend | None:
    """Return the compiled backend of any vocabulary, or None where there can be none.

    The pattern must be that of a family, and the tokens such that their merges alone tell the vocabulary.

    Examples
    --------
    >>> backend_of(r"\\w+", {bytes([byte]): byte for byte in range(256)}) is None
    True
    """
    from .build_vocabularies import list_merges, official_name  # what is packaged needs none of it

    family = _family_of(pat_str, ranks)
    if family is None:
        return None
    name = official_name(ranks)
    if name is not None and pat_str == PATTERNS[family]:
        return packaged_backend(name, family)
    if name is not None:
        return CompiledBackend(packaged_backend(name, family).vocabulary, family, pat_str)
    try:
        return CompiledBackend(Vocabulary(list_merges(ranks), FAMILIES[family]), family, pat_str)
    except ValueError:
        return None


def tiktoken_backend(encoding: Any) -> Backend:
    """Return the backend that asks a ``tiktoken.Encoding``; its special tokens are left to the caller."""
    return TiktokenBackend(encoding)


def _family_of(pat_str: str, ranks: Mapping[bytes, int]) -> str | None:
    """Return the family whose pieces give every text the same ids as those of a pattern."""
    if pat_str in _R50K_SPELLINGS:
        return "r50k"
    if pat_str in _CL100K_SPELLINGS:
        # If no token reaches over the border, one piece has the ids of the two.
        return None if any(map(_BLANKS_AFTER_NEWLINE.search, ranks)) else "cl100k"
    return next((family for family, pattern in PATTERNS.items() if pattern == pat_str), None)


def _is_blank(character: str) -> bool:
    # White_Space of Unicode; Python counts four controls more.
    return character.isspace() and character not in "\x1c\x1d\x1e\x1f"
