"""Whole requests before they are sent: beside their bare text, the cookbook's recipe and litellm.

Answers are compared first; then all are asked in turn, in one run and in CPU time of the thread. ``make bench`` runs
it; alone it is ``python benchmarks/bench_requests.py``. What the numbers mean stands in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from reference_tokens import tiktoken_encoding

from aoai_cost import Deployment, PriceBook, count_request, estimate_request, get_encoding

CORPORA = Path(os.environ.get("AOAI_COST_TEST_DATA", Path(__file__).resolve().parents[2] / "shared")) / "corpora"
MODEL = "gpt-4o"
CHAT = Deployment("contoso", "chat", MODEL, version="2024-11-20", sku="GlobalStandard")
DAY = date(2026, 10, 1)
BOOK = PriceBook.bundled()
ENCODE = tiktoken_encoding("o200k_base").encode_ordinary
COUNT = get_encoding("o200k_base").count
N_MESSAGES, N_CHARACTERS = 20, 2_000
ROUNDS, CALLS = 15, 100

Body = dict[str, Any]
Ask = Callable[[Body], Any]
Times = dict[str, float]


class Case(NamedTuple):
    """Requests of one shape, which are asked about in turn."""

    name: str
    bodies: Sequence[Body]


def cookbook(body: Body) -> int:
    """Count as OpenAI's cookbook tells for gpt-4o, in How_to_count_tokens_with_tiktoken.ipynb."""
    tokens = 3
    for message in body["messages"]:
        tokens += 3 + sum(len(ENCODE(value)) + (key == "name") for key, value in message.items())
    for tool in body.get("tools", ()):
        function = tool["function"]
        tokens += 7 + len(ENCODE(f"{function['name']}:{function['description'].rstrip('.')}"))
        properties = function["parameters"]["properties"]
        tokens += 3 * bool(properties)
        for name, value in properties.items():
            tokens += 3 + len(ENCODE(f"{name}:{value['type']}:{value['description'].rstrip('.')}"))
            if "enum" in value:
                tokens += sum(3 + len(ENCODE(one)) for one in value["enum"]) - 3
    return tokens + 12 * bool(body.get("tools"))


def find_litellm() -> Ask | None:
    """Return litellm's count, None where it is not installed."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or its import asks the network for prices
    try:
        from litellm import token_counter
    except ImportError:
        return None
    return lambda body: token_counter(model=MODEL, messages=body["messages"], tools=body.get("tools"))


def chat(texts: Iterable[str], **more: Any) -> Body:
    roles = cycle(("user", "assistant"))
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return {"messages": messages, "max_tokens": 100, **more}


def responses(texts: Iterable[str]) -> Body:
    """Return a chat as the Responses API takes it, its texts in parts."""
    kinds = cycle((("user", "input_text"), ("assistant", "output_text")))
    items = [
        {"role": role, "content": [{"type": kind, "text": text}]}
        for (role, kind), text in zip(kinds, texts, strict=False)
    ]
    return {"input": items, "max_output_tokens": 100}


def tool(number: int) -> Body:
    properties = {
        "city": {"type": "string", "description": "The city, with its country where that is not clear"},
        "unit": {"type": "string", "description": "The unit of the answer", "enum": ["celsius", "fahrenheit"]},
    }
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    function = {"name": f"get_weather_{number}", "description": "Get the weather of a city", "parameters": parameters}
    return {"type": "function", "function": function}


def windows() -> list[str]:
    """Return texts of 2 kB, no part of which stands in two of them."""
    path = CORPORA / "prose_en.txt"
    text = path.read_text("utf-8") if path.exists() else " ".join(f"{n} bottles of beer." for n in range(120_000))
    return [text[at : at + N_CHARACTERS] for at in range(0, len(text) - N_CHARACTERS, N_CHARACTERS)]


def texts_of(body: Body) -> list[str]:
    contents = [one["content"] for one in body.get("messages") or body["input"]]
    return [content if isinstance(content, str) else content[0]["text"] for content in contents]


def declared_again(body: Body) -> list[Body]:
    """Return equal requests, of which no two have a part in common."""
    return [json.loads(json.dumps(body)) for _ in range(10)]


def cases() -> list[Case]:
    question, texts = ["What is the weather in Paris?"], windows()[:N_MESSAGES]
    many = [chat(question, tools=[tool(20 * i + k) for k in range(20)]) for i in range(CALLS)]
    return [
        Case("one message, one tool", declared_again(chat(question, tools=[tool(0)]))),
        Case("one message, 20 tools, met before", declared_again(many[0])),
        Case("one message, 20 tools, new each time", many),
        Case("20 messages of 2 kB, met before", [chat(texts)]),
        Case("20 items of 2 kB for Responses, met before", [responses(texts)]),
    ]


OURS: dict[str, Ask] = {
    "bare text": lambda body: [COUNT(text) for text in texts_of(body)],
    "count": lambda body: count_request(body, model=MODEL),
    "estimate": lambda body: estimate_request(body, CHAT, prices=BOOK, on=DAY),
    "estimate, all by default": lambda body: estimate_request(body, CHAT),
}


def peers(case: Case, litellm: Ask | None) -> dict[str, Ask]:
    """Return the others that know requests of this shape."""
    if "messages" not in case.bodies[0]:
        return {}
    return {"cookbook": cookbook} | ({"litellm": litellm} if litellm else {})


def check(case: Case) -> int:
    """Return our count of the first request, after holding it against the recipe or, with tools, against itself."""
    body = case.bodies[0]
    count = count_request(body, model=MODEL).input_tokens
    assert OURS["bare text"](body) == [len(ENCODE(text)) for text in texts_of(body)]
    assert OURS["estimate"](body).input_tokens == OURS["estimate, all by default"](body).input_tokens == count
    if "tools" in body:
        # The recipe is not exact on tools: what is written once must count as what is written anew.
        assert all(OURS["count"](one) == OURS["count"](json.loads(json.dumps(one))) for one in case.bodies)
    else:
        assert count == cookbook(chat(texts_of(body)))
    return count


def timed(ways: dict[str, Ask], bodies: Sequence[Body]) -> Times:
    """Return the microseconds of one call, the median of rounds in which each way has its turn."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, ask in ways.items():
            start = thread_time_ns()
            for body in islice(cycle(bodies), CALLS):
                ask(body)
            spent[name].append((thread_time_ns() - start) / 1e3 / CALLS)
    return {name: median(one) for name, one in spent.items()}


