"""Special tokens: which stand in a text, and which may, by tiktoken's rules."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from heapq import merge
from typing import Literal

from .vocabulary import ask_tiktoken

__all__ = ["SpecialTokens"]


class SpecialTokens:
    """The special tokens of one encoding, of any spelling.

    Parameters
    ----------
    ids : mapping of str to int
        The id of each text.
    hidden : frozenset of str
        Texts that are found nowhere, since a shorter one that they start with is tried first.
    texts : mapping of int to str, optional
        The text of each id, where several have the same one; by default the last.
    """

    def __init__(
        self, ids: Mapping[str, int], hidden: frozenset[str] = frozenset(), texts: Mapping[int, str] | None = None
    ) -> None:
        self.ids = dict(ids)
        self.set = set(ids)
        self.ids_of = {text.encode(): number for text, number in ids.items()}
        self.bytes_of = {number: text.encode() for number, text in (texts or _inverse(ids)).items()}
        self._hidden = hidden
        self._lengths = sorted({len(text) for text in ids}, reverse=True)
        self._openings = sorted({text[:2] for text in ids})
        self._ascii = all(map(str.isascii, ids))

    @classmethod
    def as_tiktoken(cls, ids: Mapping[str, int]) -> SpecialTokens:
        """Return special tokens that are found and decoded as tiktoken does, also where they overlap.

        Raises
        ------
        ValueError
            If one is empty: it would stand everywhere. What else cannot be raises what tiktoken raises.

        Examples
        --------
        >>> list(SpecialTokens.as_tiktoken({"[INST]": 300}).find("a [INST] b", {"[INST]"}))
        [(2, '[INST]')]
        """
        if "" in ids:
            raise ValueError("a special token is empty")
        return cls(ids, *ask_tiktoken(ids))

    def allowed(self, allowed: Literal["all"] | AbstractSet[str]) -> AbstractSet[str]:
        """Return the texts that become their own id.

        Raises
        ------
        TypeError
            If `allowed` is neither "all" nor a ``set`` or ``frozenset``.
        """
        if isinstance(allowed, str) and allowed == "all":
            return self.set
        if not isinstance(allowed, set | frozenset):
            raise TypeError(f"allowed_special must be 'all' or a set of str, not {type(allowed).__name__}")
        return allowed

    def disallowed(self, disallowed: Literal["all"] | Collection[str], allowed: AbstractSet[str]) -> AbstractSet[str]:
        """Return the texts that raise."""
        if not (isinstance(disallowed, str) and disallowed == "all"):
            return frozenset(disallowed)
        if not allowed:
            return self.set
        return frozenset() if allowed is self.set else self.set - allowed

    def refuse(self, text: str, disallowed: AbstractSet[str]) -> None:
        """Raise if one of the disallowed texts, which need not be special tokens, stands in the text.

        Raises
        ------
        ValueError
            Naming the first of them.
        TypeError
            If one of `disallowed` is not a ``str``.
        """
        others = disallowed - self.set if disallowed is not self.set else ()
        found = [(text.find(other), other) for other in others if other in text]
        found += next(([at] for at in self._all_in(text) if at[1] in disallowed), [])
        if found:
            raise ValueError(
                f"Encountered text corresponding to disallowed special token {min(found)[1][:100]!r}.\n"
                "To encode it as a special token, pass it in `allowed_special`; to encode it as ordinary text, "
                "leave it out of `disallowed_special`, or pass `disallowed_special=()` for all special tokens.\n"
            )

    def find(self, text: str, allowed: AbstractSet[str]) -> Iterator[tuple[int, str]]:
        """Yield where allowed special tokens stand, from left to right, each after the end of the one before."""
        done, seen = 0, -1
        for start, special in self._all_in(text):
            # One is taken at each place, allowed or not; what is not allowed stays ordinary text, and what
            # overlaps it may still be found.
            if start < done or start == seen or special in self._hidden:
                continue
            seen = start
            if special in allowed:
                yield start, special
                done = start + len(special)

    def readable(self, text: str) -> str:
        """Return the text with its surrogates as tiktoken reads them, if special tokens could be in them."""
        if self._ascii:
            return text
        # A pair is the character it stands for, a lone one U+FFFD.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _all_in(self, text: str) -> Iterator[tuple[int, str]]:
        """Return where special texts stand, from left to right, and at one place the longest first."""
        openings = [opening for opening in self._openings if opening in text]
        return self._each(text, openings) if openings else iter(())

    def _each(self, text: str, openings: list[str]) -> Iterator[tuple[int, str]]:
        for start in merge(*(_places(text, opening) for opening in openings)):
            for length in self._lengths:
                # Bounded by the longest one, or a text of nothing but openings would take quadratic time.
                if (special := text[start : start + length]) in self.ids:
                    yield start, special


def _places(text: str, opening: str) -> Iterator[int]:
    start = text.find(opening)
    while start >= 0:
        yield start
        start = text.find(opening, start + 1)


def _inverse(ids: Mapping[str, int]) -> dict[int, str]:
    return {number: text for text, number in ids.items()}
