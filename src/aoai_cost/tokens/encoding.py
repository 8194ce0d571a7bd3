"""Encodings: texts to tokens and back, with the answers and the special-token rules of tiktoken."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from .._fast.bpe import Counts, Vocabulary
from .._fast.split import FAMILIES
from ..errors import UnknownNameError, VocabularyError
from .vocabulary import load_merges, packaged_path

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import numpy.typing as npt

__all__ = ["ENCODING_NAMES", "Encoding", "get_encoding"]

_END_OF_TEXT = "<|endoftext|>"
_END_OF_PROMPT = "<|endofprompt|>"
_FILL_IN_THE_MIDDLE = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
_HARMONY = {
    "<|startoftext|>": 199998,
    "<|return|>": 200002,
    "<|constrain|>": 200003,
    "<|channel|>": 200005,
    "<|start|>": 200006,
    "<|end|>": 200007,
    "<|message|>": 200008,
    "<|call|>": 200012,
}

# name -> packaged vocabulary, split pattern, special tokens; as tiktoken_ext/openai_public.py states them.
_ENCODINGS: dict[str, tuple[str, str, dict[str, int]]] = {
    "gpt2": ("r50k_base", "r50k", {_END_OF_TEXT: 50256}),
    "r50k_base": ("r50k_base", "r50k", {_END_OF_TEXT: 50256}),
    "p50k_base": ("p50k_base", "r50k", {_END_OF_TEXT: 50256}),
    "p50k_edit": (
        "p50k_base",
        "r50k",
        {_END_OF_TEXT: 50256, **dict(zip(_FILL_IN_THE_MIDDLE, range(50281, 50284), strict=True))},
    ),
    "cl100k_base": (
        "cl100k_base",
        "cl100k",
        {
            _END_OF_TEXT: 100257,
            **dict(zip(_FILL_IN_THE_MIDDLE, range(100258, 100261), strict=True)),
            _END_OF_PROMPT: 100276,
        },
    ),
    "o200k_base": ("o200k_base", "o200k", {_END_OF_TEXT: 199999, _END_OF_PROMPT: 200018}),
    "o200k_harmony": (
        "o200k_base",
        "o200k",
        {
            **{f"<|reserved_{i}|>": i for i in range(200000, 201088) if i not in _HARMONY.values()},
            **_HARMONY,
            _END_OF_TEXT: 199999,
            # The same id as <|reserved_200018|>; decoding gives the latter, as in tiktoken.
            _END_OF_PROMPT: 200018,
        },
    ),
}
ENCODING_NAMES = tuple(sorted(_ENCODINGS))

_loaded: dict[str, Encoding] = {}
_vocabularies: dict[tuple[str, str], Vocabulary] = {}
_loading = threading.Lock()


def get_encoding(name: str) -> Encoding:
    """Return an encoding by its name; always the same object.

    Raises
    ------
    UnknownNameError
        If there is no encoding of that name.
    VocabularyError
        If its vocabulary is absent or damaged.

    Examples
    --------
    >>> get_encoding("o200k_base").count("hello world")
    2
    """
    found = _loaded.get(name)
    if found is not None:
        return found
    if name not in _ENCODINGS:
        from difflib import get_close_matches  # only an error pays for it

        near = get_close_matches(name[:100], ENCODING_NAMES, cutoff=0.4) or ENCODING_NAMES
        raise UnknownNameError("encoding", name, near)
    file, family, specials = _ENCODINGS[name]
    # One at a time: two threads that want the same vocabulary must not both build it.
    with _loading:
        if name not in _loaded:
            if (file, family) not in _vocabularies:
                _vocabularies[file, family] = _load_vocabulary(file, family)
            _loaded[name] = Encoding(name, _vocabularies[file, family], specials)
        return _loaded[name]


def _load_vocabulary(file: str, family: str) -> Vocabulary:
    merges = load_merges(file)
    try:
        return Vocabulary(merges, FAMILIES[family])
    except ValueError as error:
        raise VocabularyError(file, str(packaged_path(file)), str(error)) from None


class Encoding:
    """One encoding, with the answers of ``tiktoken.Encoding``; made by `get_encoding`.

    An encoding is read-only: any number of threads may share it.

    Attributes
    ----------
    name : str
    backend : str
        ``"compiled"``: this package's own code.
    special_tokens_set : set of str
        The special tokens, such as ``"<|endoftext|>"``.

    Examples
    --------
    >>> encoding = get_encoding("cl100k_base")
    >>> encoding.encode("hello world")
    [15339, 1917]
    >>> encoding.decode([15339, 1917])
    'hello world'
    """

    def __init__(self, name: str, vocabulary: Vocabulary, special_tokens: dict[str, int]) -> None:
        self.name = name
        self.backend = "compiled"
        self.special_tokens_set = set(special_tokens)
        self._vocabulary = vocabulary
        self._specials = special_tokens
        self._special_bytes = {number: token.encode() for token, number in special_tokens.items()}
        self._longest_special = max(map(len, special_tokens))

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return get_encoding, (self.name,)

    @property
    def max_token_value(self) -> int:
        """The greatest id of all tokens, special ones included."""
        return max(self._vocabulary.n_ids - 1, *self._special_bytes)

    @property
    def n_vocab(self) -> int:
        """One more than the greatest id."""
        return self.max_token_value + 1

    @property
    def eot_token(self) -> int:
        """The id of ``<|endoftext|>``."""
        return self._specials[_END_OF_TEXT]

    def is_special_token(self, token: int) -> bool:
        """Tell whether an id is that of a special token."""
        return token in self._special_bytes

    def count(self, text: str) -> int:
        """Count the tokens of a text, as ``len(encode_ordinary(text))`` but without making the ids.

        The text of a special token counts as the ordinary text it is: this is what a service does with
        text in a message, and counting must not fail on what people write.

        Raises
        ------
        TypeError
            If `text` is not a ``str``.

        Examples
        --------
        >>> get_encoding("o200k_base").count("<|endoftext|>")
        7
        """
        return self._vocabulary.count(text)

    def count_batch(self, texts: Iterable[str], *, threads: int = 1) -> npt.NDArray[np.int64]:
        """Count the tokens of many texts.

        Parameters
        ----------
        texts : iterable of str
            A list, a Series, an array: anything that yields ``str``.
        threads : int
            How many threads share the work; the counts do not depend on it.

        Returns
        -------
        ndarray of int64, shape (n,)

        Raises
        ------
        TypeError
            If `texts` is one ``str``, or one of them is not a ``str``.
        ValueError
            If `threads` is less than 1.

        Examples
        --------
        >>> get_encoding("o200k_base").count_batch(["hello world", ""])
        array([2, 0])
        """
        import numpy as np

        listed = _listed(texts)
        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        out = np.zeros(len(listed), dtype=np.int64)
        counts = Counts(self._vocabulary, listed, out)
        if threads == 1 or len(listed) < 2:
            counts.run(0, len(listed))
            return out
        # More parts than threads, so that one part of long texts does not keep the others waiting.
        edges = np.linspace(0, len(listed), min(len(listed), threads * 8) + 1).astype(int).tolist()
        with _threads(threads) as pool:
            try:
                for _ in pool.map(lambda part: counts.run(part[0], part[1], signals=False), pairwise(edges)):
                    pass
            finally:
                # After Ctrl-C the pool waits for its threads: let them return.
                counts.stop()
        return out

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the ids of a text; the text of a special token is ordinary text.

        Raises
        ------
        TypeError
            If `text` is not a ``str``.

        Examples
        --------
        >>> get_encoding("o200k_base").encode_ordinary("hello world")
        [24912, 2375]
        """
        return self._vocabulary.encode(text)

    def encode(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[int]:
        """Return the ids of a text, with tiktoken's rules for special tokens.

        Parameters
        ----------
        text : str
        allowed_special : "all" or set of str
            Special tokens that become their own id where their text stands.
        disallowed_special : "all" or collection of str
            Texts that raise; "all" means every special token that is not allowed. With ``()`` what is
            not allowed is ordinary text.

        Raises
        ------
        ValueError
            If a disallowed text stands in `text`.
        TypeError
            If `text` is not a ``str``, or `allowed_special` not a set.

        Examples
        --------
        >>> get_encoding("cl100k_base").encode("hi<|endoftext|>", allowed_special="all")
        [6151, 100257]
        """
        allowed, disallowed = self._rules(allowed_special, disallowed_special)
        return self._encode(text, allowed, disallowed)

    def encode_batch(
        self,
        texts: Sequence[str],
        *,
        num_threads: int = 8,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[list[int]]:
        """Return the ids of many texts; the rules are those of `encode`.

        Raises
        ------
        TypeError
            If `texts` is one ``str``, or one of them is not a ``str``.
        ValueError
            If a disallowed text stands in one of them, or `num_threads` is less than 1.

        Examples
        --------
        >>> get_encoding("cl100k_base").encode_batch(["hello", "world"])
        [[15339], [14957]]
        """
        allowed, disallowed = self._rules(allowed_special, disallowed_special)
        with _threads(num_threads) as pool:
            return list(pool.map(lambda text: self._encode(text, allowed, disallowed), _listed(texts)))

    def encode_ordinary_batch(self, texts: Sequence[str], *, num_threads: int = 8) -> list[list[int]]:
        """Return the ids of many texts; the text of a special token is ordinary text.

        Raises
        ------
        TypeError
            If `texts` is one ``str``, or one of them is not a ``str``.
        ValueError
            If `num_threads` is less than 1.

        Examples
        --------
        >>> get_encoding("cl100k_base").encode_ordinary_batch(["hello", "world"])
        [[15339], [14957]]
        """
        with _threads(num_threads) as pool:
            return list(pool.map(self._vocabulary.encode, _listed(texts)))

    def encode_flat(self, texts: Iterable[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Return the ids of many texts end to end; the text of a special token is ordinary text.

        Returns
        -------
        ids : ndarray of uint32, shape (total,)
        offsets : ndarray of int64, shape (n + 1,)
            The ids of text i are ``ids[offsets[i] : offsets[i + 1]]``.

        Raises
        ------
        TypeError
            If `texts` is one ``str``, or one of them is not a ``str``.

        Examples
        --------
        >>> ids, offsets = get_encoding("cl100k_base").encode_flat(["hello world", "hi"])
        >>> ids.tolist(), offsets.tolist()
        ([15339, 1917, 6151], [0, 2, 3])
        """
        import numpy as np

        encoded = [self._vocabulary.encode_bytes(text) for text in _listed(texts)]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(ids) // 4 for ids in encoded], out=offsets[1:])
        return np.frombuffer(b"".join(encoded), dtype=np.uint32), offsets

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """Return the id of one token, special or not, given by its text or its bytes.

        Raises
        ------
        KeyError
            If there is no such token.

        Examples
        --------
        >>> get_encoding("r50k_base").encode_single_token("hello")
        31373
        """
        token = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
        found = self._vocabulary.token_id(token)
        if found is None:
            found = next((number for special, number in self._specials.items() if special.encode() == token), None)
        if found is None:
            raise KeyError(token)
        return found

    def decode_bytes(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes of tokens, special ones included.

        Raises
        ------
        KeyError
            If an id is that of no token.
        OverflowError
            If an id does not fit 32 bits without a sign.

        Examples
        --------
        >>> get_encoding("r50k_base").decode_bytes([31373, 995])
        b'hello world'
        """
        given: object = tokens
        if isinstance(given, str) or not hasattr(given, "__getitem__"):
            raise TypeError(f"tokens must be a sequence of int, not {type(tokens).__name__}")
        try:
            return b"".join([self._bytes_of(token) for token in tokens])
        except KeyError as error:
            raise KeyError(f"Invalid token for decoding: {error.args[0]}") from None

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        """Return the text of tokens; bytes that are no UTF-8 are treated as `errors` says.

        Raises
        ------
        KeyError
            If an id is that of no token.
        UnicodeDecodeError
            If `errors` is ``"strict"`` and the bytes are no UTF-8.

        Examples
        --------
        >>> get_encoding("r50k_base").decode([31373, 995])
        'hello world'
        """
        return self.decode_bytes(tokens).decode("utf-8", errors=errors)

    def decode_single_token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token, special or not.

        Raises
        ------
        KeyError
            If the id is that of no token.

        Examples
        --------
        >>> get_encoding("r50k_base").decode_single_token_bytes(31373)
        b'hello'
        """
        try:
            return self._bytes_of(token)
        except KeyError:
            raise KeyError(str(token)) from None

    def decode_tokens_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        """Return the bytes of each token, to show where a text is cut.

        Raises
        ------
        KeyError
            If an id is that of no token.

        Examples
        --------
        >>> get_encoding("r50k_base").decode_tokens_bytes([31373, 995])
        [b'hello', b' world']
        """
        return [self.decode_single_token_bytes(token) for token in tokens]

    def _bytes_of(self, token: int) -> bytes:
        found = self._vocabulary.token_bytes(token)
        return self._special_bytes[token] if found is None else found

    def _rules(
        self, allowed: Literal["all"] | AbstractSet[str], disallowed: Literal["all"] | Collection[str]
    ) -> tuple[AbstractSet[str], frozenset[str]]:
        """Return which special tokens split the text, and which texts raise."""
        if allowed == "all":
            allowed = self.special_tokens_set
        if not isinstance(allowed, AbstractSet):
            raise TypeError(f"allowed_special must be 'all' or a set of str, not {type(allowed).__name__}")
        if disallowed == "all":
            return allowed, frozenset(self.special_tokens_set - allowed)
        return allowed, frozenset(disallowed or ())

    def _encode(self, text: str, allowed: AbstractSet[str], disallowed: frozenset[str]) -> list[int]:
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, not {type(text).__name__}")
        if disallowed:
            self._refuse(text, disallowed)
        if not allowed:
            return self._vocabulary.encode(text)
        ids: list[int] = []
        done = 0
        for start, special in self._specials_in(text):
            # Special texts that are not allowed stay ordinary, and what overlaps them may still be found.
            if special in allowed and start >= done:
                ids += self._vocabulary.encode(text[done:start])
                ids.append(self._specials[special])
                done = start + len(special)
        return ids + self._vocabulary.encode(text[done:]) if ids else self._vocabulary.encode(text)

    def _specials_in(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield where special texts stand, allowed or not, from left to right."""
        # All special tokens are <|...|> with no |> inside, so at most one starts at any place.
        start = text.find("<|")
        while start >= 0:
            # Bounded, or a text of nothing but openings would take quadratic time.
            end = text.find("|>", start + 2, start + self._longest_special)
            if end >= 0 and text[start : end + 2] in self._specials:
                yield start, text[start : end + 2]
            start = text.find("<|", start + 1)

    def _refuse(self, text: str, disallowed: frozenset[str]) -> None:
        """Raise if one of the disallowed texts, which need not be special tokens, stands in the text."""
        found = [(start, special) for start, special in self._specials_in(text) if special in disallowed][:1]
        found += [(text.find(other), other) for other in disallowed - self.special_tokens_set if other in text]
        if found:
            raise ValueError(
                f"Encountered text corresponding to disallowed special token {min(found)[1][:100]!r}.\n"
                "To encode it as a special token, pass it in `allowed_special`; to encode it as ordinary text, "
                "leave it out of `disallowed_special`, or pass `disallowed_special=()` for all special tokens.\n"
            )


def _threads(n: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # only many texts pay for it

    return ThreadPoolExecutor(n)


def _listed(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("texts must be many, not one str")
    return list(texts)
