"""A watched client of the real SDK against a server of this machine: nothing over the budget is sent, all is logged.

`make sdk` runs this file on the oldest supported version of the SDK as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openai
import pydantic
import pytest
from azure_server import (
    ANSWER,
    MARK,
    AzureServer,
    Reply,
    broken_stream,
    chat_events,
    error,
    event,
    hang_up,
    held_stream,
    response_body,
    response_events,
    served,
    silence,
    squeezed,
)
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncAzureOpenAI, AzureOpenAI, OpenAI

from aoai_cost import (
    AoaiCostError,
    Budget,
    BudgetExceeded,
    Deployment,
    Deployments,
    DeploymentsError,
    LedgerError,
    PriceBook,
    RequestError,
    cost_report,
    get_encoding,
    read_usage,
    watch,
)
from aoai_cost.client.answers import Answer, EventReader
from aoai_cost.client.ledger import Ledger, append_line

KEY = "key-that-nobody-may-see"
ONE = Budget(per_call=1)
NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
DEPLOYMENTS = Deployments(
    [
        Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard"),
        Deployment("contoso", "cheap", "gpt-4o-mini", version="2024-07-18", sku="GlobalStandard"),
        Deployment("contoso", "embed", "text-embedding-3-small", sku="GlobalStandard"),
        Deployment("contoso", "think", "o3-mini", version="2025-01-31", sku="GlobalStandard"),
    ]
)
HELLO: list[Any] = [{"role": "user", "content": f"Hello {MARK}"}]
# 100 prompt tokens, 40 of them cached, and 20 of the answer, at 2.50, 1.25 and 10.00 a million.
COST = Decimal("0.0004")


@pytest.fixture
def server() -> Iterator[AzureServer]:
    one = AzureServer()
    yield one
    one.stop()


@pytest.fixture
def client(server: AzureServer) -> Iterator[AzureOpenAI]:
    with azure(server) as one:
        yield one


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """A log which at the end of the test holds no prompt, answer or key."""
    yield tmp_path / "usage.jsonl"
    for path in tmp_path.rglob("*.jsonl"):
        text = path.read_text("utf-8")
        assert MARK not in text
        assert KEY not in text


def azure(server: AzureServer, **options: Any) -> AzureOpenAI:
    options = {"api_version": "2024-10-21", "api_key": KEY, "max_retries": 2, **options}
    return AzureOpenAI(azure_endpoint=server.endpoint, **options)


def run_async(server: AzureServer, use: Any, **options: Any) -> Any:
    """Run `use` with a watched asynchronous client."""

    async def run() -> Any:
        async with AsyncAzureOpenAI(
            azure_endpoint=server.endpoint, api_version="2024-10-21", api_key=KEY, max_retries=2
        ) as one:
            return await use(watched(one, **options))

    return asyncio.run(run())


def watched(client: Any, **options: Any) -> Any:
    return watch(client, **{"deployments": DEPLOYMENTS, "clock": lambda: NOON, **options})


def create(client: Any, **changes: Any) -> Any:
    return client.chat.completions.create(**{"model": "chat", "messages": HELLO, "max_tokens": 50, **changes})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def one_line(path: Path) -> dict[str, Any]:
    (found,) = lines(path)
    return found


def helpers(client: Any) -> Any:
    """What has ``parse`` and ``stream``; they left beta in 1.92."""
    chat = client.chat.completions
    return chat if hasattr(chat, "parse") else client.beta.chat.completions


class Parsed(pydantic.BaseModel):
    text: str


# Before sending.


def test_a_request_over_the_budget_of_a_call_is_raised_raw_and_never_sent(
    client: AzureOpenAI, server: AzureServer, log: Path
) -> None:
    guarded = watched(client, budget=Budget(per_call="0.0001"), log=log)
    with pytest.raises(BudgetExceeded) as caught:
        create(guarded)
    assert type(caught.value) is BudgetExceeded
    assert caught.value.__cause__ is None
    assert caught.value.estimate is not None
    assert caught.value.estimate > caught.value.budget == Decimal("0.0001")
    assert server.paths == []
    assert lines(log) == []


SENDERS = {
    "create": lambda c: create(c),
    "create streaming": lambda c: create(c, stream=True),
    "raw response": lambda c: c.chat.completions.with_raw_response.create(model="chat", messages=HELLO),
    "streaming response": lambda c: c.chat.completions.with_streaming_response.create(
        model="chat", messages=HELLO
    ).__enter__(),
    "parse": lambda c: helpers(c).parse(model="chat", messages=HELLO, response_format=Parsed),
    "stream helper": lambda c: helpers(c).stream(model="chat", messages=HELLO).__enter__(),
    "responses": lambda c: c.responses.create(model="chat", input=MARK),
    "responses parse": lambda c: c.responses.parse(model="chat", input=MARK, text_format=Parsed),
    "responses stream": lambda c: c.responses.stream(model="chat", input=MARK).__enter__(),
    "completions": lambda c: c.completions.create(model="chat", prompt=MARK),
    "with_options": lambda c: create(c.with_options(max_retries=5, timeout=3)),
    "copy of a copy": lambda c: create(c.copy().copy(api_key=KEY)),
    "plain post": lambda c: c.post("/chat/completions", cast_to=object, body={"model": "chat", "messages": HELLO}),
}


@pytest.mark.parametrize("name", SENDERS)
def test_every_way_to_send_is_guarded(client: AzureOpenAI, server: AzureServer, name: str) -> None:
    guarded = watched(client, budget=Budget(per_call=0))
    with pytest.raises(BudgetExceeded):
        SENDERS[name](guarded)
    assert server.paths == []


def test_embeddings_are_guarded_too(client: AzureOpenAI, server: AzureServer) -> None:
    guarded = watched(client, budget=Budget(per_call=0))
    with pytest.raises(BudgetExceeded):
        guarded.embeddings.create(model="embed", input=MARK)
    assert server.paths == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streaming"])
def test_an_asynchronous_request_over_the_budget_is_raised_raw(server: AzureServer, stream: bool) -> None:
    async def use(guarded: Any) -> None:
        with pytest.raises(BudgetExceeded) as caught:
            await create(guarded.with_options(timeout=5), stream=stream)
        assert type(caught.value) is BudgetExceeded

    run_async(server, use, budget=Budget(per_call="0.0001"))
    assert server.paths == []


def test_a_request_that_nothing_bounds_is_over_any_budget(client: AzureOpenAI, server: AzureServer) -> None:
    far = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]
    with pytest.raises(BudgetExceeded, match="nothing bounds") as caught:
        create(watched(client, budget=Budget(per_call=1000)), messages=far)
    assert caught.value.estimate is None
    create(watched(client, budget=Budget(per_call=1000, against="low")), messages=far)
    assert len(server.paths) == 1


def test_the_watched_client_is_of_the_same_class_and_the_original_is_not_watched(
    client: AzureOpenAI, server: AzureServer, log: Path
) -> None:
    guarded = watched(client, budget=Budget(per_call=0), log=log)
    assert isinstance(guarded, AzureOpenAI)
    assert type(guarded).__name__ == "AzureOpenAI"
    assert isinstance(guarded._client, type(client._client))
    assert create(client).choices[0].message.content == ANSWER
    assert len(server.paths) == 1
    assert lines(log) == []


def test_what_bills_nothing_passes(client: AzureOpenAI, server: AzureServer, log: Path) -> None:
    guarded = watched(client, budget=Budget(per_call=0), log=log)
    assert guarded.models.list().data == []
    with pytest.raises(openai.NotFoundError):
        guarded.responses.input_items.list("resp_1")
    assert len(server.paths) == 2
    assert lines(log) == []


@pytest.mark.parametrize(
    ("path", "billed"),
    [
        ("/files", False),
        ("/uploads/upload_1/parts", False),
        ("/vector_stores/vs_1/files", False),
        ("/threads", False),
        ("/threads/thread_1/messages", False),
        ("/threads/runs", True),
        ("/threads/thread_1/runs", True),
        ("/threads/thread_1/runs/run_1/cancel", False),
        ("/responses/resp_1/cancel", False),
        ("/chat/completions/chatcmpl_1", False),
        ("/responses/input_tokens", False),
        ("/responses/compact", True),
        ("/audio/speech", True),
        ("/batches", True),
        ("/fine_tuning/jobs", True),
        ("/what/nobody/knows", True),
    ],
)
def test_a_post_is_billed_unless_it_is_known_not_to_be(
    client: AzureOpenAI, server: AzureServer, path: str, billed: bool
) -> None:
    with pytest.raises(RequestError if billed else openai.NotFoundError):
        watched(client, budget=Budget(per_call=0)).post(path, cast_to=object, body={"input": MARK})
    assert len(server.paths) == (not billed)


def test_what_is_billed_and_cannot_be_counted_is_refused_unless_it_may_pass(
    client: AzureOpenAI, server: AzureServer, log: Path
) -> None:
    with pytest.raises(RequestError, match="images/generations is billed"):
        watched(client, budget=Budget(per_call=100)).images.generate(model="draw", prompt=MARK)
    with pytest.raises(DeploymentsError, match="'other' is not in the deployments file"):
        create(watched(client, budget=Budget(per_call=100)), model="other")
    assert server.paths == []
    passing = watched(client, budget=Budget(per_call=0, unpriced="send"), log=log)
    passing.images.generate(model="draw", prompt=MARK)
    create(passing, model="other")
    with pytest.raises(BudgetExceeded):
        create(passing)
    assert [line["operation"] for line in lines(log)] == ["images/generations", "chat/completions"]


def test_a_websocket_is_refused_under_a_budget(client: AzureOpenAI) -> None:
    # The method itself, as connecting needs a package that the SDK does not install.
    guarded: Any = watched(client, budget=Budget(per_call=100))
    with pytest.raises(RequestError, match="websocket"):
        guarded._configure_realtime("chat", {})
    passing: Any = watched(client, budget=Budget(per_call=100, unpriced="send"))
    assert "chat" in str(passing._configure_realtime("chat", {})[0])


def test_the_deployment_of_the_path_wins(server: AzureServer, log: Path) -> None:
    with azure(server, azure_deployment="chat") as fixed:
        create(watched(fixed, budget=Budget(per_call=1), log=log), model="whatever")
        # This route leads past the fixed deployment, and the body's name counts.
        watched(fixed, budget=Budget(per_call=1), log=log).responses.create(
            model="chat", input=MARK, max_output_tokens=9
        )
    assert server.paths == ["/openai/deployments/chat/chat/completions", "/openai/responses"]
    assert [line["deployment"] for line in lines(log)] == ["chat", "chat"]


def test_the_deployment_is_the_one_that_is_sent_to_whatever_the_body_says(
    client: AzureOpenAI, server: AzureServer, log: Path
) -> None:
    elsewhere = {"extra_body": {"model": "cheap"}}
    with pytest.raises(BudgetExceeded):
        create(watched(client, budget=Budget(per_call="0.0001")), **elsewhere)
    assert server.paths == []
    create(watched(client, budget=ONE, log=log), **elsewhere)
    with OpenAI(base_url=f"{server.endpoint}/openai/v1/", api_key=KEY) as plain:
        create(watched(plain, budget=ONE, log=log), **elsewhere)
    assert server.paths == ["/openai/deployments/chat/chat/completions", "/openai/v1/chat/completions"]
    assert [line["deployment"] for line in lines(log)] == ["chat", "cheap"]


def test_the_deployment_is_the_last_of_the_path(server: AzureServer, log: Path) -> None:
    behind = f"{server.endpoint}/deployments/all/openai/deployments/chat"
    with OpenAI(base_url=behind, api_key=KEY) as plain, pytest.raises(openai.NotFoundError):
        create(watched(plain, log=log), model="whatever")
    assert (one_line(log)["deployment"], one_line(log)["operation"]) == ("chat", "chat/completions")


def test_the_client_of_openai_on_the_v1_route_is_watched(server: AzureServer, log: Path) -> None:
    with OpenAI(base_url=f"{server.endpoint}/openai/v1/", api_key=KEY) as plain:
        create(watched(plain, budget=Budget(per_call=1), log=log))
    assert server.paths == ["/openai/v1/chat/completions"]
    assert (one_line(log)["deployment"], one_line(log)["operation"]) == ("chat", "chat/completions")


def test_the_resource_is_that_of_the_host(server: AzureServer, log: Path) -> None:
    east = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    both = Deployments([east, replace(east, resource="fabrikam")])
    budget = Budget(per_call="0.0001")
    with AzureOpenAI(azure_endpoint="https://fabrikam.openai.azure.com", api_version="v", api_key=KEY) as one:
        guarded = watched(one, deployments=both, budget=budget)
        with pytest.raises(BudgetExceeded):
            create(guarded)
    with azure(server) as one:
        with pytest.raises(DeploymentsError, match="ambiguous"):
            create(watched(one, deployments=both, budget=budget))
        with pytest.raises(BudgetExceeded):
            create(watched(one, deployments=both, budget=budget, resource="contoso"))
        create(watched(one, deployments=both, log=log, resource="fabrikam"))
    assert one_line(log)["resource"] == "fabrikam"


def test_the_request_is_sent_as_the_caller_wrote_it(client: AzureOpenAI, server: AzureServer, log: Path) -> None:
    for one in (client, watched(client, budget=Budget(per_call=1), log=log)):
        list(create(one, stream=True, extra_body={"user": "someone"}))
    assert server.bodies[0] == server.bodies[1]


def test_what_extra_body_adds_counts(client: AzureOpenAI, server: AzureServer) -> None:
    with pytest.raises(BudgetExceeded):
        create(watched(client, budget=Budget(per_call="0.01")), extra_body={"max_tokens": 4000})
    assert server.paths == []


# The budget of a day.


def day_budget(tmp_path: Path, per_day: str = "0.01", **more: Any) -> Budget:
    return Budget(per_day=per_day, ledger=tmp_path / "spent.jsonl", **more)


def test_a_day_is_reserved_before_and_settled_with_what_was_billed(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, log: Path
) -> None:
    guarded = watched(client, budget=day_budget(tmp_path, "0.001"), log=log)
    create(guarded)
    reserved, settled = lines(tmp_path / "spent.jsonl")
    assert (reserved["day"], reserved["currency"], reserved["call"]) == ("2026-10-01", "USD", settled["call"])
    assert Decimal(reserved["reserved"]) > COST == Decimal(settled["cost"])
    # 0.0004 are spent and a call may cost 0.00053: a second one still fits, a third does not.
    create(guarded)
    with pytest.raises(BudgetExceeded, match=r"of 0\.001 for 2026-10-01, of which 0\.0008"):
        create(guarded)
    assert len(server.paths) == 2


def test_the_next_day_has_its_own_budget(client: AzureOpenAI, server: AzureServer, tmp_path: Path) -> None:
    now = [NOON.replace(hour=23, minute=59)]
    guarded = watched(client, budget=day_budget(tmp_path, "0.0006"), clock=lambda: now[0])
    create(guarded)
    with pytest.raises(BudgetExceeded):
        create(guarded)
    now[0] += timedelta(minutes=2)
    create(guarded)
    assert len(server.paths) == 2


def test_a_call_that_was_not_billed_is_released(client: AzureOpenAI, server: AzureServer, tmp_path: Path) -> None:
    guarded = watched(client.with_options(max_retries=0), budget=day_budget(tmp_path, "0.0006"))
    for status in (401, 404, 429, 500):
        server.script.append(error(status, "no"))
        with pytest.raises(openai.APIStatusError):
            create(guarded)
        assert lines(tmp_path / "spent.jsonl")[-1]["cost"] == "0"
    create(guarded)
    assert len(server.paths) == 5


def test_a_prompt_that_a_filter_refused_costs_its_input(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path
) -> None:
    server.script.append(error(400, "content_filter"))
    with pytest.raises(openai.BadRequestError):
        create(watched(client, budget=day_budget(tmp_path)))
    reserved, settled = (Decimal(line.get("reserved", line.get("cost"))) for line in lines(tmp_path / "spent.jsonl"))
    assert 0 < settled < reserved


def test_an_attempt_without_an_answer_counts_in_full_beside_the_one_that_was_answered(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, log: Path
) -> None:
    server.script.append(hang_up)
    create(watched(client, budget=day_budget(tmp_path), log=log))
    reserved, settled = (Decimal(line.get("reserved", line.get("cost"))) for line in lines(tmp_path / "spent.jsonl"))
    assert settled == reserved + COST
    assert [line["status"] for line in lines(log)] == [None, 200]


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_call_that_timed_out_may_be_billed(server: AzureServer, tmp_path: Path, log: Path, is_async: bool) -> None:
    release = threading.Event()
    server.script.append(silence(release))
    budget, short = day_budget(tmp_path), {"timeout": openai.Timeout(30, read=0.05), "max_retries": 0}
    if is_async:

        async def use(one: Any) -> None:
            with pytest.raises(openai.APITimeoutError):
                await create(one.with_options(**short))

        run_async(server, use, budget=budget, log=log)
    else:
        with azure(server) as client:
            guarded = watched(client, budget=budget, log=log).with_options(**short)
            with pytest.raises(openai.APITimeoutError):
                create(guarded)
    release.set()
    assert [line.get("cost") for line in lines(tmp_path / "spent.jsonl")] == [None], "the reservation stands"
    assert (one_line(log)["status"], one_line(log)["sent"]) == (None, True)
    assert read_usage(log).frame["usage_quality"].tolist() == ["missing"]


def test_a_call_that_never_left_is_released(tmp_path: Path, log: Path) -> None:
    with AzureOpenAI(azure_endpoint="http://127.0.0.1:9", api_version="v", api_key=KEY, max_retries=0) as nowhere:
        guarded = watched(nowhere, budget=day_budget(tmp_path), log=log)
        with pytest.raises(openai.APIConnectionError):
            create(guarded)
    assert lines(tmp_path / "spent.jsonl")[-1]["cost"] == "0"
    assert one_line(log)["sent"] is False
    assert read_usage(log).counts.total.ignored == 1


def test_a_reservation_that_nobody_settled_stands(client: AzureOpenAI, server: AzureServer, tmp_path: Path) -> None:
    create(watched(client, budget=day_budget(tmp_path)))
    ledger = tmp_path / "spent.jsonl"
    ledger.write_text(ledger.read_text().splitlines()[0] + "\n")  # as a crash before the second line leaves it
    with pytest.raises(BudgetExceeded, match=r"of which 0\.0005"):
        create(watched(client, budget=day_budget(tmp_path, "0.0006")))
    assert len(server.paths) == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b'{"aoai_cost_ledger": 1, "day": "2026', id="an unfinished last line"),
        pytest.param(b"not a line\n", id="a strange line"),
        pytest.param(b'{"aoai_cost_ledger":1,"day":"2026-10-01"}\n', id="a line without an amount"),
        pytest.param(b'{"aoai_cost_ledger":1,"day":"2026-10\0\0\0\n', id="zeros that a crash left"),
        pytest.param(b"[]\n", id="a list"),
        pytest.param(
            b'{"aoai_cost_ledger":1,"day":"2026-10-01","call":"a","cost":"-1","currency":"USD"}\n', id="a negative cost"
        ),
        pytest.param(
            b'{"aoai_cost_ledger":1,"day":"2026-10-01","call":"a","cost":"1","currency":"EUR"}\n', id="another currency"
        ),
    ],
)
def test_a_damaged_ledger_stops_all_sending(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, damage: bytes
) -> None:
    guarded = watched(client, budget=day_budget(tmp_path))
    create(guarded)
    with (tmp_path / "spent.jsonl").open("ab") as file:
        file.write(damage)
    for _ in range(2):
        with pytest.raises(LedgerError, match="line 3"):
            create(guarded)
    assert len(server.paths) == 1


LINE = b'{"aoai_cost_ledger":1,"day":"2026-10-01","call":"a","reserved":"0.0001","currency":"USD"}'


@pytest.mark.parametrize("behind", [b"", b"\n", LINE + b"\n"], ids=["nothing", "its end", "another line"])
@given(cut=st.integers(0, len(LINE)))
def test_a_line_that_a_full_disk_cut_stops_nothing(cut: int, behind: bytes) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("aoai_cost.client.ledger._WHOLE_AFTER_S", 0.0)
        path = Path(folder) / "spent.jsonl"
        path.write_bytes(LINE.replace(b"0.0001", b"0.001") + b"\n" + LINE[:cut] + behind)
        ledger = Ledger(path, "USD")
        for call in ("b", "c"):
            ledger.reserve(NOON.date(), call, Decimal("0.0002"), Decimal(1))
        whole = Decimal("0.0014") + Decimal("0.0001") * ((cut == len(LINE)) + (LINE in behind))
        with pytest.raises(BudgetExceeded, match=f"of which {whole} is"):
            ledger.reserve(NOON.date(), "d", Decimal(1), Decimal(1))


def test_a_line_behind_one_that_was_cut_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    path.write_bytes(b'{"aoai_cost_log":1,"id":"cut off by a full d')
    append_line(path, {"aoai_cost_log": 1, "id": "whole"})
    assert json.loads(path.read_bytes().splitlines()[-1]) == {"aoai_cost_log": 1, "id": "whole"}


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from pathlib import Path
from aoai_cost.client.ledger import append_line
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
append_line(Path(sys.argv[1]), {"id": "a" * 50})
append_line(Path(sys.argv[1]), {"id": "b" * 50})
"""
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path / "log")], capture_output=True, text=True)
    assert "OSError: [Errno 28] No space left on device" in told.stderr
    assert (tmp_path / "log").stat().st_size == 100


