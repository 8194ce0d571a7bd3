"""What calls would count under other models: the log is read once more for its texts, of which only integers stay.

The calls are known by then, so that what a row holds is counted for the call that it belongs to, and for none that was
refused or lies outside the time that was asked for. A request is also counted under the model that served it: only
where that agrees with what the service counted is it known to be what was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..catalog import Model, find_model, get_model
from ..errors import AoaiCostError, RequestError
from ..sources.files import LogFile, Section
from ..tokens import count_request, get_encoding, image_size
from .contents import is_cut
from .frame import make_images, make_recounted
from .join import Calls
from .parts import NOT_A_TIME, Parts, PartTable, Place, Shared, digest_at, short_digest
from .reading import Options, Reading
from .rejects import Reject
from .schema import QUALITIES, Content, Facets, Identity, Part, PartKind, RowError, Tokens

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Target", "recount_calls", "targets_of"]

_MEASURED, _NOT_BILLED = (QUALITIES.index(name) for name in ("measured", "not_billed"))
_PROMPT, _REASONING = (Tokens._fields.index(name) for name in ("prompt_tokens", "reasoning_tokens"))
_TEXT_APIS = (None, "chat", "responses", "completions", "embeddings")
_IMAGE_PARTS = ("image_url", "input_image")
_DETAILS = ("auto", "low", "high", "original")


class Target(NamedTuple):
    """A model to count for, by the name that the user gave."""

    name: str
    model: Model


class _Request(NamedTuple):
    """What a request counts."""

    served_tokens: int | None
    """Under the model that served it; None where that cannot be told."""
    bounds: tuple[int, int | None]
    """The least and the most that this model makes of it."""
    counts: tuple[tuple[int, str] | None, ...]
    """Tokens and certainty under each target; None where it cannot take the request."""
    images: tuple[tuple[int, int, str, int], ...]
    """(width, height, detail, count)."""


def targets_of(recount: Sequence[str]) -> tuple[Target, ...]:
    """Return the models to count for.

    Raises
    ------
    RequestError
        If they are no list of names, or one has no text encoding.
    UnknownNameError
        For a model that nobody here knows.
    """
    if isinstance(recount, str) or not all(isinstance(name, str) for name in recount):
        raise RequestError("recount", "must be a list of names of models")
    found = tuple(Target(name, get_model(name)) for name in dict.fromkeys(recount))
    for one in found:
        if one.model.encoding is None:
            raise RequestError("recount", f"no text encoding is known for {one.model.name!r} ({one.model.kind})")
    return found


def recount_calls(
    calls: Calls, shared: Shared, files: Sequence[LogFile], options: Options, targets: Sequence[Target]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what calls count under other models, and the images in their requests; calls are those of the frame.

    Raises
    ------
    UsageFormatError
        If a file cannot be read any more.
    """
    counter = _Counter(calls, shared, targets)
    reading = _ContentReading(options, counter)
    families = {shared.families[source] for source in np.unique(calls.rows["source"]).tolist()}
    if any(one.contents is not None and (one.calls_of or one.name) in families for one in reading.formats):
        for number, file in enumerate(files):
            reading.read(file, Section(number, 0, None, file.size()), str(number))
    return counter.recounted(), counter.images()


