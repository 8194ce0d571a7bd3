"""What a model's name means: encoding, overheads, image rule, limits, dates, and how each is known."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ..errors import UnknownNameError

__all__ = [
    "ChatRule",
    "DetailLevel",
    "ImageRule",
    "Model",
    "SchemaRule",
    "ServiceText",
    "ToolForm",
    "ToolRule",
    "find_model",
    "get_model",
    "is_fine_tuned",
    "list_models",
    "split_model_name",
]

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
    unsure_tokens: int = 0
    """How many more or fewer an image may cost."""
    patch_px: int = 32
    reject_patches: int = 30_000
    levels: Mapping[str, DetailLevel] = field(default_factory=dict)
    auto: str = "high"

    def __reduce__(self) -> tuple[Any, ...]:
        # The levels are a read-only view, which pickle does not take.
        return _image_rule_again, (
            {one.name: getattr(self, one.name) for one in fields(self)} | {"levels": dict(self.levels)},
        )


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
    request_unsure_tokens: int = 0
    """How many more that may be."""
    name_tokens: int = 1
    """Per message that carries a ``name``, beside the tokens of the name; -1 where the name replaces the role."""
    assistant_tokens: int = 0
    """Per assistant message in the history."""
    assistant_unsure_tokens: int = 0
    """How many more that may be."""
    schema_rule: str | None = None
    """The name of the family's rule for json_schema formats."""


@dataclass(frozen=True, slots=True)
class SchemaRule:
    """The tokens that a json_schema format costs beside the block that shows it to the model."""

    name: str
    known: Knowledge
    source: str
    models: tuple[str, ...]
    """How the names of the models begin that it was recorded on; for others it is assumed."""
    responses_tokens: int = 0
    """Responses API: once per request."""
    heading: str = ""
    """Chat: what the block puts before the text of the first system message."""
    answer_tokens: int = 0
    """Chat: in the header of the answer to come, beside the format's name; 0 where the header does not name it."""
    history_tokens: int = 0
    """Chat: in the header of each earlier answer, beside the format's name."""
    after_tools: bool = False
    """Chat: the block follows that of the tools, and does not precede it."""
    escapes: bool = False
    """Chat: letters beyond ASCII in the schema were recorded, as escapes; elsewhere the bounds hold both spellings."""


@dataclass(frozen=True, slots=True)
class ToolForm:
    """How tools, their calls and their results stand in the prompts of one API.

    Every ``*_tokens`` stands beside the tokens of the texts: a call costs `call_tokens`, its name behind `call_prefix`
    and its arguments; a result costs `result_tokens`, the name behind `result_prefix` and its text.
    """

    header: str
    footer: str = ""
    assumed: str = ""
    """Why this form is assumed although the rule is known from the other API; empty where it is not."""
    types: Literal["2023", "2024"] = "2024"
    tokens: int = 0
    """Of the block of tools, beside its text."""
    heading: str = ""
    """Before a system text that the block follows, after a blank line, in place of the message that is made for it."""
    joins_system: bool = False
    """Whether the block ends the first system message, which is made for it where there is none."""
    call_prefix: str = ""
    call_tokens: int = 0
    stored_call_tokens: int = 0
    """More, for a call that carries the ``id`` which the service gave it."""
    call_unsure_tokens: int = 0
    """How many more a call without that ``id`` may cost."""
    result_prefix: str = "functions."
    result_tokens: int = 0
    parallel_tokens: int | None = None
    """Of parallel calls and their results, written as one call and one list; None where each stands for itself."""
    parallel_unsure_tokens: int = 0
    """By how many `parallel_tokens` may be off, where too few recordings show them."""
    compact_arguments: bool = False
    """Whether arguments lose their blanks."""
    ascii_results: bool = False
    """Whether the results of parallel calls are escaped beyond ASCII."""
    forced_tokens: int | None = None
    """Of a ``tool_choice`` that names a function, beside `` to=functions.NAME``; None where it costs nothing."""
    required_tokens: int = 0
    none_tokens: int = 0
    unsure_choices: tuple[str, ...] = ()
    """Of required, none, forced and allowed (``allowed_tools``) those that no recording shows, or those of one
    repository alone."""


