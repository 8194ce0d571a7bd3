"""Changes that look at each call: another model, shorter answers, smaller images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..catalog import Deployment, Model, find_model, get_model, split_model_name
from ..errors import ImageError, RequestError, UnknownNameError, shorten
from ..logs.sums import short_context
from ..report import Load, Workload
from ..tokens import count_image_tokens
from ..tokens.images import Detail
from .calls import CallLoad, Calls, SeenImages, Smaller
from .change import Change, count_of

__all__ = ["CapOutput", "DownscaleImages", "SwapModel"]


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
    equally long, and stays as it is where the log does not tell how many; the result is estimated.
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
        sums: set[int] = set()
        untold: set[int] = set()

        def change(load: Load, served: Deployment) -> list[Load]:
            known = _known_calls(self, load)
            calls = known.calls
            completion, reasoning = calls.column("completion_tokens"), calls.column("reasoning_tokens")
            most = calls.requests * self.max_output_tokens
            text = (calls.column("audio_out") == 0) & (calls.column("image_out") == 0)
            above = text & (completion > self.max_output_tokens)
            sums.update(calls.rows[above & (calls.requests > 1)].tolist())
            untold.update(calls.rows[above & (calls.requests < 1)].tolist())
            cut = above & (calls.requests > 0) & (completion > most)
            if not cut.any():
                return [load]
            shorter = np.where(cut, most, completion)
            reasoned = np.minimum(reasoning, shorter)
            return [known.with_calls(calls.with_tokens(completion_tokens=shorter, reasoning_tokens=reasoned))]

        changed = self.each(work, change)
        notes = []
        if sums:
            notes.append(f"rows that stand for many calls were cut as if these were equally long: {len(sums):,}")
        if untold:
            notes.append(f"rows that do not tell for how many calls they stand were not cut: {len(untold):,}")
        return changed.assuming(*notes, estimated=bool(notes))


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
            sent, model = calls.sent.copy(), find_model(served.model, served.version)
            smaller = Smaller(self.detail, self.max_side_px)
            for i, row in enumerate(calls.rows.tolist()) if calls.beside.images else ():
                images = calls.beside.images.get(row)
                if images is None or model is None:
                    continue
                # Of what is smaller already only the rest is saved.
                before, after = (_image_tokens(images, model, how) for how in (calls.shrunk, (*calls.shrunk, smaller)))
                if before is not None and after is not None and before - after <= prompt[i]:
                    seen += 1
                    prompt[i] -= before - after
                    sent[i, 0] -= before - after
            shrunk = replace(_with_prompt(calls, prompt), sent=sent, shrunk=(*calls.shrunk, smaller))
            if (prompt == calls.column("prompt_tokens")).all():
                return [replace(known, calls=shrunk)]
            return _by_band(known, shrunk, short_context(served.model))

        changed = self.each(work, change)
        if not seen:
            reason = (
                "the size of no image is known: read_usage(..., recount=[...]) sees them in logs that hold requests"
            )
            raise RequestError("DownscaleImages", reason)
        return changed


def _image_tokens(images: Sequence[SeenImages], model: Model, shrunk: Sequence[Smaller]) -> int | None:
    """Return the tokens of the images of a call, made smaller one way after another; None where no rule says."""
    tokens = 0
    for image in images:
        for smaller in shrunk:
            image = smaller.of(image)
        try:
            tokens += image.n_images * count_image_tokens(
                image.width_px, image.height_px, model=model, detail=image.detail
            )
        except (ImageError, RequestError, UnknownNameError):
            return None
    return tokens


class _Told:
    """What is to be said of calls that were given to another model."""

    def __init__(self) -> None:
        self.kept: int | Fraction = 0
        self.estimated: int | Fraction = 0
        self.unknown_band: int | Fraction = 0

    def notes(self, new: Model) -> list[str]:
        notes = []
        if self.kept:
            notes.append(
                f"{new.name} counts tokens otherwise; calls that kept theirs, since they were not read with recount=: "
                f"{count_of(self.kept)}"
            )
        if self.estimated:
            notes.append(f"calls whose tokens for {new.name} are an estimate: {count_of(self.estimated)}")
        if self.unknown_band:
            notes.append(
                f"calls in the context band that they were in, since sums do not tell how long prompts of {new.name} "
                f"would be: {count_of(self.unknown_band)}"
            )
        return notes


def _swapped(load: Load, served: Deployment, new: Model, told: _Told) -> list[Load]:
    old = find_model(served.model, served.version)
    if old is not None and old.kind != new.kind:
        raise RequestError("to", f"{new.name} is a model for {new.kind}, and {old.name} one for {old.kind}")
    alike = old is not None and old.counts_like(new)
    swapped = replace(load, served=replace(served, model=new.name, version=new.version, fine_tuned=""))
    if isinstance(swapped, CallLoad):
        calls = swapped.calls if alike else _recounted(swapped, old, new, told)
        return _by_band(swapped, calls, short_context(new.name))
    n_calls = (load.group.requests - load.group.not_billed) * load.weight
    told.kept += 0 if alike else n_calls
    if new.long_context_above is None:
        return [replace(swapped, key=load.key._replace(band="short"))]
    # How long each prompt was is not known.
    told.unknown_band += n_calls if old is None or new.long_context_above != old.long_context_above else 0
    return [swapped]


def _recounted(load: CallLoad, old: Model | None, new: Model, told: _Told) -> Calls:
    """Return calls with the tokens that were counted for another model while reading, where they were."""
    calls = load.calls
    counted = calls.beside.recounted.get(new.name, {})
    used = np.asarray(calls.tokens.any(axis=1))
    known = [i for i, row in enumerate(calls.rows.tolist()) if row in counted] if counted else []
    told.kept += (int(used.sum()) - int(used[known].sum())) * load.weight
    if not known:
        return calls
    prompt, completion = calls.column("prompt_tokens").copy(), calls.column("completion_tokens").copy()
    sent = calls.sent.copy()
    not_text = (calls.column("audio_out") + calls.column("image_out")).tolist()
    for i in known:
        row = int(calls.rows[i])
        found = counted[row]
        # Beside what was counted, the service may have counted what the log does not hold.
        reported = int(calls.beside.prompts[row])
        not_held = 0 if found.served_tokens is None else reported - found.served_tokens
        input_tokens, exact = found.input_tokens + not_held, found.exact
        images = calls.beside.images.get(row, ()) if calls.shrunk else ()
        before, after = (_image_tokens(images, new, how) for how in ((), calls.shrunk))
        if before is not None and after is not None:
            input_tokens -= before - after
        else:
            exact = False
        # What other changes made of the call stays.
        prompt[i] = max(0, prompt[i] + input_tokens - sent[i, 0])
        sent[i, 0] = input_tokens
        if (old is None or old.encoding != new.encoding) and completion[i]:
            # Nothing tells whether the service would count the answer's text as it is counted here.
            exact = False
            if found.output_tokens is not None and sent[i, 1]:
                # Of an answer that was cut off, as much is left.
                completion[i] = max(not_text[i], completion[i] * found.output_tokens // sent[i, 1])
                sent[i, 1] = found.output_tokens
        told.estimated += 0 if exact else load.weight
    reasoning = np.minimum(calls.column("reasoning_tokens"), completion)
    counted_anew = calls.with_tokens(completion_tokens=completion, reasoning_tokens=reasoning)
    return replace(_with_prompt(counted_anew, prompt), sent=sent)


def _with_prompt(calls: Calls, prompt: npt.NDArray[np.int64]) -> Calls:
    """Return calls with other prompts, of which the same shares are cached and written to the cache."""
    had = calls.column("prompt_tokens")
    changed = prompt != had
    if not changed.any():
        return calls
    # Each token is in one of these parts: rounded down, they never exceed the prompt.
    of = {(key.meter, key.modality): counts.copy() for key, counts in calls.by_meter().items()}
    for counts in of.values():
        # Sums of a day can be too large to be multiplied; they are left as they are.
        counts[changed] = counts[changed] * prompt[changed] // np.maximum(had[changed], 1)
    audio, image = of["cached_input", "audio"], of["cached_input", "image"]
    return calls.with_tokens(
        prompt_tokens=prompt,
        cached_tokens=of["cached_input", "text"] + audio + image,
        cached_audio=audio,
        cached_image=image,
        cache_write_tokens=of["cache_write", "text"],
        audio_in=of["input", "audio"] + audio,
        image_in=of["input", "image"] + image,
    )


def _by_band(load: CallLoad, calls: Calls, limit: int) -> list[Load]:
    """Return a load with these calls, in two where some of them are priced in the long context band."""
    long = calls.are_longer(limit)
    if calls is load.calls and not long.any():
        return [replace(load, key=load.key._replace(band="short"))]
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