def test_a_clock_about_midnight_reads_the_ledger_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spent.jsonl"
    path.write_bytes(b"".join(LINE.replace(b"10-01", f"10-{day:02}".encode()) + b"\n" for day in range(1, 31)))
    ledger, read = Ledger(path, "USD"), []
    monkeypatch.setattr(Ledger, "_add", lambda *given, add=Ledger._add: read.append(given) or add(*given))
    for i in range(6):
        ledger.reserve(date(2026, 10, 29 + i % 2), str(i), Decimal("0.0001"), Decimal("0.0004"))
    assert len(read) == 30 + 5
    with pytest.raises(BudgetExceeded, match=r"of which 0\.0001 is"):
        ledger.reserve(date(2026, 10, 3), "old", Decimal(1), Decimal(1))
    with pytest.raises(BudgetExceeded, match=r"of which 0\.0004 is"):
        ledger.reserve(date(2026, 10, 30), "new", Decimal(1), Decimal(1))


FORK = """
import os, sys
from datetime import UTC, datetime
from openai import AzureOpenAI, DefaultHttpxClient
from aoai_cost import Budget, Deployment, watch
endpoint, ledger, before = sys.argv[1:]
chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
client = AzureOpenAI(azure_endpoint=endpoint, api_version="2024-10-21", api_key="k", max_retries=0)
one = watch(client, deployments=chat, budget=Budget(per_day="0.0015", ledger=ledger),
            clock=lambda: datetime(2026, 10, 1, 12, tzinfo=UTC))
def call(client):
    client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Hello"}], max_tokens=50)
for _ in range(int(before)):
    call(one)
# Another thread's turn at the moment of the fork, which in the child would never end.
with one._aoai_cost_watch.ledger._turn:
    child = os.fork()
call(one if child else one.with_options(http_client=DefaultHttpxClient()))
if child:
    sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize("before", [0, 1])
def test_a_watched_client_works_in_a_process_that_was_forked(server: AzureServer, tmp_path: Path, before: int) -> None:
    ledger = tmp_path / "spent.jsonl"
    command = [sys.executable, "-W", "error", "-c", FORK, server.endpoint, str(ledger), str(before)]
    assert subprocess.run(command, timeout=60).returncode == 0
    assert len(server.paths) == before + 2
    check_never_over(ledger, Decimal("0.0015"))


@pytest.mark.parametrize("cancelled", [False, True], ids=["and goes on", "unless it is cancelled"])
def test_an_asynchronous_call_waits_for_the_ledger_and_lets_others_run(
    server: AzureServer, tmp_path: Path, cancelled: bool
) -> None:
    async def use(one: Any) -> None:
        with FileLock(tmp_path / "spent.jsonl.lock"):
            waiting = asyncio.ensure_future(create(one))
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert not waiting.done()
            if cancelled:
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
        if not cancelled:
            assert (await waiting).choices[0].message.content == ANSWER

    run_async(server, use, budget=day_budget(tmp_path))
    assert len(server.paths) == (not cancelled)
    # What was reserved after all is released, as it was never sent.
    assert Decimal(lines(tmp_path / "spent.jsonl")[-1]["cost"]) == (0 if cancelled else COST)


def test_asynchronous_calls_that_share_a_budget_never_exceed_it(server: AzureServer, tmp_path: Path) -> None:
    async def use(one: Any) -> list[Any]:
        return await asyncio.gather(*(create(one) for _ in range(24)), return_exceptions=True)

    told = run_async(server, use, budget=day_budget(tmp_path, "0.004"))
    assert {type(one) for one in told if isinstance(one, BaseException)} == {BudgetExceeded}
    check_never_over(tmp_path / "spent.jsonl", Decimal("0.004"))
    assert 4 <= len(server.paths) <= 9


def test_a_ledger_where_nothing_can_be_locked_stops_sending(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acquire(self: Any, *how: Any, **more: Any) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with pytest.raises(LedgerError, match="cannot be locked: FileSystem"):
        create(watched(client, budget=day_budget(tmp_path)))
    assert server.paths == []


def test_a_ledger_that_somebody_holds_stops_sending(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aoai_cost.client.ledger._LOCK_WAIT_S", 0.01)
    guarded = watched(client, budget=day_budget(tmp_path))
    with FileLock(tmp_path / "spent.jsonl.lock"), pytest.raises(LedgerError, match="locked"):
        in_a_thread(lambda: create(guarded))
    create(guarded)
    assert len(server.paths) == 1


def in_a_thread(work: Any) -> Any:
    """Do it where this thread's locks are another's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_embeddings_are_settled(client: AzureOpenAI, tmp_path: Path) -> None:
    watched(client, budget=day_budget(tmp_path)).embeddings.create(model="embed", input=MARK)
    # Seven tokens at 0.02 a million.
    assert Decimal(lines(tmp_path / "spent.jsonl")[-1]["cost"]) == Decimal("0.00000014")