@dataclass(frozen=True, slots=True)
class ToolRule:
    """How a family of models is told of tools; a form is None where the API does not serve the family."""

    name: str
    known: Knowledge
    source: str
    chat: ToolForm | None = None
    responses: ToolForm | None = None


@dataclass(frozen=True, slots=True)
class ServiceText:
    """Text of the service's own beside what a request holds, which was there on some days."""

    api: str
    first: date
    """From here to `last` the text may have been there, from `seen_first` to `seen_last` it was."""
    seen_first: date
    seen_last: date
    last: date
    tokens: int
    tokens_with_tools: int
    tokens_with_images: int
    source: str


@dataclass(frozen=True, slots=True, repr=False)
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
    schema_rule: SchemaRule | None = None
    tool_rule: ToolRule | None = None
    tool_known: Knowledge | None = None
    image_rule: ImageRule | None = None
    image_known: Knowledge | None = None
    service_texts: tuple[ServiceText, ...] = ()
    context_tokens: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    long_context_above: int | None = None
    """Requests with more input tokens than this are priced in the long context band."""
    reasoning: bool = False
    """Whether the model reasons before it answers, in tokens that are billed as output."""
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    lifecycle: str = ""
    retires: date | None = None
    note: str = ""

    def band(self, input_tokens: int) -> Literal["short", "long"]:
        """Return the context band in which a request of so many input tokens is priced."""
        return "long" if self.long_context_above is not None and input_tokens > self.long_context_above else "short"

    def counts_like(self, other: Model) -> bool:
        """Tell whether both count the tokens of every chat alike: the same encoding, overheads and image rule."""
        mine, theirs = ((one.encoding, one.chat_rule, one.image_rule) for one in (self, other))
        return self.kind == other.kind and mine == theirs

    def __repr__(self) -> str:
        # Every count and estimate holds its model; all its facts would bury theirs.
        return f"<Model {self.name} {self.version}>"

    def _repr_html_(self) -> str:
        from .. import markup  # counting does without it

        def tokens(count: int | None) -> str | None:
            return None if count is None else f"{count:,} tokens"

        told = [
            ("kind", self.kind),
            ("encoding", self.encoding and f"{self.encoding} ({self.encoding_known})"),
            ("context", tokens(self.context_tokens)),
            ("most input", tokens(self.max_input_tokens)),
            ("most output", tokens(self.max_output_tokens)),
            ("priced as long above", tokens(self.long_context_above)),
            ("reasons", "yes, in tokens billed as output" if self.reasoning else None),
            ("reads", ", ".join(self.input_modalities)),
            ("writes", ", ".join(self.output_modalities)),
            ("lifecycle", self.lifecycle),
            ("retires", self.retires),
            ("note", self.note),
            ("source", f"{self.source}, checked {self.checked}"),
        ]
        return markup.result(f"{self.name} {self.version}", markup.facts(told))


_MODELS_JSON = Path(__file__).with_name("models.json")
_DATED = re.compile(r"(?P<name>.+)-(?P<version>\d{4}-\d{2}-\d{2})")
# OpenAI says so which build of a model answered: gpt-3.5-turbo-instruct:20230824-v2.
_BUILD = re.compile(r":\d{4}-?\d{2}-?\d{2}-v\d+$")
_LONGEST_NAME = 200


