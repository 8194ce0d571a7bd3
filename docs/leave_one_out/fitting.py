"""Fit theories: each parameter in turn takes the value that makes the most counts exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from counting import SLOTS, Bench
from theories import (
    AS_NEIGHBOUR,
    CHOICES,
    FIGURES,
    NEIGHBOURS,
    OPTIONAL,
    Parameter,
    Theory,
    Value,
    parameters,
    published,
    resolve,
)

# Fits of these recordings come to rest after three or four.
MOST_ROUNDS = 8
# Of a figure; more than a few values have hardly any recording for them.
MOST_OPTIONS = 8


def fit(bench: Bench, theory: Theory, but: str = "") -> Theory:
    """Fit every parameter on the recordings of all repositories but one, from a theory on."""
    for _ in range(MOST_ROUNDS):
        before = dict(theory)
        for one in parameters():
            theory = improved(bench, theory, one, but)
        if theory == before:
            break
    return theory


def improved(bench: Bench, theory: Theory, parameter: Parameter, but: str) -> Theory:
    """Return the theory with the best value of one parameter: what is published, unless another is better."""
    trials = []
    for option in dict.fromkeys((published(parameter), *_options(bench, theory, parameter, but))):
        trial = refitted(bench, theory | {parameter: option}, parameter, but)
        touched = [parameter, *_figures_beside(parameter)]
        trials.append((sum(one.exact for one in bench.counts(trial, touched, but)), trial))
    most = max(exact for exact, _ in trials)
    return next(trial for exact, trial in trials if exact == most)


def refitted(bench: Bench, theory: Theory, parameter: Parameter, but: str = "") -> Theory:
    """Return the theory with the figures beside a parameter fitted to it: it may only be right together with them."""
    theory = dict(theory)
    for figure in _figures_beside(parameter):
        theory[figure] = _best_figure(bench, theory, figure, but)
    return theory


def _figures_beside(parameter: Parameter) -> list[Parameter]:
    kind = parameter.rule.partition(".")[0]
    return [Parameter(parameter.rule, name) for name in FIGURES.get(kind, ()) if name != parameter.name]


def _options(bench: Bench, theory: Theory, parameter: Parameter, but: str) -> Iterable[Value]:
    """Return the values that a parameter may take; of a figure those that most counts are exact with."""
    kind, name = parameter.rule.partition(".")[0], parameter.name
    if kind == "written":
        return False, True
    if name in FIGURES.get(kind, ()):
        votes, near = _votes(bench, theory, parameter, but), _near(theory, parameter)
        likely = [value for value, _ in votes.most_common(MOST_OPTIONS)]
        return sorted(likely, key=lambda value: (abs(value - near), value))
    return OPTIONAL.get(kind, {}).get(name) or CHOICES[kind][name]


def _best_figure(bench: Bench, theory: Theory, parameter: Parameter, but: str) -> Value:
    votes, near = _votes(bench, theory, parameter, but), _near(theory, parameter)
    best = max(votes, key=lambda value: (votes[value], -abs(value - near), value), default=near)
    return best if votes[best] > votes[near] else published(parameter)


def _near(theory: Theory, parameter: Parameter) -> int:
    """Return what is published of a figure, or what its neighbour has."""
    usual = published(parameter)
    near: Any = resolve(theory, NEIGHBOURS[parameter.rule], parameter.name) if usual == AS_NEIGHBOUR else usual
    return int(near)


def _votes(bench: Bench, theory: Theory, parameter: Parameter, but: str) -> Counter[int]:
    """Let each recording say which values of a figure would make its count exact."""
    kind = parameter.rule.partition(".")[0]
    slot, allowed = SLOTS.index((kind, parameter.name)), FIGURES[kind][parameter.name]
    votes: Counter[int] = Counter()
    for recording, linear, figures in bench.counts(theory, [parameter], but):
        if n := dict(linear.times).get(slot, 0):
            rest = linear.total(figures) - n * figures[slot]
            wanted = {(tokens - rest) // n for tokens in recording.billed if not (tokens - rest) % n}
            votes.update(wanted.intersection(allowed))
    return votes