def test_threads_that_share_a_budget_never_exceed_it(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, log: Path
) -> None:
    guarded = watched(client, budget=day_budget(tmp_path, "0.004"), log=log)
    refused: list[BudgetExceeded] = []

    def work() -> None:
        for _ in range(4):
            try:
                create(guarded)
            except BudgetExceeded as exceeded:
                refused.append(exceeded)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_never_over(tmp_path / "spent.jsonl", Decimal("0.004"))
    assert len(server.paths) + len(refused) == 24
    assert 4 <= len(server.paths) <= 9
    assert len(lines(log)) == len(server.paths)


PROCESS = """
import sys
from datetime import UTC, datetime
from openai import AzureOpenAI
from aoai_cost import Budget, BudgetExceeded, Deployment, watch
endpoint, ledger, log = sys.argv[1:]
chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
with AzureOpenAI(azure_endpoint=endpoint, api_version="2024-10-21", api_key="k") as client:
    one = watch(client, deployments=chat, budget=Budget(per_day="0.004", ledger=ledger), log=log,
                clock=lambda: datetime(2026, 10, 1, 12, tzinfo=UTC))
    for _ in range(5):
        try:
            one.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Hello"}], max_tokens=50)
        except BudgetExceeded:
            pass
"""


def test_processes_that_share_a_ledger_never_exceed_it(server: AzureServer, tmp_path: Path, log: Path) -> None:
    ledger = tmp_path / "spent.jsonl"
    command = [sys.executable, "-W", "error", "-c", PROCESS, server.endpoint, str(ledger), str(log)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    check_never_over(ledger, Decimal("0.004"))
    assert 4 <= len(server.paths) <= 9
    assert len(lines(log)) == len(server.paths)
    assert read_usage(log).counts.total.requests == len(server.paths)


def check_never_over(ledger: Path, budget: Decimal) -> None:
    """At no line of the ledger are more than the budget reserved and spent, and every call is settled."""
    known: dict[str, Decimal] = {}
    for line in lines(ledger):
        known[line["call"]] = Decimal(line.get("reserved", line.get("cost")))
        assert sum(known.values()) <= budget
    assert set(known.values()) == {COST}


# After it.


def test_a_line_tells_all_but_contents(client: AzureOpenAI, log: Path) -> None:
    create(watched(client, log=log))
    line = one_line(log)
    assert line.pop("latency_ms") > 0
    assert len(line.pop("id")) > 30
    assert line == {
        "aoai_cost_log": 1,
        "time": "2026-10-01T12:00:00.000000Z",
        "resource": "contoso",
        "deployment": "chat",
        "served_by": None,
        "spillover": None,
        "operation": "chat/completions",
        "model": "gpt-4o-2024-11-20",
        "stream": False,
        "sent": True,
        "status": 200,
        "request_id": "apim-1",
        "region": "East US 2",
        "service_tier": "default",
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "usage_source": "service",
    }


@pytest.mark.parametrize("spilled", [True, False])
def test_a_line_tells_who_served(client: AzureOpenAI, server: AzureServer, log: Path, spilled: bool) -> None:
    who = {"x-ms-deployment-name": "chat-standard" if spilled else "chat"}
    who |= {"x-ms-spillover-from-deployment": "chat", "x-ms-spillover-error": "429"} if spilled else {}

    def reply(body: Any) -> Reply:
        status, headers, pieces = served("/openai/deployments/chat/chat/completions", body)
        return status, {**headers, **who}, pieces

    server.script.append(reply)
    create(watched(client, log=log))
    line = one_line(log)
    assert (line["deployment"], line["served_by"], line["spillover"]) == ("chat", who["x-ms-deployment-name"], spilled)
    frame = read_usage(log).frame
    assert (frame["deployment"][0], bool(frame["spillover"][0])) == (who["x-ms-deployment-name"], spilled)


WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
CALLS = {
    "create": lambda c: create(c),
    "stream": lambda c: list(create(c, **WITH_USAGE)),
    "raw response": lambda c: c.chat.completions.with_raw_response.create(model="chat", messages=HELLO).parse(),
    "raw response of a stream": lambda c: list(
        c.chat.completions.with_raw_response.create(model="chat", messages=HELLO, **WITH_USAGE).parse()
    ),
    "streaming response": lambda c: read_streaming(c),
    "stream helper": lambda c: read_helper(
        helpers(c).stream(model="chat", messages=HELLO, stream_options={"include_usage": True})
    ),
    "responses": lambda c: c.responses.create(model="chat", input=MARK),
    "responses stream": lambda c: list(c.responses.create(model="chat", input=MARK, stream=True)),
    "responses helper": lambda c: read_helper(c.responses.stream(model="chat", input=MARK)),
}


def read_streaming(client: Any) -> None:
    with client.chat.completions.with_streaming_response.create(model="chat", messages=HELLO) as response:
        assert response.parse().choices[0].message.content == ANSWER


def read_helper(helper: Any) -> None:
    with helper as stream:
        for _ in stream:
            pass


@pytest.mark.parametrize("name", CALLS)
def test_every_way_to_be_answered_is_logged_once_with_the_usage_of_the_service(
    client: AzureOpenAI, tmp_path: Path, log: Path, name: str
) -> None:
    CALLS[name](watched(client, budget=day_budget(tmp_path, "10"), log=log))
    frame = read_usage(log).frame
    assert frame["usage_quality"].tolist() == ["measured"]
    assert frame[["prompt_tokens", "cached_tokens", "completion_tokens"]].iloc[0].tolist() == [100, 40, 20]
    assert frame[["resource", "deployment", "model", "region"]].iloc[0].tolist() == [
        "contoso",
        "chat",
        "gpt-4o",
        "eastus2",
    ]
    assert Decimal(lines(tmp_path / "spent.jsonl")[-1]["cost"]) == COST
    report = cost_report(log, deployments=DEPLOYMENTS, prices=PriceBook.bundled())
    assert (report.total, report.certainty) == (COST, "exact")


@pytest.mark.parametrize(("kind", "tokens"), [("embeddings", [7, None]), ("completions", [5, 3])])
def test_other_apis_are_logged(client: AzureOpenAI, log: Path, kind: str, tokens: list[int | None]) -> None:
    one = watched(client, log=log)
    if kind == "embeddings":
        one.embeddings.create(model="embed", input=MARK)
    else:
        one.completions.create(model="instruct", prompt=MARK)
    frame = read_usage(log).frame
    assert frame[["api", "usage_quality"]].iloc[0].tolist() == [kind, "measured"]
    found = frame[["prompt_tokens", "completion_tokens"]].iloc[0]
    assert [None if found.isna()[name] else found[name] for name in found.index] == tokens


def test_asynchronous_answers_are_logged(server: AzureServer, log: Path) -> None:
    async def use(one: Any) -> None:
        await create(one)
        chunks = [chunk async for chunk in await create(one, **WITH_USAGE)]
        assert len(chunks) > 3
        async with one.chat.completions.with_streaming_response.create(model="chat", messages=HELLO) as response:
            await response.read()
        async with one.responses.stream(model="chat", input=MARK) as stream:
            async for _ in stream:
                pass
        await asyncio.gather(*(create(one) for _ in range(5)))

    run_async(server, use, log=log)
    frame = read_usage(log).frame
    assert frame["usage_quality"].tolist() == ["measured"] * 9
    assert frame["prompt_tokens"].sum() == 900


def test_a_stream_without_usage_is_counted_and_marked(client: AzureOpenAI, tmp_path: Path, log: Path) -> None:
    text = "".join(
        chunk.choices[0].delta.content or "" for chunk in create(watched(client, log=log), stream=True) if chunk.choices
    )
    assert text == ANSWER
    line = one_line(log)
    assert line["usage_source"] == "estimated"
    assert line["usage"]["completion_tokens"] == get_encoding("o200k_base").count(ANSWER)
    assert line["usage"]["prompt_tokens"] == 7 + get_encoding("o200k_base").count(HELLO[0]["content"])
    assert read_usage(log).frame["usage_quality"].tolist() == ["estimated"]
    report = cost_report(log, deployments=DEPLOYMENTS, prices=PriceBook.bundled())
    assert report.certainty == "estimated"
    assert "calls whose tokens were counted by the log's writer, not by the service: 1" in report.notes


def test_arguments_of_tool_calls_count_in_a_stream_without_usage(client: AzureOpenAI, log: Path) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    list(create(watched(client, log=log), stream=True, tools=[tool]))
    count = get_encoding("o200k_base").count
    assert one_line(log)["usage"]["completion_tokens"] == count(ANSWER) + count(f'look{{"a":"{MARK}"}}')


@pytest.mark.parametrize("how", ["closed", "left", "never read"])
def test_a_stream_that_is_given_up_is_counted_so_far_and_its_reservation_stands(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, log: Path, how: str
) -> None:
    rest = threading.Event()
    server.script.append(held_stream(rest))
    stream = create(watched(client, budget=day_budget(tmp_path), log=log), **WITH_USAGE)
    if how != "never read":
        # What came is passed on at once: the server has not sent the rest yet.
        while not (chunk := next(stream)).choices or not chunk.choices[0].delta.content:
            pass
    if how == "left":
        del stream
        gc.collect()
    else:
        stream.close()
    rest.set()
    line = one_line(log)
    assert (line["usage_source"], line["status"]) == ("estimated", 200)
    seen = 0 if how == "never read" else get_encoding("o200k_base").count(MARK)
    assert line["usage"]["completion_tokens"] == seen
    assert "reserved" in one_line(tmp_path / "spent.jsonl")


@pytest.mark.parametrize(
    ("upto", "more"),
    [
        pytest.param('"finish_reason": "stop"', {}, id="its choice is finished"),
        pytest.param("[DONE]", {"n": 2}, id="the last word"),
        pytest.param('"finish_reason": "stop"', {"n": 2}, id="one choice of two is finished"),
    ],
)
def test_a_stream_is_settled_where_its_end_was_seen(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, upto: str, more: dict[str, Any]
) -> None:
    whole = b"".join(chat_events({})).decode()
    told = whole[: whole.index("\n", whole.index(upto)) + 1] + "\n"
    server.script.append(lambda _: (200, {"content-type": "text/event-stream"}, [told.encode()]))
    list(create(watched(client, budget=day_budget(tmp_path)), stream=True, **more))
    settled = [line for line in lines(tmp_path / "spent.jsonl") if "cost" in line]
    assert len(settled) == (upto == "[DONE]" or not more)


def test_a_stream_costs_at_least_what_came_of_it(client: AzureOpenAI, server: AzureServer, tmp_path: Path) -> None:
    # The reservation is the input alone.
    server.script.append(lambda _: (200, {"content-type": "text/event-stream"}, list(chat_events({}))[:-2]))
    list(create(watched(client, budget=day_budget(tmp_path, against="low")), stream=True))
    reserved, settled = lines(tmp_path / "spent.jsonl")
    output = get_encoding("o200k_base").count(ANSWER) * Decimal("0.00001")
    assert Decimal(settled["cost"]) == Decimal(reserved["reserved"]) + output


SPOKEN = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
HEARD = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]


