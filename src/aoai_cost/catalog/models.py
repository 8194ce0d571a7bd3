"""What a model's name means: encoding, overheads, image rule, limits, dates, and how each is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

__all__ = ["ChatRule", "DetailLevel", "ImageRule", "Model"]

Knowledge = Literal["documented", "recovered", "assumed"]
"""How a rule is known: the vendor wrote it, recorded usage shows it, or neither. Only the first two give `exact`."""


@dataclass(frozen=True, slots=True)
class DetailLevel:
    """What one ``detail`` level of a patch-counting model does to an image before patches are counted."""

    max_side_px: int | None = None
    max_patches: int | None = None


@dataclass(frozen=True, slots=True)
class ImageRule:
    """How a family of models turns the size of an image into tokens.

    ``kind="tile"``: scale down to fit `fit_px` squared, scale down until the shortest side is at most
    `short_px`, then ``base_tokens + tile_tokens * tiles`` of `tile_px`; ``low`` is `base_tokens`.

    ``kind="patch"``: apply the level of the detail, count patches of `patch_px`, shrink to the level's budget,
    then ``ceil(patches * multiplier) + extra_tokens``; more than `reject_patches` is refused by the service.
    """

    name: str
    kind: Literal["tile", "patch"]
    known: Knowledge
    source: str
    base_tokens: int = 0
    tile_tokens: int = 0
    tile_px: int = 512
    fit_px: int = 2048
    short_px: int = 768
    multiplier: float = 1.0
    extra_tokens: int = 0
    patch_px: int = 32
    reject_patches: int = 30_000
    levels: Mapping[str, DetailLevel] = field(default_factory=dict)
    auto: str = "high"


@dataclass(frozen=True, slots=True)
class ChatRule:
    """The tokens that a chat request costs beside its texts."""

    name: str
    known: Knowledge
    source: str
    message_tokens: int
    """Per message, beside the tokens of its role and texts."""
    request_tokens: int
    """Once per request."""
    name_tokens: int = 1
    """Per message that carries a ``name``, beside the tokens of the name; -1 where the name replaces the role."""
    assistant_tokens: int = 0
    """Per assistant message in the history."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model version. Blank facts are None; nothing is filled in from a neighbour."""

    name: str
    version: str
    kind: Literal[
        "chat", "completion", "embedding", "image", "transcription", "speech", "realtime", "audio", "video", "router"
    ]
    source: str
    checked: date
    encoding: str | None = None
    encoding_known: Knowledge | None = None
    chat_rule: ChatRule | None = None
    image_rule: ImageRule | None = None
    image_known: Knowledge | None = None
    context_tokens: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    long_context_above: int | None = None
    """Requests with more input tokens than this are priced in the long context band."""
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    lifecycle: str = ""
    retires: date | None = None
    note: str = ""
