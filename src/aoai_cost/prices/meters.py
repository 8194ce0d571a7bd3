"""What a meter of the Azure Retail Prices API prices, read from its name.

Azure documents no grammar for these names. A name is cut into words, and each word or phrase is one of the price
list's own (`_WORDS`: scope, tier, direction and so on, written out or abbreviated) or is taken for a model's. The
words of a model must be the name of exactly one model of the catalogue; a date picks its version. Whatever stays
unclear is said in ``unmatched``; nothing is guessed but the version that a name without a date means (`_MEANT`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, lru_cache
from itertools import groupby
from typing import NamedTuple

from ..catalog import list_models
from .rows import ANY_MODEL

__all__ = ["MeterReading", "read_measure", "read_meter_name", "read_unit"]


class MeterReading(NamedTuple):
    """What a meter prices, in the words of a price row; ``input+output`` is one price for both."""

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
    "legacy": {"az": ("az",)},
    "tier": {"batch": ("batch",), "priority": ("priority processing", "priority"), "flex": ("flex processing", "flex")},
    "side": {"input": ("input", "in"), "output": ("output", "out", "opt")},
    "cached": {"cached_input": ("cached", "cch", "cd")},
    "write": {"cache_write": ("write", "wr")},
    "band": {"short": ("short context", "short"), "long": ("long context", "long")},
    "tuning": {"ft": ("fine tuned", "fine tuning"), "rft": ("reinforcement fine tuning", "rft")},
    "grader": {"grader": ("model grader", "model ft grader", "grader")},
    "deployment": {
        "developer": ("developer",),
        "provisioned": ("provisioned managed", "ptu"),
        "commitment": tuple(f"provisioned throughput{more}" for more in ("", " available", " overage")),
    },
    "work": {"training": ("training",), "hosting": ("hosting",)},
    "tool": {"code_interpreter": ("code interpreter",), "file_search": ("file search", "vector storage")},
    "modality": {"text": ("text",), "audio": ("audio",), "image": ("image",)},
    "look": {one: (one,) for one in ("hd", "high", "low", "res", "sq")} | {"std": ("standard", "std")},
    "quantity": {"1k": ("1k",), "1m": ("1m",)},
    "model": {"tts": ("text to speech",), "diarize": ("d",), "realtime": ("rt",)},
    "noun": {
        **{noun: (noun, f"{noun}s") for noun in ("character", "session", "call", "month", "hour", "minute", "second")},
        **{"token": ("token", "tokens", "tkn"), "image": ("images",), "byte-day": ("gb/day", "day")},
    },
    # "speech to text batch" is what the Speech service calls the transcription of files: no batch tier.
    "silent": {
        one: (one,)
        for one in (
            *("azure", "openai", "unit", "units", "assistants", "tool", "gb", "deployment", "base", "ep", "video"),
            *("speech", "speech to text", "speech to text batch"),
        )
    },
}
"""The price list's own words by what they say: slot, value, phrases.

Meters abbreviate at will (`_says`), so beside the full phrase only what is too short for that rule is listed. Nouns
are what is counted, in names and in ``unitOfMeasure``; they are not abbreviated further, for ``img`` is a modality.
Silent words are not abbreviated either: what is passed over must be known for certain (``DPO`` is no ``deployment``).
"""

_SILENT_BESIDE = {
    **dict.fromkeys(("assistants", "tool", "gb"), "tool"),
    **{"deployment": "work", "ep": "scope", "base": "completion", "video": "video"},
    **{"speech": "speech transcription", "speech to text": "transcription", "speech to text batch": "transcription"},
}
"""What a silent word may stand beside, a slot or a kind of model: elsewhere it would say something that is not read."""

_PHRASES = {
    phrase: (slot, value) for slot, values in _WORDS.items() for value, phrases in values.items() for phrase in phrases
}

_OPTIONAL = frozenset(("gpt", "text", "oss", "preview", "002"))
"""The parts of a model's name that meters leave out; all others tell models apart."""