@pytest.mark.parametrize(
    ("asked", "delta", "known"),
    [
        pytest.param(SPOKEN, {"content": MARK}, ["prompt_tokens"], id="asked for"),
        pytest.param({}, {"audio": {"id": "a", "transcript": MARK}}, ["prompt_tokens"], id="given"),
        pytest.param({"messages": HEARD}, {"content": MARK}, ["completion_tokens"], id="heard"),
        pytest.param(
            {"messages": [*HELLO, {"role": "assistant", "audio": {"id": "a"}}, *HELLO]},
            {"content": MARK},
            ["completion_tokens"],
            id="given before",
        ),
    ],
)
def test_the_tokens_of_audio_are_never_guessed_from_texts(
    client: AzureOpenAI, server: AzureServer, log: Path, asked: Any, delta: Any, known: list[str]
) -> None:
    chunk = {"object": "chat.completion.chunk", "created": 1, "id": "c", "model": "gpt-4o-audio-preview-2024-12-17"}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop"}
    told = [event({**chunk, "choices": [choice]}), b"data: [DONE]\n\n"]
    server.script.append(lambda _: (200, {"content-type": "text/event-stream"}, told))
    list(create(watched(client, log=log), stream=True, **asked))
    assert [name for name, value in one_line(log)["usage"].items() if value is not None] == known
    assert read_usage(log).frame["usage_quality"].tolist() == ["missing"]


