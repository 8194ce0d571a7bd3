"""A theory gives every parameter of the recovered rules a value, or leaves it as the rule's neighbour has it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from switches import SWITCHES

from aoai_cost.catalog import Model, get_model, list_models

Value = int | float | str | bool | None
AS_NEIGHBOUR = "as its neighbour"
"""The value of a parameter that says: what the rule has that this one was made of."""


class Parameter(NamedTuple):
    """One figure, text or switch of a rule."""

    rule: str
    name: str


Theory = dict[Parameter, Value]

# The rule that another is taken for where no recording tells them apart.
NEIGHBOURS = {
    "chat_rule.o-series": "chat_rule.classic",
    "chat_rule.reasoning": "chat_rule.o-series",
    "tool_rule.classic-ascii.chat": "tool_rule.classic.chat",
    "tool_rule.classic-ascii.responses": "tool_rule.classic.responses",
    "tool_rule.functions-2023.chat": "tool_rule.classic.chat",
    "tool_rule.o-series.chat": "tool_rule.classic.chat",
    "tool_rule.o-series.responses": "tool_rule.classic.responses",
    "tool_rule.harmony.chat": "tool_rule.harmony-2025.chat",
    "tool_rule.harmony.responses": "tool_rule.harmony-2025.responses",
    "models.gpt-4o-mini": "models.gpt-4o",
    "models.gpt-4.1": "models.gpt-4o",
    "models.gpt-4.5": "models.gpt-4o",
    "models.audio": "models.gpt-4o",
    "models.2024": "models.gpt-4o",
    "models.2023": "models.2024",
    "models.o-series": "models.gpt-4o",
    "models.computer-use": "models.o-series",
    "models.gpt-5": "models.o-series",
    "models.gpt-5.4": "models.gpt-5",
}
HARMONY_HEADER = "# Tools\n\n## functions\n\nnamespace functions {\n\n"
HARMONY_FOOTER = "} // namespace functions"
# A call is a message of the assistant, and a result one whose author is the function (cookbook, and format.md).
UNPUBLISHED_FORM: dict[str, Value] = {
    "header": HARMONY_HEADER,
    "footer": HARMONY_FOOTER,
    "types": "2024",
    "tokens": 0,
    "heading": "",
    "joins_system": False,
    "call_prefix": "",
    "call_tokens": 4,
    "stored_call_tokens": 0,
    "result_prefix": "functions.",
    "result_tokens": 3,
    "parallel_tokens": None,
    "compact_arguments": False,
    "ascii_results": False,
    "forced_tokens": None,
    "required_tokens": 0,
    "none_tokens": 0,
}
# What format.md of openai/harmony writes around a call and a result, counted.
HARMONY_FORM = {**UNPUBLISHED_FORM, "call_prefix": " to=functions.", "call_tokens": 8, "result_tokens": 8}
UNPUBLISHED_SCHEMA: dict[str, Value] = {
    "responses_tokens": 0,
    "heading": "",
    "answer_tokens": 0,
    "history_tokens": 0,
    "after_tools": False,
}
PUBLISHED: dict[str, dict[str, Value]] = {
    "chat_rule.classic": {"message_tokens": 3, "request_tokens": 3, "name_tokens": 1, "assistant_tokens": 0},
    "schema_rule.classic": UNPUBLISHED_SCHEMA,
    "schema_rule.reasoning": UNPUBLISHED_SCHEMA,
    "tool_rule.classic.chat": UNPUBLISHED_FORM,
    "tool_rule.classic.responses": UNPUBLISHED_FORM,
    "tool_rule.harmony-2025.chat": HARMONY_FORM,
    "tool_rule.harmony-2025.responses": HARMONY_FORM,
    "models.gpt-4o": {"chat_rule": "classic", "tool_rule": "classic"},
    "models.gpt-5": {"tool_rule": "harmony-2025"},
}
# Figures that only add to a count, by the part of a rule that has them, and how far the search for each goes.
FIGURES: dict[str, dict[str, range]] = {
    "chat_rule": {
        "message_tokens": range(9),
        "request_tokens": range(9),
        "name_tokens": range(-2, 5),
        "assistant_tokens": range(9),
    },
    "schema_rule": {"responses_tokens": range(9), "history_tokens": range(9)},
    "tool_rule": {
        "tokens": range(-8, 129),
        "call_tokens": range(17),
        "stored_call_tokens": range(9),
        "result_tokens": range(17),
        "required_tokens": range(17),
        "none_tokens": range(17),
    },
}
# Figures where the least is nothing at all, and not 0.
OPTIONAL: dict[str, dict[str, Iterable[Value]]] = {
    "schema_rule": {"answer_tokens": range(9)},
    "tool_rule": {"parallel_tokens": (None, *range(49)), "forced_tokens": (None, *range(17))},
}
CHOICES: dict[str, dict[str, tuple[Value, ...]]] = {
    "schema_rule": {"heading": ("", "# Instructions\n\n"), "after_tools": (False, True)},
    "tool_rule": {
        "header": (
            HARMONY_HEADER,
            "## functions\n\nnamespace functions {\n\n",
            "## Namespace: functions\n\n### Target channel: commentary\n\n### Tool definitions\n",
        ),
        "footer": (HARMONY_FOOTER, ""),
        "types": ("2023", "2024"),
        "heading": ("", "# Instructions\n\n"),
        "joins_system": (False, True),
        "call_prefix": ("", " to=functions."),
        "result_prefix": ("", "functions."),
        "compact_arguments": (False, True),
        "ascii_results": (False, True),
    },
    "image_rule": {"extra_tokens": (0, 1, 2, 3), "multiplier": (1.2, 1.5, 1.62, 1.72, 2.46)},
    "models": {
        "chat_rule": ("classic", "o-series", "reasoning"),
        "tool_rule": ("functions-2023", "classic", "classic-ascii", "o-series", "harmony-2025", "harmony"),
    },
}
# The multipliers that OpenAI's guide has had; more than them it does not say.
MULTIPLIERS = {
    "patch-gpt-4.1-mini": 1.62,
    "patch-gpt-4.1-nano": 2.46,
    "patch-o4-mini": 1.72,
    "patch-gpt-5-mini": 1.2,
    "patch-gpt-5-nano": 1.5,
}
PUBLISHED["written"] = dict.fromkeys(SWITCHES, False)
PUBLISHED |= {f"image_rule.{rule}": {"multiplier": one, "extra_tokens": 0} for rule, one in MULTIPLIERS.items()}
CHAT_RULES = CHOICES["models"]["chat_rule"]
SCHEMA_OF = {"classic": "classic", "o-series": "reasoning", "reasoning": "reasoning"}
"""The rule for json_schema formats that a chat rule names."""
SCHEMA_RULES = tuple(dict.fromkeys(SCHEMA_OF.values()))
TOOL_RULES = CHOICES["models"]["tool_rule"]


def parameters() -> list[Parameter]:
    """Return every parameter, those that others are fitted upon first."""
    forms = [f"tool_rule.{rule}.{api}" for rule in TOOL_RULES for api in ("chat", "responses")]
    forms.sort(key=lambda rule: rule in NEIGHBOURS)
    rules = [f"chat_rule.{rule}" for rule in CHAT_RULES] + [f"schema_rule.{rule}" for rule in SCHEMA_RULES] + forms
    rules += [f"image_rule.{rule}" for rule in MULTIPLIERS]
    rules += ["models.gpt-4o", *(rule for rule in NEIGHBOURS if rule.startswith("models."))]
    found = []
    for rule in rules:
        kind = rule.split(".")[0]
        names = [*CHOICES.get(kind, ()), *FIGURES.get(kind, ()), *OPTIONAL.get(kind, ())]
        found += [Parameter(rule, name) for name in names if rule != "tool_rule.functions-2023.responses"]
    return found + [Parameter("written", name) for name in SWITCHES]


def published(parameter: Parameter) -> Value:
    """Return the value that does not come from recordings."""
    return PUBLISHED.get(parameter.rule, {}).get(parameter.name, AS_NEIGHBOUR)


@cache
def chain(rule: str, name: str) -> tuple[Parameter, ...]:
    """Return the parameters that may give a rule its value of that name: its own, then its neighbour's."""
    nearest = NEIGHBOURS.get(rule)
    return (Parameter(rule, name), *(chain(nearest, name) if nearest is not None else ()))


