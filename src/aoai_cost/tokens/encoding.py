"""Encodings: texts to tokens and back, with the answers and the special-token rules of tiktoken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import accumulate
from operator import index
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..errors import UnknownNameError
from .backends import Backend, backend_of, packaged_backend, tiktoken_backend
from .specials import SpecialTokens
from .vocabulary import make_tiktoken

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    import numpy.typing as npt

__all__ = ["ENCODING_NAMES", "Encoding", "TokenSplit", "get_encoding", "list_encoding_names"]

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

# Starting threads takes as long as counting so many characters.
_LEAST_STRETCH = 0x20000

_loaded: dict[str, Encoding] = {}


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
    made = Encoding._of(name, packaged_backend(file, family), SpecialTokens(specials))
    return _loaded.setdefault(name, made)


def list_encoding_names() -> list[str]:
    """Return the names that `get_encoding` knows.

    Examples
    --------
    >>> list_encoding_names()[:2]
    ['cl100k_base', 'gpt2']
    """
    return list(ENCODING_NAMES)


class TokenSplit(NamedTuple):
    """The tokens of a text and where they start.

    Attributes
    ----------
    tokens : list of bytes
        Not always UTF-8: a token may be a part of a character. Together they are the text.
    offsets : list of int
        The character of the text in which each token starts. Surrogates that make a pair count as one.
    """

    tokens: list[bytes]
    offsets: list[int]

    def _repr_html_(self) -> str:
        from .. import markup  # a count does without it

        count = markup.element("p", f"{len(self.tokens):,} tokens")
        return markup.element("style", markup.TOKEN_STYLE) + count + markup.tokens(self.tokens)


class Encoding:
    """One encoding, with the methods, answers and errors of ``tiktoken.Encoding``.

    `get_encoding` gives those that are packaged, `Encoding.from_tiktoken` that of any ``tiktoken.Encoding``; made
    directly, an encoding is described as tiktoken describes it. It is read-only: any number of threads may share it.

    Parameters
    ----------
    name : str
    pat_str : str
        The pattern that cuts a text into pieces.
    mergeable_ranks : mapping of bytes to int
        The id of each token; the lower, the earlier it is merged.
    special_tokens : mapping of str to int
        The id of each special token.
    explicit_n_vocab : int, optional
        How many tokens there must be.

    Attributes
    ----------
    name : str
    backend : str
        ``"compiled"``: this package's own code. ``"tiktoken"``: tiktoken, where the pattern is not one of those
        compiled here, or merges alone do not tell the vocabulary.
    special_tokens_set : set of str
        The special tokens, such as ``"<|endoftext|>"``.

    Raises
    ------
    ValueError
        If two tokens have one id, or a special token is empty; for what else cannot be, what tiktoken raises.
    AssertionError
        If the tokens are not `explicit_n_vocab`, with ids up to one less.

    Examples
    --------
    >>> encoding = get_encoding("cl100k_base")
    >>> encoding.encode("hello world")
    [15339, 1917]
    >>> encoding.decode([15339, 1917])
    'hello world'

    A packaged encoding with more special tokens:

    >>> chat = Encoding(
    ...     "cl100k_im",
    ...     pat_str=encoding._pat_str,
    ...     mergeable_ranks=encoding._mergeable_ranks,
    ...     special_tokens={**encoding._special_tokens, "<|im_start|>": 100264},
    ... )
    >>> chat.encode("<|im_start|>hello", allowed_special="all"), chat.backend
    ([100264, 15339], 'compiled')
    """

    def __init__(
        self,
        name: str,
        *,
        pat_str: str,
        mergeable_ranks: Mapping[bytes, int],
        special_tokens: Mapping[str, int],
        explicit_n_vocab: int | None = None,
    ) -> None:
        greatest = max(max(mergeable_ranks.values()), max(special_tokens.values(), default=0))
        n_tokens = len(mergeable_ranks) + len(special_tokens)
        if explicit_n_vocab and not n_tokens == explicit_n_vocab == greatest + 1:
            raise AssertionError(f"{n_tokens} tokens with ids up to {greatest}, not {explicit_n_vocab}")
        if len(set(mergeable_ranks.values())) < len(mergeable_ranks):
            raise ValueError(f"{len(mergeable_ranks)} tokens with {len(set(mergeable_ranks.values()))} ids")
        specials = SpecialTokens.as_tiktoken(special_tokens)
        backend: Backend | None = backend_of(pat_str, mergeable_ranks)
        if backend is None:
            backend = tiktoken_backend(make_tiktoken(name, pat_str, mergeable_ranks, special_tokens))
        self._fill(name, backend, specials)

    @classmethod
    def from_tiktoken(cls, encoding: Any) -> Encoding:
        """Return the encoding that gives the answers of a ``tiktoken.Encoding``.

        Its backend is ``"compiled"`` where that can be: a pattern of the r50k, cl100k or o200k encodings and tokens
        that are made by their own merges, whatever the special tokens. Otherwise it is ``"tiktoken"``: the same
        methods and answers at tiktoken's own speed.

        Parameters
        ----------
        encoding : tiktoken.Encoding

        Raises
        ------
        TypeError
            If `encoding` is no such object.
        ValueError
            If a special token is empty.

        Examples
        --------
        >>> from tiktoken import Encoding as Theirs
        >>> letters = {bytes([byte]): byte for byte in range(256)}
        >>> theirs = Theirs("letters", pat_str=r"\\w+", mergeable_ranks=letters, special_tokens={})
        >>> ours = Encoding.from_tiktoken(theirs)
        >>> ours.encode("hi"), ours.backend
        ([104, 105], 'tiktoken')
        """
        try:
            name, pat_str = encoding.name, encoding._pat_str
            ranks, special_tokens = encoding._mergeable_ranks, encoding._special_tokens
        except AttributeError:
            raise TypeError(f"not a tiktoken.Encoding: {type(encoding).__name__}") from None
        if isinstance(encoding, cls):
            return encoding
        backend = backend_of(pat_str, ranks) or tiktoken_backend(encoding)
        if name in _ENCODINGS and dict(special_tokens) == _ENCODINGS[name][2]:
            packaged = get_encoding(name)
            if packaged._backend is backend:
                return packaged
        return cls._of(name, backend, SpecialTokens.as_tiktoken(special_tokens))

    @classmethod
    def _of(cls, name: str, backend: Backend, specials: SpecialTokens) -> Encoding:
        made = cls.__new__(cls)
        made._fill(name, backend, specials)
        return made

    def _fill(self, name: str, backend: Backend, specials: SpecialTokens) -> None:
        self.name = name
        self.backend = backend.name
        self.special_tokens_set = specials.set
        self._backend = backend
        self._vocabulary = backend.vocabulary
        self._specials = specials

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        if self is _loaded.get(self.name):
            return get_encoding, (self.name,)
        return _described, (self.name, self._pat_str, self._mergeable_ranks, self._special_tokens)

    def __copy__(self) -> Encoding:
        return self

    def __deepcopy__(self, memo: object) -> Encoding:
        return self

    @property
    def _pat_str(self) -> str:
        return self._backend.pat_str

    @property
    def _mergeable_ranks(self) -> dict[bytes, int]:
        return self._backend.ranks

    @property
    def _special_tokens(self) -> dict[str, int]:
        return self._specials.ids

    @property
    def max_token_value(self) -> int:
        """The greatest id of all tokens, special ones included."""
        return max(self._vocabulary.n_ids - 1, *self._special_tokens.values(), 0)

    @property
    def n_vocab(self) -> int:
        """One more than the greatest id."""
        return self.max_token_value + 1

    @property
    def eot_token(self) -> int:
        """The id of ``<|endoftext|>``; a KeyError where there is none."""
        return self._special_tokens[_END_OF_TEXT]

    def is_special_token(self, token: int) -> bool:
        """Tell whether an id is that of a special token.

        Raises
        ------
        AssertionError
            If `token` is not an ``int``.
        """
        if not isinstance(token, int):
            raise AssertionError(f"an id is an int, not {type(token).__name__}")
        return token in self._specials.bytes_of

    def token_byte_values(self) -> list[bytes]:
        """Return the bytes of every token that is not special, in the order of the bytes.

        Examples
        --------
        >>> len(get_encoding("r50k_base").token_byte_values())
        50256
        """
        return list(self._backend.sorted_tokens)

    def count(self, text: str, *, threads: int = 1) -> int:
        """Count the tokens of a text, as ``len(encode_ordinary(text))`` but without making the ids.

        The text of a special token counts as the ordinary text it is: this is what a service does with
        text in a message, and counting must not fail on what people write.

        Parameters
        ----------
        text : str
            Of 512 to 16,384 characters, it and its count are kept for a while, so that a system prompt that comes
            again costs next to nothing: 64 texts at most, and one MiB together.
        threads : int
            How many threads share the work where the text is long; the count does not depend on it.

        Raises
        ------
        TypeError
            If `text` is not a ``str``.
        ValueError
            If `threads` is less than 1.

        Examples
        --------
        >>> get_encoding("o200k_base").count("<|endoftext|>")
        7
        """
        if threads == 1:
            return self._vocabulary.count(text if type(text) is str else _plain(text))
        text = _plain(text)
        return int(self._counted((text,), threads, _edges(text, threads)).sum())

    def count_until(self, text: str, limit: int) -> int | None:
        """Count the tokens of a text, but give up as soon as they are more than a limit.

        Where the text is far too long, this takes no longer than counting `limit` tokens, or no time at all.

        Returns
        -------
        int or None
            The count if it is at most `limit`, else None.

        Raises
        ------
        TypeError
            If `text` is not a ``str``.

        Examples
        --------
        >>> encoding = get_encoding("o200k_base")
        >>> encoding.count_until("hello world", 2), encoding.count_until("hello world" * 1000, 2)
        (2, None)
        """
        return self._vocabulary.count_until(text if type(text) is str else _plain(text), limit)

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the beginning of a text that its first tokens spell, without a character that is cut.

        Counted again, what is returned has at most `max_tokens` tokens: where the cut lets more of them come about,
        it is made earlier.

        Raises
        ------
        TypeError
            If `text` is not a ``str``.
        ValueError
            If `max_tokens` is negative.

        Examples
        --------
        >>> get_encoding("o200k_base").truncate("hello wide world", 2)
        'hello wide'
        """
        text = _plain(text)
        if max_tokens < 0:
            raise ValueError(f"max_tokens must be at least 0, not {max_tokens}")
        for most in range(max_tokens, 0, -1):
            kept = text[: self._vocabulary.prefix_length(text, most)]
            if self._vocabulary.count_until(kept, max_tokens) is not None:
                return kept
        return ""

    def split_tokens(self, text: str) -> TokenSplit:
        """Cut a text where its tokens end, to show them; in a notebook they are coloured.

        Raises
        ------
        TypeError
            If `text` is not a ``str``.

        Examples
        --------
        >>> tokens, offsets = get_encoding("o200k_base").split_tokens("hello wide world")
        >>> tokens, offsets
        ([b'hello', b' wide', b' world'], [0, 5, 10])
        """
        spelled = self.decode_tokens_bytes(self.encode_ordinary(text))
        return TokenSplit(spelled, _offsets(spelled))

    def count_batch(self, texts: Iterable[str], *, threads: int = 1) -> npt.NDArray[np.int64]:
        """Count the tokens of many texts.

        Parameters
        ----------
        texts : iterable of str
            A list, a Series of pandas or polars, an Arrow array: anything that yields ``str``.
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
        return self._counted(tuple(_many(texts)), threads, None)

    def _counted(self, texts: tuple[str, ...], threads: int, edges: list[int] | None) -> npt.NDArray[np.int64]:
        import numpy as np

        if threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}")
        n = len(texts) if edges is None else len(edges) - 1
        out = np.zeros(n, dtype=np.int64)
        counts = self._backend.counts(texts, out, edges)
        if threads == 1 or n < 2:
            counts.run(0, n)
            return out
        # More parts than threads, so that one part of long texts does not keep the others waiting.
        ends = np.linspace(0, n, min(n, threads * 8) + 1).astype(int).tolist()
        with _threads(threads) as pool:
            try:
                for _ in pool.map(counts.run, ends, ends[1:]):
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
        return self._vocabulary.encode(text if type(text) is str else _plain(text))

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
        before, rest = self._cut(text, allowed_special, disallowed_special)
        ids = self._vocabulary.encode(rest)
        return before + ids if before else ids

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> npt.NDArray[np.uint32]:
        """Return the ids of a text as an array; the rules are those of `encode`.

        Returns
        -------
        ndarray of uint32, shape (n,)
            Read-only.

        Raises
        ------
        ValueError
            If a disallowed text stands in `text`; of its kind UnicodeEncodeError, if there is a lone surrogate.
        TypeError
            If `text` is not a ``str``, or `allowed_special` not a set.

        Examples
        --------
        >>> get_encoding("cl100k_base").encode_to_numpy("hello world")
        array([15339,  1917], dtype=uint32)
        """
        import numpy as np

        before, rest = self._cut(text, allowed_special, disallowed_special)
        text.encode()  # as in tiktoken, a surrogate is an error here
        ids = np.array(before, dtype=np.uint32).tobytes() + self._vocabulary.encode_bytes(rest)
        return np.frombuffer(ids, dtype=np.uint32)

    def encode_with_unstable(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> tuple[list[int], list[list[int]]]:
        """Return the ids that more text cannot change, and what the rest may become; the rules are those of `encode`.

        Returns
        -------
        stable : list of int
        completions : list of list of int
            In no order that means something. Each continues `stable`, and together they spell a text that starts
            with the given one.

        Raises
        ------
        ValueError
            If a disallowed text stands in `text`; of its kind UnicodeEncodeError, if there is a lone surrogate.
        TypeError
            If `text` is not a ``str``, or `allowed_special` not a set.

        Examples
        --------
        >>> encoding = get_encoding("r50k_base")
        >>> stable, completions = encoding.encode_with_unstable("hello fanta")
        >>> encoding.decode(stable), [8842] in completions, encoding.decode([8842])
        ('hello', True, ' fantasy')
        """
        before, rest = self._cut(text, allowed_special, disallowed_special)
        text.encode()  # as in tiktoken, a surrogate is an error here
        stable, completions = self._backend.complete(rest)
        return before + stable, completions

    def encode_batch(
        self,
        text: Sequence[str],
        *,
        num_threads: int = 8,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[list[int]]:
        """Return the ids of many texts; the rules are those of `encode`.

        Raises
        ------
        TypeError
            If `text` is one ``str``, or one of them is not a ``str``.
        ValueError
            If a disallowed text stands in one of them, or `num_threads` is less than 1.

        Examples
        --------
        >>> get_encoding("cl100k_base").encode_batch(["hello", "world"])
        [[15339], [14957]]
        """
        allowed = self._specials.allowed(allowed_special)
        disallowed = self._specials.disallowed(disallowed_special, allowed)
        encode = partial(self.encode, allowed_special=allowed, disallowed_special=disallowed)
        return _each(encode, _listed(text), num_threads)

    def encode_ordinary_batch(self, text: Sequence[str], *, num_threads: int = 8) -> list[list[int]]:
        """Return the ids of many texts; the text of a special token is ordinary text.

        Raises
        ------
        TypeError
            If `text` is one ``str``, or one of them is not a ``str``.
        ValueError
            If `num_threads` is less than 1.

        Examples
        --------
        >>> get_encoding("cl100k_base").encode_ordinary_batch(["hello", "world"])
        [[15339], [14957]]
        """
        return _each(self.encode_ordinary, _listed(text), num_threads)

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

        listed = _listed(texts)
        offsets = np.zeros(len(listed) + 1, dtype=np.int64)
        ids = self._vocabulary.encode_flat(listed, offsets)
        return np.frombuffer(ids, dtype=np.uint32), offsets

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
        token = _token(text_or_bytes)
        found = self._vocabulary.token_id(token)
        if found is None:
            found = self._specials.ids_of.get(token)
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
        if isinstance(given, str | dict) or not hasattr(type(given), "__getitem__"):
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
        return self._bytes_of(token)

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

    def decode_with_offsets(self, tokens: Sequence[int]) -> tuple[str, list[int]]:
        """Return the text of tokens, and where in it each token starts.

        A token that starts inside a character starts where that character does.

        Raises
        ------
        KeyError
            If an id is that of no token.
        UnicodeDecodeError
            If the bytes are no UTF-8.

        Examples
        --------
        >>> get_encoding("r50k_base").decode_with_offsets([31373, 995])
        ('hello world', [0, 5])
        """
        spelled = self.decode_tokens_bytes(tokens)
        return b"".join(spelled).decode("utf-8", errors="strict"), _offsets(spelled)

    def decode_batch(
        self, batch: Sequence[Sequence[int]], *, errors: str = "replace", num_threads: int = 8
    ) -> list[str]:
        """Return the texts of many sequences of tokens; see `decode`.

        Raises
        ------
        KeyError
            If an id is that of no token.
        ValueError
            If `num_threads` is less than 1.

        Examples
        --------
        >>> get_encoding("r50k_base").decode_batch([[31373], [995]])
        ['hello', ' world']
        """
        _check_threads(num_threads)  # and start none: decoding holds the GIL
        return [self.decode(tokens, errors) for tokens in batch]

    def decode_bytes_batch(self, batch: Sequence[Sequence[int]], *, num_threads: int = 8) -> list[bytes]:
        """Return the bytes of many sequences of tokens; see `decode_bytes`.

        Raises
        ------
        KeyError
            If an id is that of no token.
        ValueError
            If `num_threads` is less than 1.

        Examples
        --------
        >>> get_encoding("r50k_base").decode_bytes_batch([[31373], [995]])
        [b'hello', b' world']
        """
        _check_threads(num_threads)  # and start none: decoding holds the GIL
        return [self.decode_bytes(tokens) for tokens in batch]

    def _encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        """Return the ids of a text or of bytes that are not cut into pieces; special tokens are ordinary text."""
        return self._backend.encode_piece(_token(text_or_bytes))

    def _encode_bytes(self, text: bytes) -> list[int]:
        """Return the ids of bytes that should be UTF-8; special tokens are ordinary text."""
        if not isinstance(text, bytes):
            raise TypeError(f"text must be bytes, not {type(text).__name__}")
        return self._backend.encode_utf8(text)

    def _encode_only_native_bpe(self, text: str) -> list[int]:
        """Return the ids of a text without surrogates; special tokens are ordinary text."""
        return self._backend.encode_natively(_plain(text))

    def _bytes_of(self, token: int) -> bytes:
        number = index(token)
        found = self._vocabulary.token_bytes(number)
        if found is None:
            found = self._specials.bytes_of.get(number)
        if found is None:
            raise KeyError(str(number))
        return found

    def _cut(
        self, text: str, allowed: Literal["all"] | AbstractSet[str], disallowed: Literal["all"] | Collection[str]
    ) -> tuple[list[int], str]:
        """Return the ids up to the last allowed special token, and the text after it, once nothing in it is refused."""
        specials = self._specials
        allowed = specials.allowed(allowed)
        refused = specials.disallowed(disallowed or (), allowed)
        text = _plain(text)
        if refused:
            specials.refuse(text, refused)
        if not allowed:
            return [], text
        if allowed is not specials.set:
            "".join(allowed).encode()  # what cannot be a special token is an error, as in tiktoken
        text = specials.readable(text)
        ids: list[int] = []
        done = 0
        for start, special in specials.find(text, allowed):
            ids += self._vocabulary.encode(text[done:start])
            ids.append(specials.ids[special])
            done = start + len(special)
        return ids, text[done:]


def _described(name: str, pat_str: str, ranks: dict[bytes, int], special_tokens: dict[str, int]) -> Encoding:
    return Encoding(name, pat_str=pat_str, mergeable_ranks=ranks, special_tokens=special_tokens)


def _plain(text: str) -> str:
    """Return a text as exactly ``str``: the kernels take no subclass, such as the texts of NumPy."""
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    return text if type(text) is str else str.__str__(text)


def _token(text_or_bytes: str | bytes) -> bytes:
    """Return the bytes of a token as exactly ``bytes``."""
    if isinstance(text_or_bytes, str):
        return text_or_bytes.encode()
    if not isinstance(text_or_bytes, bytes):
        raise TypeError(f"a token is a str or bytes, not {type(text_or_bytes).__name__}")
    return bytes(text_or_bytes)


def _offsets(spelled: list[bytes]) -> list[int]:
    """Return the character in which each token starts."""
    # Every byte that does not continue a character begins one.
    begun = [0, *accumulate(sum(byte & 0xC0 != 0x80 for byte in token) for token in spelled)]
    inside = [token[0] & 0xC0 == 0x80 for token in spelled]
    return [max(0, n - within) for n, within in zip(begun, inside, strict=False)]


def _edges(text: str, threads: int) -> list[int]:
    """Return where to cut a text between threads so that its tokens stay the same, if it is long and has blanks."""
    edges = [0]
    n = min(threads * 4, len(text) // _LEAST_STRETCH)
    for i in range(1, n):
        at = text.find(" ", max(edges[-1] + 1, len(text) * i // n))
        # Before a blank that follows a letter a piece ends, in every pattern and whatever else there is.
        while at > 0 and not (text[at - 1].isascii() and text[at - 1].isalpha()):
            at = text.find(" ", at + 1)
        if at > 0:
            edges.append(at)
    return [*edges, len(text)]


def _check_threads(n: int) -> None:
    if n < 1:
        raise ValueError("max_workers must be greater than 0")  # as in tiktoken


def _each(encode: Callable[[str], list[int]], texts: list[str], num_threads: int) -> list[list[int]]:
    """Encode each text, in threads where that is worth their start."""
    _check_threads(num_threads)
    if num_threads == 1 or sum(len(text) for text in texts if isinstance(text, str)) < _LEAST_STRETCH:
        return [encode(text) for text in texts]
    with _threads(num_threads) as pool:
        return list(pool.map(encode, texts))


def _threads(n: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # only many texts pay for it

    return ThreadPoolExecutor(n)


def _listed(texts: Iterable[str]) -> list[str]:
    """Return a list of our own: while the kernels read it, nobody else can change it."""
    return list(_many(texts))


def _many(texts: Iterable[str]) -> Iterable[str]:
    """Return the texts as what yields them fastest."""
    for method in ("to_pylist", "tolist", "to_list"):
        # What Arrow gives one by one is no str, and what NumPy, pandas and polars give is slow to come.
        if hasattr(texts, method):
            texts = getattr(texts, method)()
            break
    if isinstance(texts, str):
        # That of an array without dimensions too.
        raise TypeError("texts must be many, not one str")
    return texts
