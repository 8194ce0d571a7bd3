"""What a meter of the Azure Retail Prices API prices, read from its name.

Azure documents no grammar for these names. A name is cut into words; each word is one of the price list's own
(`_WORDS`: scope, tier, direction and so on, written out or abbreviated) or one of a model's name, and what is left
over must be exactly one model of the catalogue. Whatever stays unclear is said in ``unmatched``; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple

from ..catalog import list_models
from .rows import ANY_MODEL, UNITS

__all__ = ["MeterReading", "read_meter_name", "read_unit"]


class MeterReading(NamedTuple):
    """What a meter prices, in the words of a price row."""

    model: str
    version: str
    sku: str
    tier: str
    band: str
    fine_tuned: str
    meter: str
    modality: str
    variant: str
    unmatched: str
    """Why such a row answers no question; empty where it does."""


_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "scope": {"global": ("global", "gl"), "data_zone": ("data zone",), "regional": ("regional", "rg")},
    "tier": {"batch": ("batch",), "priority": ("priority processing", "prio"), "flex": ("flex processing", "flex")},
    "side": {"input": ("input", "inp", "in"), "output": ("output", "outp", "out", "opt")},
    "cached": {"cached": ("cached", "cache", "cch", "cd")},
    "write": {"write": ("write", "wr")},
    "band": {"short": ("short context", "short"), "long": ("long context", "long")},
    "tuning": {"ft": ("fine tuned", "fine tuning"), "rft": ("reinforcement fine tuning", "rft")},
    "grader": {"grader": ("model grader", "grader")},
    "deployment": {"developer": ("developer", "dev"), "provisioned": ("provisioned managed", "provisioned", "ptu")},
    "work": {"training": ("training",), "hosting": ("hosting",), "storage": ("vector storage", "storage")},
    "tool": {"session": ("code interpreter",), "tool_call": ("file search",)},
    "modality": {"text": ("text",), "audio": ("audio",), "image": ("image",)},
    "look": {one: (one,) for one in ("hd", "high", "medium", "low", "res", "sq")} | {"std": ("standard", "std")},
    "quantity": {"1k": ("1k",), "1m": ("1m",)},
    "shelf": {"speech": ("speech",)},
    "model": {"tts": ("text to speech",)},
}
"""The price list's own words by what they say: slot, value, phrases.

Meters abbreviate at will (`_says`), so beside the full phrase only what is too short for that rule is listed, and what
is written onto another word (``BatchOutp``).
"""

_NOUNS: Mapping[str, tuple[str, ...]] = {
    "token": ("token", "tokens", "tkn", "tkns"),
    "image": ("images",),
    "character": ("character", "characters", "chars"),
    "session": ("session", "sessions"),
    "call": ("call", "calls"),
    "hour": ("hour", "hours", "hr", "hrs"),
    "minute": ("minute", "minutes", "min", "mins"),
    "second": ("second", "seconds", "sec"),
    "byte-day": ("gb/day",),
}
"""What is counted, in names and in ``unitOfMeasure``; not abbreviated further, for ``img`` is a modality."""

_SILENT = frozenset(
    ("az", "azure", "openai", "base", "deployment", "ep", "unit", "units", "gb", "video", "tool", "tools", "assistants")
)
"""Words that say nothing: "Az-" marks a meter of the first years, which states no scope."""

_SPELLINGS = {
    "d": ("diarize",),
    "rt": ("realtime",),
    "lg": ("large",),
    "dalle": ("dall", "e"),
    "dr": ("deep", "research"),
    "cu": ("computer", "use"),
}
"""Words of models that no rule takes apart."""

_OPTIONAL = frozenset(("gpt", "text", "oss", "preview", "002", "128k"))
"""The parts of a model's name that meters leave out; all others tell models apart."""