def test_a_spoken_answer_keeps_to_the_budget(client: AzureOpenAI, server: AzureServer) -> None:
    audio = Deployment("contoso", "audio", "gpt-4o-audio-preview", version="2024-12-17", sku="GlobalStandard")
    # As text 1,000 tokens are 0.01; spoken they are 0.08.
    spoken = watched(client, deployments=audio, budget=Budget(per_call="0.02"))
    with pytest.raises(BudgetExceeded):
        create(spoken, model="audio", max_tokens=1_000, **SPOKEN)
    assert not server.bodies
    create(spoken, model="audio", max_tokens=1_000)
    assert len(server.bodies) == 1


def test_the_reservation_of_a_spoken_stream_stands(client: AzureOpenAI, server: AzureServer, tmp_path: Path) -> None:
    chunk = {"object": "chat.completion.chunk", "created": 1, "id": "c", "model": "gpt-4o-2024-11-20"}
    choice = {"index": 0, "delta": {"audio": {"id": "a", "transcript": MARK}}, "finish_reason": "stop"}
    told = [event({**chunk, "choices": [choice]}), b"data: [DONE]\n\n"]
    server.script.append(lambda _: (200, {"content-type": "text/event-stream"}, told))
    list(create(watched(client, budget=day_budget(tmp_path)), stream=True))
    assert "reserved" in one_line(tmp_path / "spent.jsonl")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("more", [WITH_USAGE, {}], ids=["streaming", "whole"])