# No page says which version a meter without a date means. Where a later version has meters of its own, they carry its
# date; so what has none is taken for the first version's. What that rule does not give stands here, inferred by people
# from prices, start days and what could be bought by then.
_MEANT: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("gpt-35-turbo-4k", ""): (("gpt-35-turbo", "0613"), ("gpt-35-turbo", "0301")),
    ("gpt-35-turbo-16k", ""): (("gpt-35-turbo-16k", "0613"), ("gpt-35-turbo", "1106"), ("gpt-35-turbo", "0125")),
    ("gpt-35-turbo-16k", "ft"): (("gpt-35-turbo-16k", ""),),  # several versions can be tuned
    # Not the name above: these cost half of what 1106 and, with "125", 0125 cost.
    ("gpt-35-trb-16k", ""): (("gpt-35-turbo", "1106"), ("gpt-35-turbo", "0125")),
    ("gpt-4-8k", ""): (("gpt-4", "0613"), ("gpt-4", "0314")),
    ("gpt-4-32k", ""): (("gpt-4-32k", "0613"), ("gpt-4-32k", "0314")),
    ("gpt-4-turbo-128k", ""): (("gpt-4", "turbo-2024-04-09"), ("gpt-4", "0125-preview"), ("gpt-4", "1106-preview")),
    ("gpt-4-turbo-vision-128k", ""): (("gpt-4", "vision-preview"),),
    ("gpt-4o", "ft"): (("gpt-4o", "2024-08-06"),),  # the first version cannot be tuned
    # No version has meters of its own.
    ("gpt-5-chat", ""): (("gpt-5-chat", ""), ("gpt-5-chat", "2025-08-07"), ("gpt-5-chat", "2025-10-03")),
    ("o1", "batch"): (("o1-preview", "2024-09-12"),),  # o1 has "o1 1217 Batch", and o1-preview nothing else
    ("text-embedding-ada-002", ""): (("text-embedding-ada-002", "2"), ("text-embedding-ada-002", "1")),
}
"""By a name of the price list and a use (any, where empty): each (model, version) it may mean, the undated first."""

_KINDS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "image": (("image", "text"), ""),
    "realtime": (("audio", "image", "text"), "audio"),
    **dict.fromkeys(("audio", "transcription"), (("audio", "text"), "audio")),
    "speech": (("audio", "text"), ""),
    "video": ((), "video"),
}
"""By kind of model: what its tokens are metered by (of other kinds, all are text), and the meter that counts time."""

_TIMES = {noun: f"1 {noun}" for noun in ("hour", "minute", "second")}
_TOKENS = ("input", "cached_input", "cache_write", "output", "input+output", "training")
_UNITS: Mapping[str, Mapping[str, str]] = {
    **{meter: {"token": "1M tokens"} for meter in _TOKENS},
    **dict.fromkeys(("hosting", "training_time", "audio", "video"), _TIMES),
    "ptu": {"hour": "1 PTU-hour"},
    "ptu_legacy_hour": {"hour": "1 PTU-hour"},
    "ptu_legacy_month": {"month": "1 PTU-month"},
    "image": {"image": "1 image"},
    "character": {"character": "1M characters"},
    # Of tools a bare number will do.
    "session": {"session": "1 session", "": "1 session"},
    "tool_call": {"call": "1K calls", "": "1K calls"},
    "storage": {"byte-day": "1 GB-day"},
}
"""The sheets' unit of a meter, by what is counted."""