_PRICED_AS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "gpt-4-8k": ("gpt-4", ("0613", "0314")),
    "gpt-4-32k": ("gpt-4-32k", ("0613", "0314")),
    "gpt-4-preview": ("gpt-4", ("0125-preview", "1106-preview")),
    "gpt-4-turbo-128k": ("gpt-4", ("turbo-2024-04-09",)),
    "gpt-4-turbo-vision-128k": ("gpt-4", ("vision-preview",)),
    "gpt-4-vision-preview": ("gpt-4", ("vision-preview",)),
    "gpt-35-turbo-4k": ("gpt-35-turbo", ("0613", "0301")),
    "text-embedding-ada-002": ("text-embedding-ada-002", ("2", "1")),
}
"""Names of the price list that do not mean every version of a model; without a date they mean the first one here."""

_UNDATED_TUNED = {"gpt-4o": "2024-08-06", "gpt-35-turbo": "", "gpt-35-turbo-16k": ""}
"""The version of fine-tuning meters without a date: of gpt-4o one can be tuned, of gpt-35-turbo several."""

# A later version of these gets meters with its date, so a meter without one is the first version's; the versions of a
# chat model share such a meter.
_FIRST_IF_UNDATED = frozenset(("audio", "realtime", "transcription", "speech"))

_MODALITIES = {"image": ("image", "text"), "realtime": ("audio", "image", "text")} | dict.fromkeys(
    ("audio", "transcription", "speech"), ("audio", "text")
)
"""What the tokens of a kind of model are metered by; of other kinds, all tokens are text."""

_TIMED = {"video": "video", "audio": "audio", "realtime": "audio", "transcription": "audio"}
"""The meter that counts time, by the kind of model."""
_TIMES = frozenset(("hour", "minute", "second"))
_TOKEN_METERS = frozenset(("input", "cached_input", "cache_write", "output", "training", "tokens_flat"))
_COUNTED = {
    "image": ("1 image", ("image",)),
    "character": ("1M characters", ("character",)),
    "session": ("1 session", ("session", "")),
    "tool_call": ("1K calls", ("call", "")),
}
"""The sheets' unit of what is counted one by one, and what meters call it; of tools a bare number will do."""

_PIECE = re.compile(
    r"\d{4}[- ]\d\d[- ]\d\d(?!\d)|\d+[- ]\d+s(?![a-z])"  # a date; a range of seconds
    r"|(?<![a-z])o\d(?!\d)|\d+(?:\.\d+)?(?:[kmbp](?![a-z])|o)?"  # o3; 5.1, 128k, 20b, 1080p, 4o
    r"|[a-z]+|[^\s\-_/,.()]",
    re.ASCII | re.IGNORECASE,
)
_DATE = re.compile(r"\d{4}|\d{6}|\d{8}|\d{4}[- ]\d\d[- ]\d\d", re.ASCII)
_LOOK = re.compile(r"\d+p|\d+[- ]\d+s", re.ASCII)
_MEASURE = re.compile(r"(10*)([km]?)\s*/?\s*([a-z/]*)", re.ASCII)
_LONGEST_NAME = 200


class _Word(NamedTuple):
    """What a word or phrase of a name says, and where it stands; what nothing explains is taken for a model's."""

    slot: str
    value: str
    start: int
    end: int


class _Found(NamedTuple):
    """A model that a name fits: the versions it may mean, and which of the words that may be the model's are."""

    model: str
    kind: str
    versions: tuple[str, ...]
    named: str
    used: frozenset[int]


def read_meter_name(product: str, meter_name: str, unit_of_measure: str) -> MeterReading:
    """Read what a meter prices from its names and its unit.

    Parameters
    ----------
    product, meter_name, unit_of_measure : str
        ``productName``, ``meterName`` and ``unitOfMeasure`` of the Retail Prices API.

    Examples
    --------
    >>> read_meter_name("Azure OpenAI", "gpt 4o 1120 cached Inp glbl Tokens", "1K")[:3]
    ('gpt-4o', '2024-11-20', 'GlobalStandard')
    >>> read_meter_name("Azure OpenAI", "gpt 4o tiny Inp glbl Tokens", "1K").model
    '(unmapped: gpt 4o tiny)'
    """
    words = _words(meter_name)
    says = {word.slot: word.value for word in reversed(words)}
    doubts: list[str] = []
    model, kind, version, rest = _read_model(words, says, product, meter_name, doubts)
    doubts += _contradictions(words, says, unit_of_measure)
    if len(meter_name) > _LONGEST_NAME:
        doubts.append(f"the meter's name is longer than {_LONGEST_NAME} characters")
    fine_tuned = _read_tuning(says)
    sku, tier = _read_deployment(words, says), says.get("tier", "default")
    meter = _read_meter(says, kind, unit_of_measure)
    if not meter:
        doubts.append(f"neither the meter's name nor its unit {unit_of_measure[:40]!r} say what is counted")
    elif read_unit(meter, meter_name, unit_of_measure) is None:
        doubts.append(f"the meter is {meter}, which is not counted by {unit_of_measure[:40]!r}")
    modality, variant = _read_modality(rest, kind, meter, doubts), _read_variant(rest, tier, meter, doubts)
    doubts += _reasons(sku, meter)
    reading = model, version, sku, tier, says.get("band", ""), fine_tuned, meter, modality, variant
    return MeterReading(*reading, next(iter(doubts), ""))