def test_an_answer_whose_raw_bytes_are_read_is_not_seen(
    server: AzureServer, tmp_path: Path, log: Path, is_async: bool, more: dict[str, Any]
) -> None:
    budget = day_budget(tmp_path, "1")
    if is_async:

        async def use(one: Any) -> None:
            async with one.chat.completions.with_streaming_response.create(
                model="chat", messages=HELLO, **more
            ) as response:
                assert b"prompt_tokens" in b"".join([piece async for piece in response.http_response.aiter_raw()])

        run_async(server, use, budget=budget, log=log)
    else:
        with azure(server) as client:
            sender = watched(client, budget=budget, log=log).chat.completions.with_streaming_response
            with sender.create(model="chat", messages=HELLO, **more) as response:
                assert b"prompt_tokens" in b"".join(response.http_response.iter_raw())
    assert (one_line(log)["usage"], one_line(log)["usage_source"], one_line(log)["status"]) == (None, None, 200)
    assert "reserved" in one_line(tmp_path / "spent.jsonl")


FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("tools", "fees"),
    [
        pytest.param([{"type": "web_search"}], True, id="a search"),
        pytest.param([FUNCTION, {"type": "code_interpreter", "container": {"type": "auto"}}], True, id="code"),
        pytest.param([FUNCTION], False, id="a function"),
    ],
)
def test_a_call_with_tools_of_the_service_costs_at_least_its_reservation(
    client: AzureOpenAI, tmp_path: Path, tools: list[Any], fees: bool
) -> None:
    guarded = watched(client, budget=day_budget(tmp_path, "1", against="low"))
    # More input than the answer will tell of: 400 words cost 0.001.
    guarded.responses.create(model="chat", input="word " * 400, tools=tools)
    assert len(lines(tmp_path / "spent.jsonl")) == 2 - fees
    guarded.responses.create(model="chat", input="word", tools=tools)
    assert Decimal(lines(tmp_path / "spent.jsonl")[-1]["cost"]) == COST


