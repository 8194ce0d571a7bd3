"""Changes that look at each call: another model, shorter answers, smaller images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..catalog import Deployment, Model, get_model, split_model_name
from ..errors import ImageError, RequestError, UnknownNameError, shorten
from ..logs.schema import Tokens
from ..logs.sums import short_context
from ..report import Load, Workload
from ..tokens import count_image_tokens
from ..tokens.images import Detail
from .calls import CallLoad, Calls, SeenImages
from .change import Change

__all__ = ["CapOutput", "DownscaleImages", "SwapModel"]

# Of the counts of a call those that are parts of its prompt.
_PARTS_OF_PROMPT = ("cached_tokens", "cache_write_tokens", "audio_in", "image_in", "cached_audio", "cached_image")


@dataclass(frozen=True)
class SwapModel(Change):
    """Ask another model: ``SwapModel("gpt-4o", "gpt-4o-mini")``; of its versions the newest, or `version`.

    Fine-tuned deployments are others' work and stay as they are, unless ``only`` names them.

    Where both models count alike (encoding, overheads, image rule), the tokens stay as they are. Elsewhere the input of
    calls that were read with ``recount=`` for the other model is what that counted; all others keep their tokens, and
    the result is estimated. Prompts are put into the context band of the other model.
    """

    model: str
    to: str
    version: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("model", "to"):
            if not isinstance(getattr(self, field), str):
                raise RequestError(field, f"must be the name of a model; found {shorten(getattr(self, field))}")
        get_model(self.to, self.version)

    @property
    def note(self) -> str:
        """What is changed."""
        alike = "the same answers, as much reasoning, the same shares of the input cached"
        return f"{self.to} answered in place of {self.model}: {alike}"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with the other model."""
        new, wanted = get_model(self.to, self.version), split_model_name(self.model)
        told = _Told()

        def other(one: Deployment) -> Deployment:
            return replace(one, model=new.name, version=new.version, fine_tuned="")

        changed = self.each(
            work,
            lambda load, served: _swapped(load, served, new, told),
            timed=other,
            found=lambda one: _is_model(one, *wanted) and bool(self.only or not one.fine_tuned),
            calls=f"calls to {self.model}",
        )
        notes = told.notes(new)
        return changed.assuming(*notes, estimated=bool(notes))