def once(ask: Ask, body: Body) -> float:
    start = thread_time_ns()
    ask(body)
    return (thread_time_ns() - start) / 1e3


def time_first_calls(turn: int) -> dict[str, list[float]]:
    """Time our ways on the second half of the texts after the first half, each text once, by the way whose turn it is.

    The others remember no text, and are asked about all of them.
    """
    texts = windows()
    bodies = [chat(texts[at : at + N_MESSAGES]) for at in range(0, len(texts) - N_MESSAGES + 1, N_MESSAGES)]
    half = len(bodies) // 2
    for body in bodies[:half]:
        for ask in OURS.values():
            ask(body)
    spent: dict[str, list[float]] = {name: [] for name in OURS}
    for body, name in zip(bodies[half:], islice(cycle(OURS), turn, None), strict=False):
        spent[name].append(once(OURS[name], body))
    for name, ask in peers(Case("", bodies), find_litellm()).items():
        spent[name] = [once(ask, body) for body in bodies[half:]]
    return spent


def fresh() -> Times:
    """Return the microseconds of a request whose texts are new: over several processes every way has every text."""
    spent: dict[str, list[float]] = {}
    for turn in range(len(OURS)):
        command = [sys.executable, __file__, "--turn", str(turn)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for name, one in json.loads(done.stdout.splitlines()[-1]).items():
            spent.setdefault(name, []).extend(one)
    return {name: median(one) for name, one in spent.items()}


def table(times: dict[str, Times]) -> str:
    """Write how many times as long as an estimate each way takes, and the estimate in microseconds."""
    others = [way for way in max(times.values(), key=len) if way != "estimate"]
    lines = [f"| times an estimate | {' | '.join(others)} | an estimate |", "| --- |" + " ---: |" * (len(others) + 1)]
    for name, row in times.items():
        cells = [f"{row[way] / row['estimate']:.2f}" if way in row else "-" for way in others]
        lines.append(f"| {name} | {' | '.join(cells)} | {row['estimate']:.0f} µs |")
    return "\n".join(lines)


def main() -> None:
    litellm = find_litellm()
    if litellm is None:
        print("litellm is not installed, so it is left out")
    times: dict[str, Times] = {}
    for case in cases():
        others = peers(case, litellm)
        answers = [f"{name} {ask(case.bodies[0]):,}" for name, ask in others.items()]
        print(f"{case.name}: {', '.join([f'aoai-cost {check(case):,}', *answers])} tokens")
        times[case.name] = timed(OURS | others, case.bodies)
    times["20 messages of 2 kB, fresh"] = fresh()
    print("\n" + table(times))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--turn"]:
        print(json.dumps(time_first_calls(int(sys.argv[2]))))
    else:
        main()