def read_unit(meter: str, meter_name: str, unit_of_measure: str) -> tuple[str, Decimal] | None:
    """Return the unit in which sheets state a meter's price, and what the listed price is multiplied by for it.

    None where the unit of measure does not fit the meter.

    Examples
    --------
    >>> read_unit("input", "gpt 4o 1120 Inp glbl Tokens", "1K")
    ('1M tokens', Decimal('1000'))
    """
    quantity, noun = _read_measure(unit_of_measure)
    noun = noun or next((word.value for word in _words(meter_name) if word.slot == "noun"), "")
    if meter in ("hosting", "training_time", "audio", "video", "ptu") and noun in _TIMES:
        unit, of_unit = f"1 PTU-{noun}" if meter == "ptu" else f"1 {noun}", 1
    elif meter == "storage" and noun == "byte-day":
        unit, of_unit = "1 GB-day", 1
    elif meter in _TOKEN_METERS and noun == "token":
        unit, of_unit = "1M tokens", 1_000_000
    elif meter in _COUNTED and noun in _COUNTED[meter][1]:
        unit = _COUNTED[meter][0]
        of_unit = UNITS[unit].quantity
    else:
        return None
    return (unit, Decimal(of_unit) / quantity) if quantity and unit in UNITS else None


def _read_measure(unit_of_measure: str) -> tuple[int, str]:
    """Return how many of what a listed price buys; (0, "") where that cannot be read."""
    found = _MEASURE.fullmatch(unit_of_measure[:_LONGEST_NAME].strip().lower())
    number, thousands, word = found.groups() if found else ("0", "", "")
    noun = _noun(word)
    if word and not noun:
        return 0, ""
    return int(number) * {"": 1, "k": 1_000, "m": 1_000_000}[thousands], noun


def _read_model(
    words: Sequence[_Word], says: Mapping[str, str], product: str, meter_name: str, doubts: list[str]
) -> tuple[str, str, str, list[_Word]]:
    """Return model, its kind, version, and the words that might have been the model's and are not."""
    must = tuple(word.value for word in words if word.slot == "model")
    may = [word for word in words if word.slot in ("modality", "look", "shelf")]
    of_any = "tool" in says or says.get("work") == "storage" or says.get("deployment") == "provisioned"
    if of_any and not must and not says.keys() & {"date", "side", "tuning", "grader"}:
        return ANY_MODEL, "", "", may
    # "4.1" is a model of OpenAI among the products of OpenAI; elsewhere a name must be whole.
    found = _find_models(must, tuple(word.value for word in may), "openai" not in product.lower())
    if len(found) == 1:
        version = _read_version(found[0], says)
        if version is not None:
            rest = [word for i, word in enumerate(may) if i not in found[0].used]
            return found[0].model, found[0].kind, version, rest
        doubts.append(f"the catalogue knows no version {says['date']} of {found[0].model}")
    elif found:
        doubts.append(f"the meter's name fits several models: {', '.join(one.named for one in found)}")
    else:
        doubts.append("the meter's name fits no model")
    named = [i for i, word in enumerate(words) if word.slot in ("model", "date")]
    runs = [[i for _, i in run] for _, run in groupby(enumerate(named), key=lambda one: one[1] - one[0])]
    shown = " ".join(meter_name[words[run[0]].start : words[run[-1]].end] for run in runs)
    return f"(unmapped: {shown})" if shown else "(unmapped)", "", "", may