_PIECE = re.compile(
    r"\d{4}[- ]\d\d[- ]\d\d(?!\d)|\d+[- ]\d+[sS](?![a-zA-Z])"  # a date; a range of seconds
    r"|(?<![a-zA-Z])[oO]\d(?!\d)|\d+(?:\.\d+)?(?:[kmbpKMBP](?![a-zA-Z])|[oO])?"  # o3; 5.1, 128k, 20b, 1080p, 4o
    r"|[A-Z]*[a-z]+|[A-Z]+|[^\s\-_/,.()]",  # a word, of which several may be written as one: realtimePrvwAud
    re.ASCII,
)
_DATE = re.compile(r"\d{3,4}|\d{6}|\d{8}|\d{4}[- ]\d\d[- ]\d\d", re.ASCII)
_LOOK = re.compile(r"\d+p|\d+[- ]\d+s", re.ASCII)
_MEASURE = re.compile(r"(10*)([km]?)\s*/?\s*([a-z/]*)", re.ASCII)
_LONGEST_NAME = 200


class _Word(NamedTuple):
    """What a word or phrase of a name says, and where it stands; what nothing explains is taken for a model's."""

    slot: str
    value: str
    start: int
    end: int


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
    doubts += _misplaced(words, says, kind)
    if len(meter_name) > _LONGEST_NAME:
        doubts.append(f"the meter's name is longer than {_LONGEST_NAME} characters")
    sku, no_answer = _read_deployment(says)
    tier = says.get("tier", "default")
    meter = _read_meter(says, kind, unit_of_measure)
    if not meter:
        doubts.append(f"neither the meter's name nor its unit {unit_of_measure[:40]!r} say what is counted")
    elif read_unit(meter, meter_name, unit_of_measure) is None:
        doubts.append(f"the meter is {meter}, which is not counted by {unit_of_measure[:40]!r}")
    modality = _read_modality(rest, kind, meter, doubts)
    variant = says.get("tool") or _read_look(rest, tier, meter, doubts)
    reading = model, version, sku, tier, says.get("band", ""), _read_tuning(says), meter, modality, variant
    return MeterReading(*reading, next(iter(doubts), no_answer))


def read_unit(meter: str, meter_name: str, unit_of_measure: str) -> tuple[str, Decimal] | None:
    """Return the unit in which sheets state a meter's price, and what the listed price is multiplied by for it.

    None where the unit of measure does not fit the meter.

    Examples
    --------
    >>> read_unit("input", "gpt 4o 1120 Inp glbl Tokens", "1K")
    ('1M tokens', Decimal('1000'))
    """
    quantity, noun = read_measure(unit_of_measure)
    noun = noun or next((word.value for word in _words(meter_name) if word.slot == "noun"), "")
    unit = _UNITS.get(meter, {}).get(noun)
    return (unit, Decimal(read_measure(unit.split(" ")[0])[0]) / quantity) if quantity and unit else None


def read_measure(unit_of_measure: str) -> tuple[int, str]:
    """Return how many of what a listed price buys; (0, "") where that cannot be read."""
    found = _MEASURE.fullmatch(unit_of_measure[:_LONGEST_NAME].strip().lower())
    number, thousands, word = found.groups() if found else ("0", "", "")
    slot, noun = _PHRASES.get(word, ("", ""))
    if word and slot != "noun":
        return 0, ""
    return int(number) * {"": 1, "k": 1_000, "m": 1_000_000}[thousands], noun