def test_a_chat_that_searches_costs_at_least_its_reservation(client: AzureOpenAI, tmp_path: Path) -> None:
    guarded = watched(client, budget=day_budget(tmp_path, "1", against="low"))
    create(guarded, messages=[{"role": "user", "content": "word " * 400}], web_search_options={})
    assert "reserved" in one_line(tmp_path / "spent.jsonl")


BACKGROUND = {"background": True}


def json_reply(body: Any) -> Any:
    return lambda _: (200, {"content-type": "application/json"}, [json.dumps(body).encode()])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streaming"])
def test_a_look_at_a_response_in_the_background_tells_its_usage(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, log: Path, stream: bool
) -> None:
    running = response_body(status="in_progress", output=[], usage=None, background=True)
    server.script.append(json_reply({**running, "status": "queued"}))
    server.script.append(json_reply(running))
    events = (200, {"content-type": "text/event-stream"}, response_events())
    server.script += [lambda _: events] if stream else [json_reply(response_body(background=True))]
    server.script += [json_reply(response_body(background=True))] * 2
    guarded = watched(client, budget=day_budget(tmp_path), log=log)
    guarded.responses.create(model="chat", input=MARK, max_output_tokens=50, extra_body=BACKGROUND)
    guarded.responses.retrieve("resp_1")
    # Neither is it told yet, nor is what one looks at billed.
    assert one_line(log)["usage"] is None
    assert "reserved" in one_line(tmp_path / "spent.jsonl")
    with guarded.responses.with_streaming_response.retrieve("resp_1") as response:
        response.read()
    guarded.responses.retrieve("resp_1")
    guarded.responses.retrieve("resp_other")
    begun, told = lines(log)
    assert begun["id"] == told["id"]
    frame = read_usage(log).frame
    assert frame[["prompt_tokens", "completion_tokens", "usage_quality"]].to_numpy().tolist() == [[100, 20, "measured"]]
    assert [line.get("cost") for line in lines(tmp_path / "spent.jsonl")] == [None, "0.00040"]


def test_an_asynchronous_look_tells_the_usage_too(server: AzureServer, tmp_path: Path, log: Path) -> None:
    server.script.append(json_reply(response_body(status="queued", output=[], usage=None, background=True)))
    server.script.append(json_reply(response_body(background=True)))

    async def use(one: Any) -> None:
        await one.responses.create(model="chat", input=MARK, max_output_tokens=50, extra_body=BACKGROUND)
        await one.responses.retrieve("resp_1")

    run_async(server, use, budget=day_budget(tmp_path), log=log)
    assert Decimal(lines(tmp_path / "spent.jsonl")[-1]["cost"]) == COST
    assert [line["usage_source"] for line in lines(log)] == [None, "service"]


def test_a_stream_in_the_background_that_is_given_up_is_not_counted_but_awaited(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, log: Path
) -> None:
    server.script.append(lambda _: (200, {"content-type": "text/event-stream"}, list(response_events())[:4]))
    server.script.append(json_reply(response_body(background=True)))
    guarded = watched(client, budget=day_budget(tmp_path), log=log)
    list(guarded.responses.create(model="chat", input=MARK, max_output_tokens=50, extra_body=BACKGROUND, stream=True))
    guarded.responses.retrieve("resp_1")
    assert [line["usage_source"] for line in lines(log)] == [None, "service"]
    assert Decimal(lines(tmp_path / "spent.jsonl")[-1]["cost"]) == COST


def test_a_stream_is_settled_while_its_thread_holds_the_lock(client: AzureOpenAI, tmp_path: Path) -> None:
    # As the collection of garbage does it, whatever it interrupts.
    stream = create(watched(client, budget=day_budget(tmp_path)), **WITH_USAGE)
    with FileLock(tmp_path / "spent.jsonl.lock"):
        list(stream)
    assert Decimal(lines(tmp_path / "spent.jsonl")[-1]["cost"]) == COST


def test_a_broken_stream_is_logged_and_its_error_reaches_the_caller(
    client: AzureOpenAI, server: AzureServer, log: Path
) -> None:
    server.script.append(broken_stream)
    with pytest.raises(Exception, match=r"peer closed|incomplete|Connection"):
        list(create(watched(client, log=log), **WITH_USAGE))
    assert (one_line(log)["usage_source"], one_line(log)["usage"]["completion_tokens"]) == ("estimated", 0)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_squeezed_stream_is_read_to_its_last_byte(server: AzureServer, log: Path, is_async: bool) -> None:
    server.script.append(squeezed)
    if is_async:

        async def use(one: Any) -> None:
            async for _ in await create(one, **WITH_USAGE):
                pass

        run_async(server, use, log=log)
    else:
        with azure(server) as one:
            list(create(watched(one, log=log), **WITH_USAGE))
    assert one_line(log)["usage_source"] == "service"


def test_the_tokens_that_a_model_reasoned_are_never_guessed(client: AzureOpenAI, tmp_path: Path, log: Path) -> None:
    list(
        watched(client, budget=day_budget(tmp_path), log=log).chat.completions.create(
            model="think", messages=HELLO, stream=True, max_completion_tokens=50
        )
    )
    usage = one_line(log)["usage"]
    assert usage["completion_tokens"] is None
    assert usage["prompt_tokens"] > 0
    assert read_usage(log).frame["usage_quality"].tolist() == ["missing"]
    assert len(lines(tmp_path / "spent.jsonl")) == 1, "what it cost is not known, so the reservation stands"


def test_an_input_that_cannot_be_counted_is_null(client: AzureOpenAI, log: Path) -> None:
    far = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]
    list(create(watched(client, log=log), messages=far, stream=True))
    assert one_line(log)["usage"]["prompt_tokens"] is None


def test_a_stream_that_never_named_its_model_has_null_counts(client: AzureOpenAI, log: Path) -> None:
    create(watched(client, deployments=None, log=log), stream=True).close()
    assert one_line(log)["usage"] == {"prompt_tokens": None, "completion_tokens": None}
    assert read_usage(log).frame["usage_quality"].tolist() == ["missing"]


def test_each_attempt_is_a_line(client: AzureOpenAI, server: AzureServer, log: Path) -> None:
    server.script += [error(429, "429", **{"retry-after-ms": "1"}), error(500, "x", **{"retry-after-ms": "1"})]
    assert create(watched(client, log=log)).choices[0].message.content == ANSWER
    assert [line["status"] for line in lines(log)] == [429, 500, 200]
    assert len({line["id"] for line in lines(log)}) == 3
    qualities = read_usage(log).frame.set_index("status")["usage_quality"]
    assert qualities.to_dict() == {429: "not_billed", 500: "not_billed", 200: "measured"}