def _read_version(found: _Found, says: Mapping[str, str]) -> str | None:
    """Return the version, empty where the meter means any or does not say; None for a date of no version."""
    if "date" in says:
        dated = [version for version in found.versions if _is_dated(version, re.sub("[- ]", "", says["date"]))]
        return dated[0] if len(dated) == 1 else None
    if says.keys() & {"tuning", "grader"} and found.model in _UNDATED_TUNED:
        return _UNDATED_TUNED[found.model]
    if len(found.versions) == 1 or found.named in _PRICED_AS:
        return found.versions[0]
    return found.versions[-1] if found.kind in _FIRST_IF_UNDATED else ""


def _is_dated(version: str, date: str) -> bool:
    """Tell whether a version is that of a date such as 1120, 241120, 20241120 or 11202024."""
    digits = "".join(filter(str.isdigit, version))
    return len(digits) >= 4 and (digits.endswith(date) or (len(date) == 8 and date == digits[4:] + digits[:4]))


def _contradictions(words: Iterable[_Word], says: Mapping[str, str], unit_of_measure: str) -> Iterator[str]:
    for slot in says.keys() - {"model", "modality", "look", "shelf", "silent"}:
        values = sorted({word.value for word in words if word.slot == slot})
        if len(values) > 1:
            yield f"the meter says both {' and '.join(values)}"
    measured = unit_of_measure.strip().lower()
    if says.get("quantity", measured) != measured:
        yield f"the meter says both {says['quantity'].upper()} and {unit_of_measure[:40]}"
    noun = _read_measure(unit_of_measure)[1]
    if noun and says.get("noun", noun) != noun:
        yield f"the meter says both {says['noun']} and {noun}"
    # Each of a row excludes the others.
    for slots in (("deployment", "tier"), ("work", "side"), ("work", "cached"), ("work", "write"), ("grader", "work")):
        if says.keys() >= set(slots):
            yield f"the meter says both {' and '.join(says[slot] for slot in slots)}"
    if says.get("side") == "output" and says.keys() & {"cached", "write"}:
        yield "the meter says both cached and output"
    if says.get("deployment") == "developer":
        if says.get("scope", "global") != "global":
            yield f"the meter says both developer and {says['scope']}"
        if not says.keys() & {"tuning", "grader"}:
            yield "the meter is of a developer tier and does not say how the model was tuned"


def _read_tuning(says: Mapping[str, str]) -> str:
    if "grader" in says:
        return "grader"
    tuning = says.get("tuning", "ft" if says.get("work") in ("training", "hosting") else "")
    return f"dev_{tuning}" if tuning and says.get("deployment") == "developer" else tuning


def _read_deployment(words: Iterable[_Word], says: Mapping[str, str]) -> str:
    """Return the sku; in brackets what is none of today's."""
    if "grader" in says:
        return "(model grader)"
    if says.get("deployment") == "developer":
        return "DeveloperTier"
    if "scope" not in says:
        legacy = any(word.value == "az" for word in words)
        return "(legacy meter, scope not stated)" if legacy else "(not stated in meter)"
    prefix = {"global": "Global", "data_zone": "DataZone", "regional": ""}[says["scope"]]
    if says.get("deployment") == "provisioned":
        return f"{prefix}ProvisionedManaged"
    if says.get("tier") == "batch":
        return f"{prefix}Batch" if prefix else "Batch (regional)"
    return f"{prefix}Standard"


def _read_meter(says: Mapping[str, str], kind: str, unit_of_measure: str) -> str:
    """Return the meter; empty where neither the name nor the unit says it."""
    noun = _read_measure(unit_of_measure)[1] or says.get("noun", "")
    if says.get("work") == "training":
        return "training_time" if noun in _TIMES else "training"
    if "work" in says or "tool" in says:
        return says.get("work") or says["tool"]
    if says.get("deployment") == "provisioned":
        return "ptu"
    if noun in _TIMES:
        return _TIMED.get(kind, "")
    if noun != "token":
        return noun if (noun, kind) in (("image", "image"), ("character", "speech")) else ""
    if "write" in says:
        return "cache_write"
    if "cached" in says:
        return "cached_input"
    if "side" in says:
        return says["side"]
    if "tuning" in says and "grader" not in says:
        return "training"
    return {"embedding": "input", "completion": "tokens_flat"}.get(kind, "")