@dataclass(frozen=True)
class CapOutput(Change):
    """Cut answers off after so many tokens, reasoning included: ``CapOutput(500)``.

    Calls that answer with audio or images stay as they are. A row that stands for many calls is cut as if they were
    equally long, and the result is estimated.
    """

    max_output_tokens: int
    needs_calls: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_whole("max_output_tokens", self.max_output_tokens)

    @property
    def note(self) -> str:
        """What is changed."""
        return f"answers were cut off after {self.max_output_tokens:,} tokens, and nobody asked again"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with shorter answers."""
        sums = 0

        def change(load: Load, served: Deployment) -> list[Load]:
            nonlocal sums
            known = _known_calls(self, load)
            calls = known.calls
            completion, reasoning = calls.column("completion_tokens"), calls.column("reasoning_tokens")
            requests = np.maximum(calls.requests, 1)
            most = requests * self.max_output_tokens
            text = (calls.column("audio_out") == 0) & (calls.column("image_out") == 0)
            cut = text & (completion > most)
            sums += int((text & (requests > 1)).sum())
            if not cut.any():
                return [load]
            shorter = np.where(cut, most, completion)
            reasoned = np.minimum(reasoning, shorter)
            return [known.with_calls(calls.with_tokens(completion_tokens=shorter, reasoning_tokens=reasoned))]

        changed = self.each(work, change)
        if not sums:
            return changed
        note = f"rows that stand for many calls were cut as if these were equally long: {sums:,}"
        return changed.assuming(note, estimated=True)


@dataclass(frozen=True)
class DownscaleImages(Change):
    """Send smaller images: ``DownscaleImages(max_side_px=1024)``, or ``DownscaleImages(detail="low")``.

    It is for calls whose images were seen when the log was read with ``recount=``; those whose images are not known
    stay as they are.
    """

    detail: Detail | None = None
    max_side_px: int | None = None
    needs_calls: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.detail is None) == (self.max_side_px is None):
            raise RequestError("detail", "either it or max_side_px must be given, and not both")
        if self.max_side_px is not None:
            _require_whole("max_side_px", self.max_side_px)

    @property
    def note(self) -> str:
        """What is changed."""
        how = f"with detail {self.detail}" if self.detail is not None else f"at most {self.max_side_px:,} pixels long"
        return f"images were sent {how}, where their size is known, and the answers were as long as they were"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with smaller images."""
        seen = 0

        def change(load: Load, served: Deployment) -> list[Load]:
            nonlocal seen
            known = _known_calls(self, load)
            calls = known.calls
            prompt = calls.column("prompt_tokens").copy()
            for i, row in enumerate(calls.rows.tolist()):
                images = calls.beside.images.get(row)
                saved = None if images is None else self._saved(served, images)
                if saved is not None and saved <= prompt[i]:
                    seen += 1
                    prompt[i] -= saved
            if (prompt == calls.column("prompt_tokens")).all():
                return [load]
            return _by_band(known, _with_prompt(calls, prompt), short_context(served.model))

        changed = self.each(work, change)
        if not seen:
            reason = (
                "the size of no image is known: read_usage(..., recount=[...]) sees them in logs that hold requests"
            )
            raise RequestError("DownscaleImages", reason)
        return changed

    def _saved(self, served: Deployment, images: Sequence[SeenImages]) -> int | None:
        """Return how many tokens fewer the images of a call are; None where no rule says."""
        saved = 0
        for width, height, detail, n_images in images:
            side = max(width, height)
            most = side if self.max_side_px is None else min(side, self.max_side_px)
            smaller = max(1, width * most // side), max(1, height * most // side)
            try:
                model = get_model(served.model, served.version)
                before = count_image_tokens(width, height, model=model, detail=detail)
                after = count_image_tokens(*smaller, model=model, detail=self.detail or detail)
            except (ImageError, RequestError, UnknownNameError):
                return None
            saved += (before - after) * n_images
        return saved


class _Told:
    """What is to be said of calls that were given to another model."""

    def __init__(self) -> None:
        self.kept, self.estimated = 0, 0

    def notes(self, new: Model) -> list[str]:
        notes = []
        if self.kept:
            notes.append(
                f"{new.name} counts tokens otherwise; calls that kept theirs, since they were not read with recount=: "
                f"{self.kept:,}"
            )
        if self.estimated:
            notes.append(f"calls whose tokens for {new.name} are an estimate: {self.estimated:,}")
        return notes


def _swapped(load: Load, served: Deployment, new: Model, told: _Told) -> list[Load]:
    old = get_model(served.model, served.version)
    if old.kind != new.kind:
        raise RequestError("to", f"{new.name} is a model for {new.kind}, and {old.name} one for {old.kind}")
    alike = (old.encoding, old.chat_rule, old.image_rule) == (new.encoding, new.chat_rule, new.image_rule)
    swapped = replace(load, served=replace(served, model=new.name, version=new.version, fine_tuned=""))
    if isinstance(swapped, CallLoad):
        calls = swapped.calls if alike else _recounted(swapped.calls, old, new, told)
        return _by_band(swapped, calls, short_context(new.name))
    n_calls = load.group.requests - load.group.not_billed
    told.kept += 0 if alike else n_calls
    if new.long_context_above is None:
        return [replace(swapped, key=load.key._replace(band="short"))]
    # How long each prompt was is not known.
    told.estimated += n_calls if new.long_context_above != old.long_context_above else 0
    return [swapped]


def _recounted(calls: Calls, old: Model, new: Model, told: _Told) -> Calls:
    """Return calls with the tokens that were counted for another model while reading, where they were."""
    counted = calls.beside.recounted.get(new.name, {})
    prompt, completion = calls.column("prompt_tokens").copy(), calls.column("completion_tokens").copy()
    for i, row in enumerate(calls.rows.tolist()):
        found = counted.get(row)
        if found is None:
            told.kept += int(calls.tokens[i].any())
            continue
        # What other changes made of the call stays.
        before = dict(zip(Tokens._fields, calls.beside.tokens[row].tolist(), strict=True))
        prompt[i] = max(0, prompt[i] + found.input_tokens - before["prompt_tokens"])
        exact = found.exact
        if old.encoding != new.encoding and completion[i]:
            # Nothing tells whether the service would count the answer's text as it is counted here.
            exact = False
            if found.output_tokens is not None:
                completion[i] = max(0, completion[i] + found.output_tokens - before["completion_tokens"])
        told.estimated += not exact
    return _with_prompt(calls.with_tokens(completion_tokens=completion), prompt)


def _with_prompt(calls: Calls, prompt: npt.NDArray[np.int64]) -> Calls:
    """Return calls with other prompts, of which the same shares are cached and written to the cache."""
    before = np.maximum(calls.column("prompt_tokens"), 1)
    parts = {name: calls.column(name) * prompt // before for name in _PARTS_OF_PROMPT}
    return calls.with_tokens(prompt_tokens=prompt, **parts)


def _by_band(load: CallLoad, calls: Calls, limit: int) -> list[Load]:
    """Return a load with other calls, in two where some of them are priced in the long context band."""
    long = calls.column("prompt_tokens") > limit
    return [
        replace(load, key=load.key._replace(band=band)).with_calls(calls.some(which))
        for band, which in (("short", ~long), ("long", long))
        if which.any()
    ]


def _known_calls(change: Change, load: Load) -> CallLoad:
    if not isinstance(load, CallLoad):
        raise RequestError("log", f"{type(change).__name__} looks at single calls: give what read_usage returns")
    return load


def _is_model(one: Deployment, name: str, version: str | None) -> bool:
    found, found_version = split_model_name(one.model)
    return found == name and (version is None or version == (one.version or found_version))


def _require_whole(field: str, value: Any) -> None:
    if type(value) is not int or not 1 <= value < 1 << 31:
        raise RequestError(field, f"must be a whole number from 1 on; found {shorten(value)}")