class _Counter:
    """Counts contents for their calls."""

    def __init__(self, calls: Calls, shared: Shared, targets: Sequence[Target]) -> None:
        self._rows, self._quality, self._shared, self._targets = calls.rows, calls.quality, shared, targets
        self._by_digest = np.argsort(calls.rows["digest"][:, 0], kind="stable")
        self._digests = calls.rows["digest"][:, 0][self._by_digest]
        self._served: dict[Facets, Model | None] = {}
        # Whether a request agrees with the service, an id of the row that held it, and what it counts.
        self._requests: dict[int, set[tuple[bool, int, _Request]]] = {}
        self._answers: dict[int, set[tuple[int | None, ...]]] = {}

    def calls_of(self, digest: npt.NDArray[np.uint64], part: Part) -> list[int]:
        """Return the rows of the calls that a row of the log belongs to; several where it does not tell which."""
        start, end = (np.searchsorted(self._digests, digest[0], side) for side in ("left", "right"))
        found = [row for row in self._by_digest[start:end].tolist() if self._rows["digest"][row, 1] == digest[1]]
        if len(found) > 1 and part.call_id and part.kind != PartKind.REST:
            found = [row for row in found if self._rows["call"][row] == short_digest(part.call_id)]
        return [row for row in found if self._quality[row] != _NOT_BILLED]

    def add(self, content: Content, calls: Sequence[int], part: Part) -> None:
        """Count what a row holds for the calls that it belongs to."""
        if content.request is not None:
            self._add_request(content.request, calls, part)
        if content.answer is not None and len(calls) == 1:
            self._answers.setdefault(calls[0], set()).add(self._answer(content.answer))

    def _add_request(self, body: Mapping[str, Any], calls: Sequence[int], part: Part) -> None:
        is_told = len(calls) == 1 and not is_cut(body)
        # Rows of many batches may share an id, and few of them need a count of their own.
        counted: dict[tuple[str, str, date | None], _Request | None] = {}
        for row in calls:
            facets = self._shared.facets.all[self._rows["facets"][row]]
            if facets.api not in _TEXT_APIS:
                continue
            served, day = self._served_by(facets), self._day_of(row)
            api = _api_of(body, facets.api, served)
            key = (api, "" if served is None else f"{served.name} {served.version}", day)
            if key not in counted:
                counted[key] = self._request(body, api, served, day)
            request = counted[key]
            if request is not None:
                agrees = self._agrees(row, request)
                # A mark may be a word of the prompt, and one of several calls the right one: the count tells.
                if agrees or is_told:
                    one = (agrees, short_digest(part.call_id or None), request)
                    self._requests.setdefault(row, set()).add(one)

    def _request(self, body: Mapping[str, Any], api: Any, served: Model | None, day: date | None) -> _Request | None:
        counts = tuple(_count(body, one.model, api) for one in self._targets)
        if not any(counts):
            return None
        try:
            found = None if served is None else count_request(body, model=served, api=api, on=day)
        except (AoaiCostError, RecursionError):
            found = None
        images = tuple(sorted((*image, n) for image, n in Counter(_images_in(body)).items()))
        tokens, bounds = (None, (0, None)) if found is None else (found.input_tokens, found.bounds)
        return _Request(tokens, bounds, counts, images)

    def _agrees(self, row: int, request: _Request) -> bool:
        """Tell whether the model that served a call makes of a request what the service did."""
        least, most = request.bounds
        is_known = self._rows["known"][row] >> _PROMPT & 1 and self._quality[row] == _MEASURED
        return bool(is_known and most is not None and least <= self._rows["tokens"][row, _PROMPT] <= most)

    def _day_of(self, row: int) -> date | None:
        stamp = int(self._rows["timestamp_us"][row])
        return None if stamp == NOT_A_TIME else datetime.fromtimestamp(stamp // 1_000_000, UTC).date()

    def _served_by(self, facets: Facets) -> Model | None:
        if facets not in self._served:
            self._served[facets] = find_model(facets.model, facets.version)
        return self._served[facets]

    def _answer(self, texts: tuple[str, ...]) -> tuple[int | None, ...]:
        by_encoding: dict[str, int] = {}
        for _, model in self._targets:
            if model.encoding is not None and model.encoding not in by_encoding:
                encoding = get_encoding(model.encoding)
                by_encoding[model.encoding] = sum(map(encoding.count, texts))
        return tuple(
            None if model.kind == "embedding" else by_encoding.get(model.encoding or "") for _, model in self._targets
        )

    def _chosen(self) -> Iterator[tuple[int, bool, _Request]]:
        """Yield (row, whether it agrees, request) of each call whose rows do not tell different ones."""
        for row, found in sorted(self._requests.items()):
            agreeing = {request for agrees, _, request in found if agrees}
            if len(agreeing) == 1:
                yield row, True, agreeing.pop()
            elif len(found) == 1:
                # Several that do not agree may be pieces of one that would.
                yield row, False, next(iter(found))[2]

    def recounted(self) -> pd.DataFrame:
        """Return a row for each call and model."""
        found: list[tuple[int, str, int, str, int | None, int | None]] = []
        for row, agrees, request in self._chosen():
            answers = self._answers.get(row, set())
            outputs = next(iter(answers)) if len(answers) == 1 else (None,) * len(self._targets)
            reasoning = int(self._rows["tokens"][row, _REASONING])
            for (name, _), count, output in zip(self._targets, request.counts, outputs, strict=True):
                if count is not None:
                    tokens, certainty = count
                    certainty = "estimated" if certainty == "exact" and not agrees else certainty
                    answer = None if output is None else output + reasoning
                    found.append((row, name, tokens, certainty, answer, request.served_tokens))
        return make_recounted(found)

    def images(self) -> pd.DataFrame:
        """Return a row for each call, size and detail."""
        return make_images([(row, *image) for row, _, request in self._chosen() for image in request.images])


def _api_of(body: Mapping[str, Any], api: str | None, served: Model | None) -> Any:
    """Return the API of a body as `count_request` names it, which may be the model's to tell."""
    if body.get("messages"):
        return "chat"
    if body.get("input"):
        embeds = api == "embeddings" or (api is None and served is not None and served.kind == "embedding")
        return "embeddings" if embeds else "responses"
    # A stored prompt of Responses is an object.
    return "responses" if isinstance(body.get("prompt"), dict) else "completions"


def _count(body: Mapping[str, Any], model: Model, api: Any) -> tuple[int, str] | None:
    """Count a request under a model; None where models of its kind take no such request."""
    kind = {"embedding": "embeddings", "completion": "completions"}.get(model.kind)
    if kind != (api if api in ("embeddings", "completions") else None):
        return None
    try:
        found = count_request(body, model=model, api=api)
    except (AoaiCostError, RecursionError):
        return None
    return found.input_tokens, found.certainty


def _images_in(body: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """Yield width, height and detail of each image that is in the body, wherever one may stand."""
    items = body.get("messages") or body.get("input")
    for item in items if isinstance(items, list) else ():
        for name in ("content", "output"):
            parts = item.get(name) if isinstance(item, dict) else None
            for part in parts if isinstance(parts, list) else ():
                found = _image(part) if isinstance(part, dict) and part.get("type") in _IMAGE_PARTS else None
                if found is not None:
                    yield found


def _image(part: Mapping[str, Any]) -> tuple[int, int, str] | None:
    image = part.get("image_url")
    image = image if isinstance(image, dict) else {"url": image}
    url, detail = image.get("url"), image.get("detail", part.get("detail"))
    detail = "auto" if detail is None else detail
    # No text of the request's own may come out, and an item that is not counted may hold anything.
    if not isinstance(url, str) or url[:5].lower() != "data:" or detail not in _DETAILS:
        return None
    try:
        width_px, height_px = image_size(url)
    except AoaiCostError:
        return None
    return width_px, height_px, detail


class _ContentReading(Reading):
    """Reads rows for what they hold; what they say of usage is known, and what is wrong with them was told."""

    _wants_contents = True

    def __init__(self, options: Options, counter: _Counter) -> None:
        super().__init__(options._replace(strict=False), PartTable(), PartTable(), _Told())
        self._counter = counter

    def _keep_parts(self, parts: Parts) -> None:
        """Forget rows of a format that is read in whole pieces: they hold no contents."""

    def _keep(self, source: int, row: Mapping[str, Any], identity: Identity | None, part: Part, place: Place) -> None:
        contents = self.formats[source].contents
        if contents is None:
            return
        calls = self._counter.calls_of(digest_at(self.shared, source, identity, place), part)
        if calls:
            try:
                self._counter.add(contents(row), calls, part)
            except RowError:
                return


class _Told:
    """Takes rejected rows, of which all was said before."""

    def wants(self, source_file: str) -> bool:
        return False

    def add(self, reject: Reject) -> None:
        pass