def test_copies_of_a_line_are_one_call(client: AzureOpenAI, tmp_path: Path, log: Path) -> None:
    create(watched(client, log=log))
    (tmp_path / "copy.jsonl").write_bytes(log.read_bytes())
    counts = read_usage(tmp_path).counts.total
    assert (counts.requests, counts.duplicates) == (1, 1)


def test_without_a_budget_nothing_can_stop_a_request(client: AzureOpenAI, server: AzureServer, log: Path) -> None:
    create(watched(client, deployments=None, log=log), model="nobody-knows")
    assert (one_line(log)["deployment"], one_line(log)["resource"]) == ("nobody-knows", None)
    assert read_usage(log, resource="contoso").frame["resource"].tolist() == ["contoso"]


@pytest.mark.parametrize("as_errors", [False, True], ids=["a warning", "under -W error"])
def test_an_answer_is_not_lost_where_the_log_cannot_be_written(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path, as_errors: bool
) -> None:
    path = tmp_path / "folder" / "usage.jsonl"
    path.parent.mkdir()
    one = watched(client, log=path)
    path.unlink()
    path.parent.rmdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error" if as_errors else "always")
        assert create(one).choices[0].message.content == ANSWER
        assert len(list(create(one, stream=True))) > 3
    told = [str(warning.message) for warning in caught if issubclass(warning.category, RuntimeWarning)]
    assert told == ([] if as_errors else ["a line of the usage log was not written: No such file or directory"] * 2)
    assert len(server.paths) == 2


def test_an_answer_is_not_lost_where_the_ledger_cannot_be_settled(
    client: AzureOpenAI, server: AzureServer, tmp_path: Path
) -> None:
    one = watched(client, budget=day_budget(tmp_path))
    stream = create(one, **WITH_USAGE)
    (tmp_path / "spent.jsonl").unlink()
    (tmp_path / "spent.jsonl").mkdir()
    with pytest.warns(RuntimeWarning, match="the reservation stands: Is a directory"):
        assert len(list(stream)) > 3
    assert len(server.paths) == 1


@given(st.data())
def test_a_stream_reads_the_same_in_any_cut(data: st.DataObject) -> None:
    body = {"stream_options": {"include_usage": data.draw(st.booleans())}, "tools": [{}]}
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    whole = b"".join((*chat_events(body), *response_events())).replace(b"\n", end)
    whole = whole[: data.draw(st.integers(0, len(whole)))]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    once, piecewise = EventReader(), EventReader()
    once.feed(whole)
    for first, last in pairwise([0, *cuts, len(whole)]):
        piecewise.feed(whole[first:last])
    told = [(one.model, one.usage, one.texts) for one in (once.end(), piecewise.end())]
    assert told[0] == told[1]


KEYS = st.sampled_from(["response", "usage", "model", "choices", "delta", "tool_calls", "function", "type"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JUNK)
def test_an_answer_of_any_shape_is_read(record: Any) -> None:
    answer = Answer(streamed=True)
    answer.take(record)
    assert answer.usage is None or isinstance(answer.usage, dict)


# What cannot be watched.


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({}, "nothing to do", id="neither budget nor log"),
        pytest.param({"budget": ONE, "deployments": None}, "what each deployment is", id="no deployments"),
        pytest.param({"budget": ONE, "prices": PriceBook([], currency="EUR")}, "EUR", id="two currencies"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(client: AzureOpenAI, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        watched(client, **options)


def test_only_a_client_is_watched_and_only_once(client: AzureOpenAI, log: Path) -> None:
    with pytest.raises(RequestError, match="found a dict"):
        watched({}, log=log)
    with pytest.raises(RequestError, match="watched already"):
        watched(watched(client, log=log), log=log)
    log.touch()


def test_a_log_that_cannot_be_written_is_found_at_once(client: AzureOpenAI, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watched(client, log=tmp_path / "nowhere" / "usage.jsonl")


@pytest.mark.parametrize("path", ["nowhere/spent.jsonl", ".", "/dev/zero", "file/spent.jsonl"])
def test_a_ledger_that_can_be_none_is_found_at_once(client: AzureOpenAI, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"is not a regular file|its folder does not exist"):
        watched(client, budget=Budget(per_day=1, ledger=tmp_path / path))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", ["the same path", "another way to it", "a link", "a hard link"])
def test_the_log_and_the_ledger_are_two_files(client: AzureOpenAI, tmp_path: Path, kind: str) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    if kind == "the same path":
        other = one
    elif kind == "another way to it":
        other = tmp_path / ".." / tmp_path.name / "one"
    elif kind == "a link":
        other.symlink_to(one)
    else:
        one.touch()
        other.hardlink_to(one)
    with pytest.raises(RequestError, match="two files"):
        watched(client, budget=Budget(per_day=1, ledger=one), log=other)


def test_the_log_and_the_ledger_stay_where_they_were(
    client: AzureOpenAI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    guarded = watched(client, budget=Budget(per_day=1, ledger="spent.jsonl"), log="usage.jsonl")
    monkeypatch.chdir("elsewhere")
    create(guarded)
    assert list(Path().iterdir()) == []
    assert (len(lines(tmp_path / "spent.jsonl")), len(lines(tmp_path / "usage.jsonl"))) == (2, 1)


def test_a_clock_without_a_time_zone_is_refused(client: AzureOpenAI, server: AzureServer, log: Path) -> None:
    with pytest.raises(RequestError, match="time zone"):
        create(watched(client, log=log, clock=lambda: NOON.replace(tzinfo=None)))
    assert server.paths == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({}, "neither per_call nor per_day", id="no amount"),
        pytest.param({"per_day": 1}, "needs a file", id="no ledger"),
        pytest.param({"per_call": 0.5}, "must be a Decimal", id="a float"),
        pytest.param({"per_call": True}, "must be a Decimal", id="a truth value"),
        pytest.param({"per_call": "-1"}, "must be a Decimal", id="negative"),
        pytest.param({"per_call": "NaN"}, "must be a Decimal", id="not a number"),
        pytest.param({"per_call": "much"}, "must be a Decimal", id="a word"),
        pytest.param({"per_day": 1, "ledger": ""}, "must be the path", id="a ledger without a name"),
        pytest.param({"per_day": 1, "ledger": 3}, "must be the path", id="a number for a ledger"),
        pytest.param({"per_day": 1, "ledger": b"spent"}, "must be the path", id="bytes for a ledger"),
        pytest.param({"per_call": 1, "against": "mean"}, "must be high or low", id="against what nobody knows"),
        pytest.param({"per_call": 1, "unpriced": "warn"}, "must be refuse or send", id="unpriced what"),
    ],
)
def test_a_budget_says_what_is_wrong_with_it(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(AoaiCostError, match=reason):
        Budget(**fields)