def resolve(theory: Theory, rule: str, name: str) -> Value:
    """Return the value that a rule has."""
    return next(theory[one] for one in chain(rule, name) if theory.get(one, AS_NEIGHBOUR) != AS_NEIGHBOUR)


def family(model: Model) -> str | None:
    """Return the family whose rules a model follows; None for those whose rules are published or unknown."""
    return _family(model.name, model.version)


@cache
def _family(name: str, version: str) -> str | None:
    model = get_model(name, version)
    if model.chat_rule is None or model.chat_rule.name in ("gpt-35-turbo-0301", "o1-early"):
        return None
    if model.kind == "audio":
        return "audio"
    if model.name.startswith(("gpt-35", "gpt-4-")) or model.name == "gpt-4":
        return "2023" if model.tool_rule is not None and model.tool_rule.name == "functions-2023" else "2024"
    for name in ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.5", "computer-use"):
        if model.name.startswith(name):
            return name
    if re.match(r"o\d", model.name):
        return "o-series"
    return "gpt-5" if re.match(r"gpt-5(-|$|\.[0-3])", model.name) else "gpt-5.4"


@cache
def _catalogued() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the rules of the catalogue, by kind and name, and the rules that families follow there."""
    rules: dict[str, Any] = {}
    families: dict[str, Any] = {}
    for model in list_models():
        for kind in ("chat_rule", "schema_rule", "tool_rule", "image_rule"):
            if (rule := getattr(model, kind)) is not None:
                rules[f"{kind}.{rule.name}"] = rule
        if (found := family(model)) is not None:
            names = families.setdefault(f"models.{found}", {"chat_rule": set(), "tool_rule": set()})
            names["chat_rule"].add(model.chat_rule.name.removesuffix("-assumed"))
            if model.tool_rule is not None:
                names["tool_rule"].add(model.tool_rule.name)
    return rules, families


def in_use() -> Theory:
    """Return the theory that the package counts by."""
    rules, families = _catalogued()
    theory: Theory = {}
    for one in parameters():
        kind = one.rule.partition(".")[0]
        if kind == "written":
            theory[one] = True
        elif kind == "models":
            (theory[one],) = families[one.rule][one.name] or {AS_NEIGHBOUR}
        elif kind == "tool_rule":
            name, _, api = one.rule.rpartition(".")
            theory[one] = getattr(getattr(rules[name], api), one.name)
        else:
            theory[one] = getattr(rules[one.rule], one.name)
    return theory