def _read_modality(rest: Iterable[_Word], kind: str, meter: str, doubts: list[str]) -> str:
    """Return the modality that is named beside the model, or that of an audio model."""
    stated = sorted({word.value for word in rest if word.slot == "modality"})
    if len(stated) > 1:
        doubts.append(f"the meter says both {' and '.join(stated)}")
    if meter not in _TOKEN_METERS or meter == "training":
        # "Image-DALL-E-2 ... Images" says its shelf.
        if stated and stated != [meter]:
            doubts.append(f"the meter says both {' and '.join(stated)} and {meter or 'nothing that is counted'}")
        return ""
    modalities = _MODALITIES.get(kind, ("text",))
    if kind and not set(stated).issubset(modalities):
        doubts.append(f"no model of this kind has meters for {stated[0]} tokens")
    if not stated and len(modalities) > 1 and kind != "audio":
        doubts.append(f"the meter does not say whether it is for {' or '.join(modalities)}")
    return stated[0] if stated else "audio" if kind == "audio" else ""


def _read_variant(rest: Iterable[_Word], tier: str, meter: str, doubts: list[str]) -> str:
    """Return size and quality of an image or video."""
    looks = [re.sub("[- ]", "_", word.value) for word in rest if word.slot == "look"]
    if meter in ("image", "video"):
        return "_".join(looks) or ("any_size" if meter == "image" else "")
    # Of everything else, "Std" is the default tier.
    if looks and (set(looks) != {"std"} or tier != "default"):
        doubts.append(f"the meter says both {' '.join(looks)} and {meter if tier == 'default' else tier}")
    return ""


def _reasons(sku: str, meter: str) -> Iterator[str]:
    """Yield why a row that is read throughout still answers no question."""
    if sku == "(model grader)":
        yield "the tokens of a model grader, which is no deployment"
    elif sku == "Batch (regional)":
        yield "regional batch is no deployment type of today"
    elif sku.startswith("("):
        yield "the meter states no deployment type"
    if meter == "tokens_flat":
        yield "one price for input and output tokens alike"


def _words(meter_name: str) -> list[_Word]:
    """Cut a name into words and say of each what it is; a phrase becomes one word."""
    pieces = [
        (part, *found.span())
        for found in _PIECE.finditer(meter_name[:_LONGEST_NAME])
        for part in _SPELLINGS.get(found[0].lower()) or _unglued(found[0].lower())
    ]
    words: list[_Word] = []
    while pieces:
        for size in (3, 2, 1):
            run = pieces[:size]
            meaning = _meaning(tuple(text for text, _, _ in run))
            if meaning:
                break
        slot, value = meaning or ("model", run[0][0])
        words.append(_Word(slot, value, run[0][1], run[-1][2]))
        del pieces[: len(run)]
    return words


@lru_cache(4096)
def _unglued(word: str) -> tuple[str, ...]:
    """Cut a word that is two known words written as one, such as ``batchoutp`` and ``codexmax``."""
    cuts = [(word[:i], word[i:]) for i in range(2, len(word) - 1) if {word[:i], word[i:]} <= _spelled_out()]
    return cuts[0] if len(cuts) == 1 and word not in _segments() and not _meaning((word,)) else (word,)


@lru_cache(4096)
def _meaning(phrase: tuple[str, ...]) -> tuple[str, str] | None:
    """Return slot and value of a phrase; None for words of a model and for what is unknown or has two meanings."""
    exact = " ".join(phrase)
    for slot, known in (("noun", _noun(exact)), ("date", _DATE.fullmatch(exact)), ("look", _LOOK.fullmatch(exact))):
        if known:
            return slot, known if isinstance(known, str) else exact
    if exact in _phrases():
        return _phrases()[exact]
    if any(word in _phrases() or (word in _segments() and word != "model") for word in phrase):
        return None
    meanings = {meaning for known, meaning in _phrases().items() if _says(phrase, known.split(" "))}
    # A word that may as well belong to a model's name is neither; a modality is the same word in both.
    rivals = (part for part in _segments() if len(phrase) == 1 and _phrases().get(part) not in meanings)
    return meanings.pop() if len(meanings) == 1 and not any(_abbreviates(phrase[0], part) for part in rivals) else None