def _read_model(
    words: Sequence[_Word], says: Mapping[str, str], product: str, meter_name: str, doubts: list[str]
) -> tuple[str, str, str, list[_Word]]:
    """Return model, its kind, version, and the words that might have been the model's and are not."""
    must = tuple(word.value for word in words if word.slot == "model")
    may = [word for word in words if word.slot in ("modality", "look")]
    of_any = "tool" in says or says.get("deployment") in ("provisioned", "commitment")
    if of_any and not must and not says.keys() & {"date", "side", "tuning", "grader"}:
        return ANY_MODEL, "", "", may
    if "tool" in says:
        doubts.append("the meter is of a tool, and names more")
    # "4.1" is a model of OpenAI among the products of OpenAI; elsewhere a name must be whole.
    found = _find_models(must, tuple(word.value for word in may), "openai" not in product.lower())
    if len(found) == 1:
        named, used = found[0]
        meant = _choose_version(named, says)
        if meant:
            return meant[0], _models()[named][0], meant[1], [word for i, word in enumerate(may) if i not in used]
        doubts.append(f"the catalogue knows no version {says['date']} of {named}")
    elif found:
        doubts.append(f"the meter's name fits several models: {', '.join(name for name, _ in found)}")
    else:
        doubts.append("the meter's name fits no model")
    unread = [i for i, word in enumerate(words) if word.slot in ("model", "date")]
    runs = [[i for _, i in run] for _, run in groupby(enumerate(unread), key=lambda one: one[1] - one[0])]
    shown = " ".join(meter_name[words[run[0]].start : words[run[-1]].end] for run in runs)
    return f"(unmapped: {shown})" if shown else "(unmapped)", "", "", may