def get_model(name: str, version: str | None = None) -> Model:
    """Look up a model by the name that people and logs write.

    Parameters
    ----------
    name : str
        ``gpt-4o``, ``gpt-4o-2024-11-20``, ``gpt-3.5-turbo``, ``gpt-4-turbo``, the name of a fine-tuned model
        (its base model answers); any case.
    version : str, optional
        As Azure writes it. Where neither it nor the name says one, the newest version answers.

    Raises
    ------
    UnknownNameError
        If nobody here knows the model, or this version of it; an unknown model never borrows another's facts.

    Examples
    --------
    >>> get_model("gpt-4o-2024-11-20").max_output_tokens
    16384
    >>> get_model("gpt-4o").version
    '2024-11-20'
    """
    return _find(_cut(name), version)


def find_model(name: str | None, version: str | None = None) -> Model | None:
    """Look up a model as `get_model` does; None for no name, and for what nobody here knows."""
    try:
        return None if name is None else get_model(name, version)
    except UnknownNameError:
        return None


def list_models() -> tuple[Model, ...]:
    """Return every model version of the catalogue, by name, newest version first."""
    return tuple(
        _model(name, version) for name, versions in sorted(_catalogue().versions.items()) for version in versions
    )


def split_model_name(name: str) -> tuple[str, str | None]:
    """Split a name as logs write it into Azure's model name and version.

    The version is None where the name carries none. A fine-tuned model is split as its base model. Names that the
    catalogue does not know come back lower-cased, split before a trailing date.

    Examples
    --------
    >>> split_model_name("gpt-4o-2024-11-20")
    ('gpt-4o', '2024-11-20')
    >>> split_model_name("GPT-3.5-Turbo-0125")
    ('gpt-35-turbo', '0125')
    """
    return _split(_cut(name))


def is_fine_tuned(name: str) -> bool:
    """Tell whether a name is that of a fine-tuned model, as Azure (``.ft-``) or OpenAI (``ft:``) writes it."""
    return ".ft-" in name.lower() or name.lower().startswith("ft:")