def _says(phrase: Sequence[str], known: Sequence[str]) -> bool:
    """Tell whether words say a known phrase: word by word, or one word that is cut from both of its two."""
    if len(phrase) == len(known):
        return all(map(_abbreviates, phrase, known)) and (len(known) > 1 or len(phrase[0]) > 2)
    if len(phrase) != 1 or len(known) != 2:
        return False
    return any(
        all(full.startswith(part) or _abbreviates(part, full) for part, full in zip(cut, known, strict=True))
        for cut in ((phrase[0][:i], phrase[0][i:]) for i in range(1, len(phrase[0])))
    )


@lru_cache(65536)
def _abbreviates(word: str, full: str) -> bool:
    """Tell whether a word keeps the first letter of another and some later ones, in order.

    Doubled letters count once (``cchd``), and a plural's s is no letter. Two letters must be the first two consonants,
    for any two fit too much (``dz`` in ``diarize``). Numbers may drop their point: 41 is 4.1, as in gpt-35-turbo.

    Examples
    --------
    >>> _abbreviates("trscb", "transcribe"), _abbreviates("mn", "mini"), _abbreviates("dz", "diarize")
    (True, True, False)
    """
    if word in (full, full + "s"):
        return True
    if word[0] != full[0] or not word.isalpha():
        return len(word) > 1 and word[0].isdigit() and word.replace(".", "") == full.replace(".", "")
    if len(word) < 3:
        return len(word) == 2 and word == (full[0] + re.sub("[aeiou]", "", full[1:]))[:2]
    letters = iter(re.sub(r"(.)\1+", r"\1", full))
    return all(letter in letters for letter in re.sub(r"(.)\1+", r"\1", word))


@lru_cache(4096)
def _find_models(must: tuple[str, ...], may: tuple[str, ...], whole: bool) -> list[_Found]:
    """Return the models that have all of `must` in their names: who use most of `may`, then who leave least unsaid."""
    best: list[_Found] = []
    least = (0, 0)
    for named, (model, kind, versions) in _models().items():
        left = _take(must, named.split("-")) if must else None
        if left is None:
            continue
        used = set()
        for i, word in enumerate(may):
            if word in left:
                left.remove(word)
                used.add(i)
        rank = (-len(used), len(left))
        if _OPTIONAL.issuperset(left) and not (whole and left) and (not best or rank <= least):
            best = [*(best if rank == least else ()), _Found(model, kind, versions, named, frozenset(used))]
            least = rank
    return best


def _take(words: Sequence[str], parts: list[str]) -> list[str] | None:
    """Return what is left of a name's parts when each word has taken one; None if they cannot."""
    if not words:
        return parts
    for i, part in enumerate(parts):
        if words[0] == part or (words[0] not in _segments() and _abbreviates(words[0], part)):
            left = _take(words[1:], parts[:i] + parts[i + 1 :])
            if left is not None:
                return left
    return None


@cache
def _models() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Return (model, kind, versions from the newest) by every name of a model."""
    found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for model in list_models():
        versions = found[model.name][2] if model.name in found else ()
        found[model.name] = model.name, model.kind, (*versions, model.version)
    return found | {name: (model, found[model][1], versions) for name, (model, versions) in _PRICED_AS.items()}


@cache
def _segments() -> frozenset[str]:
    return frozenset(part for name in _models() for part in name.split("-"))


@cache
def _phrases() -> dict[str, tuple[str, str]]:
    said = {
        phrase: (slot, value)
        for slot, values in _WORDS.items()
        for value, phrases in values.items()
        for phrase in phrases
    }
    return said | {word: ("silent", word) for word in _SILENT}


@cache
def _spelled_out() -> frozenset[str]:
    return _segments().union(*(phrase.split(" ") for phrase in _phrases()))


def _noun(word: str) -> str:
    return next((noun for noun, forms in _NOUNS.items() if word in forms), "")