def _choose_version(named: str, says: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the (model, version) of the meter's date, or what is meant without one; None for a date of no version."""
    meant = _models()[named][1]
    if "date" in says:
        dated = [one for one in meant if _is_dated(one[1], re.sub("[- ]", "", says["date"]))]
        return dated[0] if len(dated) == 1 else None
    use = "ft" if says.keys() & {"tuning", "grader"} else says.get("tier", "")
    return _MEANT.get((named, use), meant)[0]


def _is_dated(version: str, date: str) -> bool:
    """Tell whether a version is that of a date such as 125, 1120, 241120, 20241120 or 11202024."""
    digits = re.sub(r"\D", "", version)
    return date.zfill(4) in (digits[-4:], digits[-6:], digits, digits[4:] + digits[:4])


def _contradictions(words: Iterable[_Word], says: Mapping[str, str], unit_of_measure: str) -> Iterator[str]:
    measured = {"noun": read_measure(unit_of_measure)[1], "quantity": unit_of_measure[:40].strip().lower()}
    for slot in sorted(says.keys() - {"model", "modality", "look", "silent"}):
        values = {word.value for word in words if word.slot == slot} | {measured.get(slot) or says[slot]}
        if len(values) > 1:
            yield f"the meter says both {' and '.join(sorted(values))}"
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


def _misplaced(words: Iterable[_Word], says: Mapping[str, str], kind: str) -> Iterator[str]:
    for word in words:
        beside = _SILENT_BESIDE.get(word.value, "") if word.slot == "silent" else ""
        if beside and says.keys().isdisjoint(beside.split()) and kind not in beside.split():
            yield f"the meter says {word.value}, which is nothing that such a meter has"


def _read_tuning(says: Mapping[str, str]) -> str:
    if "grader" in says:
        return "grader"
    tuning = says.get("tuning", "ft" if says.get("work") in ("training", "hosting") else "")
    return f"dev_{tuning}" if tuning and says.get("deployment") == "developer" else tuning


def _read_deployment(says: Mapping[str, str]) -> tuple[str, str]:
    """Return the sku, in brackets where it is none of today's, and why such a row answers no question."""
    deployment = says.get("deployment")
    unstated = "(legacy meter, scope not stated)" if "legacy" in says else ""
    if "grader" in says:
        return "(model grader)", "the tokens of a model grader, which is no deployment"
    if deployment == "commitment":
        return unstated or "Provisioned (legacy commitment model)", "the commitment model that came before PTU hours"
    if deployment == "developer":
        return "DeveloperTier", ""
    if "scope" not in says:
        return unstated or "(not stated in meter)", "the meter states no deployment type"
    prefix = {"global": "Global", "data_zone": "DataZone", "regional": ""}[says["scope"]]
    if deployment == "provisioned":
        return f"{prefix}ProvisionedManaged", ""
    if says.get("tier") != "batch":
        return f"{prefix}Standard", ""
    return (f"{prefix}Batch", "") if prefix else ("Batch (regional)", "regional batch is no deployment type of today")


def _read_meter(says: Mapping[str, str], kind: str, unit_of_measure: str) -> str:
    """Return the meter; empty where neither the name nor the unit says it."""
    noun = read_measure(unit_of_measure)[1] or says.get("noun", "")
    if says.get("work") == "training" and noun in _TIMES:
        return "training_time"
    if "work" in says:
        return says["work"]
    if "tool" in says:
        return "storage" if noun == "byte-day" else "session" if says["tool"] == "code_interpreter" else "tool_call"
    if says.get("deployment") == "commitment":
        return f"ptu_legacy_{noun}"
    if says.get("deployment") == "provisioned":
        return "ptu"
    if noun in _TIMES:
        return _KINDS.get(kind, ((), ""))[1]
    if noun != "token":
        return noun if (noun, kind) in (("image", "image"), ("character", "speech")) else ""
    for slot in ("write", "cached", "side"):
        if slot in says:
            return says[slot]
    if "tuning" in says and "grader" not in says:
        return "training"
    if kind == "embedding":
        return "input"
    # The first models had one price for all tokens.
    return "input+output" if kind == "completion" or "legacy" in says else ""


def _read_modality(rest: Iterable[_Word], kind: str, meter: str, doubts: list[str]) -> str:
    """Return the modality that is named beside the model, or that of an audio model."""
    stated = sorted({word.value for word in rest if word.slot == "modality"})
    # Of what is no token, only "Image-DALL-E-2 ... Images" has such a word: its shelf.
    modalities = _KINDS.get(kind, (("text",), ""))[0] if meter in _TOKENS else (meter,)
    if len(stated) > 1:
        doubts.append(f"the meter says both {' and '.join(stated)}")
    elif not set(stated).issubset(modalities):
        doubts.append(f"no model of this kind has meters for {stated[0]} {'tokens' if meter in _TOKENS else meter}")
    elif not stated and len(modalities) > 1 and kind != "audio":
        doubts.append(f"the meter does not say whether it is for {' or '.join(modalities)}")
    if meter not in _TOKENS:
        return ""
    return stated[0] if stated else "audio" if kind == "audio" else ""


def _read_look(rest: Iterable[_Word], tier: str, meter: str, doubts: list[str]) -> str:
    """Return size and quality of an image or video."""
    looks = [re.sub("[- ]", "_", word.value) for word in rest if word.slot == "look"]
    if meter in ("image", "video"):
        return "_".join(looks) or ("any_size" if meter == "image" else "")
    # Of everything else, "Std" is the default tier.
    if looks and (set(looks) != {"std"} or tier != "default"):
        doubts.append(f"the meter says both {' '.join(looks)} and {meter if tier == 'default' else tier}")
    return ""


def _words(meter_name: str) -> list[_Word]:
    """Cut a name into words and say of each what it is; a phrase becomes one word."""
    pieces = [(found[0].lower(), *found.span()) for found in _PIECE.finditer(meter_name[:_LONGEST_NAME])]
    words: list[_Word] = []
    while pieces:
        for size in (4, 3, 2, 1):
            run = pieces[:size]
            meaning = _meaning(tuple(text for text, _, _ in run))
            if meaning:
                break
        slot, value = meaning or ("model", run[0][0])
        words.append(_Word(slot, value, run[0][1], run[-1][2]))
        del pieces[: len(run)]
    return words


@lru_cache(4096)
def _meaning(phrase: tuple[str, ...]) -> tuple[str, str] | None:
    """Return slot and value of a phrase; None for words of a model and for what is unknown or has two meanings."""
    exact = " ".join(phrase)
    if exact in _PHRASES:
        return _PHRASES[exact]
    if exact in _segments():
        return None
    for slot, pattern in (("date", _DATE), ("look", _LOOK)):
        if pattern.fullmatch(exact):
            return slot, exact
    meanings = {
        meaning for known, meaning in _PHRASES.items() if meaning[0] not in ("noun", "silent") and _says(phrase, known)
    }
    # A word that may as well belong to a model's name is neither; a modality is the same word in both.
    rivals = (part for part in _segments() if len(phrase) == 1 and _PHRASES.get(part) not in meanings)
    return meanings.pop() if len(meanings) == 1 and not any(_abbreviates(phrase[0], part) for part in rivals) else None


def _says(phrase: Sequence[str], known: str) -> bool:
    """Tell whether words say a known phrase: word by word, or one word that is cut from both of its two.

    Both words of two may be cut short (``short co``); a word that is known itself stands for no other.
    """
    fulls = known.split(" ")
    if len(phrase) == len(fulls) == 1:
        return len(phrase[0]) > 2 and _abbreviates(phrase[0], known)
    cuts = [phrase] if len(phrase) == len(fulls) and min(map(len, phrase)) > 1 else []
    if len(phrase) == 1 and len(fulls) == 2:
        cuts = [(phrase[0][:i], phrase[0][i:]) for i in range(1, len(phrase[0]))]
    elif any(part not in fulls and (part in _PHRASES or part in _segments()) for part in phrase):
        return False
    return any(all(b.startswith(a) or _abbreviates(a, b) for a, b in zip(cut, fulls, strict=True)) for cut in cuts)


@lru_cache(65536)
def _abbreviates(word: str, full: str) -> bool:
    """Tell whether a word keeps the beginning of another and its end (``rtime``), or some later consonants, in order.

    Doubled letters count once (``cchd``), and a plural's s is no letter. Two letters must be the first two consonants,
    and three the first ones or the beginning, for any fit too much (``dz`` in ``diarize``). Numbers may drop their
    point: 41 is 4.1, as in gpt-35-turbo.

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
    if len(word) == 3:
        return full.startswith(word) or (full[0] + re.sub("[aeiou]", "", full[1:])).startswith(word)
    halves = ((word[:i], word[i:]) for i in range(1, len(word) - 2) if full[i : i + 1] in set("aeiou"))
    if any(full.startswith(start) and full.endswith(end) for start, end in halves):
        return True
    short, long = (re.sub(r"(.)\1+", r"\1", one) for one in (word, full))
    kept = next(i for i in range(len(short), 0, -1) if long.startswith(short[:i]))
    letters = iter(re.sub("[aeiou]", "", long[kept:]))
    return len(short) > 2 and all(letter in letters for letter in short[kept:])


@lru_cache(4096)
def _find_models(must: tuple[str, ...], may: tuple[str, ...], whole: bool) -> list[tuple[str, frozenset[int]]]:
    """Return the models that have all of `must` in their names, and which of `may` they have.

    Those who have most of `may` are preferred, then those who leave least of their names unsaid.
    """
    fits = []
    for named in _models() if must else ():
        left = _take(must, named.split("-"))
        if left is not None:
            used = frozenset(i for i, word in enumerate(may) if word in left and word not in may[:i])
            left = [part for part in left if part not in may]
            if _OPTIONAL.issuperset(left) and not (whole and left):
                fits.append(((-len(used), len(left)), named, used))
    least = min((rank for rank, _, _ in fits), default=None)
    return [(named, used) for rank, named, used in fits if rank == least]


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
def _models() -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    """Return kind and each (model, version) that may be meant by every name of a model, the undated first."""
    found: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {}
    for model in list_models():  # from the newest version
        earlier = found[model.name][1] if model.name in found else ()
        found[model.name] = model.kind, ((model.name, model.version), *earlier)
    return found | {name: (found[meant[0][0]][0], meant) for (name, use), meant in _MEANT.items() if not use}


@cache
def _segments() -> frozenset[str]:
    return frozenset(part for name in _models() for part in name.split("-"))
