"""Tokens of plain texts, by model or by encoding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..catalog import get_model
from ..errors import RequestError
from .encoding import Encoding, get_encoding

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["choose_encoding", "count_tokens", "count_tokens_batch", "encoding_for_model", "encoding_name_for_model"]


def encoding_for_model(model: str) -> Encoding:
    """Return the encoding of a model.

    Raises
    ------
    UnknownNameError
        If no such model is known.
    RequestError
        If the model has no text encoding, or none that is known.

    Examples
    --------
    >>> encoding_for_model("gpt-4o").name
    'o200k_base'
    """
    return get_encoding(encoding_name_for_model(model))


def encoding_name_for_model(model: str) -> str:
    """Return the name of the encoding of a model.

    Raises
    ------
    UnknownNameError
        If no such model is known.
    RequestError
        If the model has no text encoding, or none that is known.

    Examples
    --------
    >>> encoding_name_for_model("gpt-4o")
    'o200k_base'
    """
    found = get_model(model)
    if found.encoding is None:
        raise RequestError("model", f"no text encoding is known for {found.name!r} ({found.kind})")
    return found.encoding


def choose_encoding(model: str | None, encoding: str | None) -> Encoding:
    """Return the encoding of a model, or the one that is named.

    Raises
    ------
    RequestError
        Unless exactly one of `model` and `encoding` is given.
    UnknownNameError
        If it is not known.
    """
    if (model is None) == (encoding is None):
        raise RequestError("model", "give either a model or an encoding")
    return encoding_for_model(model) if model is not None else get_encoding(str(encoding))


def count_tokens(text: str, *, model: str | None = None, encoding: str | None = None) -> int:
    """Count the tokens of one text; special-token text counts as the ordinary text it is.

    Raises
    ------
    RequestError
        Unless exactly one of `model` and `encoding` is given.
    UnknownNameError
        If the model or the encoding is not known.

    Examples
    --------
    >>> count_tokens("hamburger", encoding="r50k_base")
    3
    """
    return choose_encoding(model, encoding).count(text)


def count_tokens_batch(
    texts: Iterable[str], *, model: str | None = None, encoding: str | None = None, threads: int = 1
) -> npt.NDArray[np.int64]:
    """Count the tokens of many texts.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    return choose_encoding(model, encoding).count_batch(texts, threads=threads)