def _cut(name: str) -> str:
    """Keep a megabyte that somebody calls a name out of the caches."""
    return name.strip()[:_LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """models.json with its entries by name and version."""

    raw: Mapping[str, Any]
    versions: Mapping[str, Mapping[str, Mapping[str, Any]]]
    names: tuple[str, ...]
    """Longest first, so that ``gpt-4o-mini`` is tried before ``gpt-4o``."""


@cache
def _catalogue() -> _Catalogue:
    raw = json.loads(_MODELS_JSON.read_bytes())
    versions: dict[str, dict[str, Any]] = {}
    for entry in raw["model"]:
        versions.setdefault(entry["name"], {})[entry["version"]] = entry
    return _Catalogue(raw, versions, tuple(sorted(versions, key=lambda name: (-len(name), name))))


@lru_cache(4096)
def _find(name: str, version: str | None) -> Model:
    base, named_version = _split(name)
    # A fine-tuned model counts versions of its own; the base model's stands in its name.
    wanted = version.strip().lower() if version and not is_fine_tuned(name) else named_version
    known = _catalogue().versions.get(base)
    if known is None:
        raise UnknownNameError("model", name, _near(name))
    if named_version is not None and wanted != named_version:
        raise UnknownNameError("model", f"{name} version {version}", _near(name))
    if wanted is None:
        return _model(base, next(iter(known)))
    if wanted not in known:
        # The one entry of a model whose versions nobody publishes.
        if tuple(known) == ("",):
            return _model(base, "")
        raise UnknownNameError("model", f"{base}-{wanted}", [f"{base}-{one}" for one in known])
    return _model(base, wanted)


@lru_cache(4096)
def _split(name: str) -> tuple[str, str | None]:
    plain = name.lower()
    if plain.startswith("ft:"):
        plain = plain.split(":")[1]
    catalogue = _catalogue()
    plain = plain.split(".ft-")[0]
    # A build may belong to a model of another name: recorded usage of davinci-002 comes from davinci:2023-07-21-v2.
    if plain not in catalogue.raw["alias"]:
        plain = _BUILD.sub("", plain).replace("gpt-3.5-turbo", "gpt-35-turbo")
    if plain in catalogue.versions:
        return plain, None
    if plain in catalogue.raw["alias"]:
        base, version = catalogue.raw["alias"][plain]
        return base, version or None
    for base in catalogue.names:
        if plain.startswith(base + "-") and plain[len(base) + 1 :] in catalogue.versions[base]:
            return base, plain[len(base) + 1 :]
    dated = _DATED.fullmatch(plain)
    return (dated["name"], dated["version"]) if dated else (plain, None)


def _near(name: str) -> list[str]:
    from difflib import get_close_matches  # only an error pays for it

    base, _ = _split(name)
    names = _catalogue().names
    # What begins with a known name is first of all that name, however long its tail.
    within = [one for one in names if base.startswith(one) and not base[len(one) :][:1].isalnum()]
    longer = sorted(one for one in names if base and one.startswith(base))
    return list(dict.fromkeys([*within[:1], *longer, *get_close_matches(base, names, n=3, cutoff=0.6)]))[:5]


@cache
def _model(name: str, version: str) -> Model:
    catalogue = _catalogue()
    facts = dict(catalogue.versions[name][version])
    facts["source"] = "; ".join(catalogue.raw["source"][one] for one in facts["source"])
    facts["checked"] = date.fromisoformat(facts["checked"])
    if "retires" in facts:
        facts["retires"] = date.fromisoformat(facts["retires"])
    for direction in ("input_modalities", "output_modalities"):
        facts[direction] = tuple(facts.get(direction, ()))
    if "chat_rule" in facts:
        facts["chat_rule"] = _chat_rule(facts["chat_rule"])
        facts["schema_rule"] = _schema_rule(facts["chat_rule"].schema_rule, name)
    if "tool_rule" in facts:
        facts["tool_rule"] = _tool_rule(facts["tool_rule"])
        facts.setdefault("tool_known", facts["tool_rule"].known)
    if "image_rule" in facts:
        facts["image_rule"] = _image_rule(facts["image_rule"])
        facts.setdefault("image_known", facts["image_rule"].known)
    facts["service_texts"] = _service_texts().get((name, version), ())
    return Model(**facts)


@cache
def _chat_rule(name: str) -> ChatRule:
    return ChatRule(name=name, **_catalogue().raw["chat_rule"][name])


@cache
def _service_texts() -> Mapping[tuple[str, str], tuple[ServiceText, ...]]:
    found: dict[tuple[str, str], tuple[ServiceText, ...]] = {}
    for entry in _catalogue().raw["service_text"]:
        facts = dict(entry)
        key = facts.pop("model"), facts.pop("version")
        for name in ("first", "seen_first", "seen_last", "last"):
            facts[name] = date.fromisoformat(facts[name])
        found[key] = (*found.get(key, ()), ServiceText(**facts))
    return found


def _schema_rule(rule: str | None, model: str) -> SchemaRule | None:
    if rule is None:
        return None
    facts = dict(_catalogue().raw["schema_rule"][rule])
    facts["models"] = tuple(facts["models"])
    if not model.startswith(facts["models"]):
        facts["known"] = "assumed"
    return SchemaRule(name=rule, **facts)


@cache
def _tool_rule(name: str) -> ToolRule:
    facts = dict(_catalogue().raw["tool_rule"][name])
    for api in ("chat", "responses"):
        if api in facts:
            facts[api] = ToolForm(**facts[api] | {"unsure_choices": tuple(facts[api].get("unsure_choices", ()))})
    return ToolRule(name=name, **facts)


@cache
def _image_rule(name: str) -> ImageRule:
    facts = dict(_catalogue().raw["image_rule"][name])
    facts["levels"] = {level: DetailLevel(**limits) for level, limits in facts.get("levels", {}).items()}
    return _image_rule_again({"name": name, **facts})


def _image_rule_again(facts: dict[str, Any]) -> ImageRule:
    return ImageRule(**facts | {"levels": MappingProxyType(facts["levels"])})
