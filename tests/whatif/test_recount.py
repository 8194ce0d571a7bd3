"""Changes to calls whose requests were counted anew while reading."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aoai_cost import (
    CapOutput,
    Change,
    CostReport,
    Deployment,
    Deployments,
    DownscaleImages,
    PriceBook,
    SwapModel,
    UsageLog,
    cost_report,
    count_request,
    read_usage,
    what_if,
)

FILE = Deployments([Deployment("contoso", "chat", "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral")])
BOOK = PriceBook.bundled()
ANSWER = "A harbour in the evening, with two boats."


def png(width: int, height: int) -> str:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + bytes(4)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def request(*images: tuple[int, int], detail: str = "high", text: str = "What is this?") -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": png(*size), "detail": detail}} for size in images]
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]}


def read(
    folder: Path,
    *bodies: dict[str, Any],
    model: str = "gpt-4o-2024-11-20",
    reported: int | None = None,
    **options: Any,
) -> UsageLog:
    """Read answers that are logged beside their requests, with the tokens that the model counts, or others."""
    rows = []
    for i, body in enumerate(bodies):
        prompt = count_request(body, model=model).input_tokens if reported is None else reported
        message = {"role": "assistant", "content": ANSWER}
        rows.append(
            {
                "id": f"chatcmpl-{i}",
                "object": "chat.completion",
                "created": int(datetime(2026, 10, 14, 12, tzinfo=UTC).timestamp()),
                "model": model,
                "usage": {"prompt_tokens": prompt, "completion_tokens": 40, "total_tokens": prompt + 40},
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "request": body,
            }
        )
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return read_usage(log, deployment="chat", resource="contoso", **options)


def fresh(log: UsageLog, file: Deployments = FILE) -> CostReport:
    return cost_report(log, deployments=file, prices=BOOK)


BODIES = (request((2048, 4096)), request(), request((640, 480), (1024, 1024), detail="low"))


def test_another_model_is_exactly_a_log_of_its_own_counts(tmp_path: Path) -> None:
    log = read(tmp_path, *BODIES, recount=["gpt-4o-mini"])
    found = what_if(log, SwapModel("gpt-4o", "gpt-4o-mini"), deployments=FILE, prices=BOOK)
    mini = Deployments([Deployment("contoso", "chat", "gpt-4o-mini", "2024-07-18", "GlobalStandard", "swedencentral")])
    own = fresh(read(tmp_path, *BODIES, model="gpt-4o-mini-2024-07-18"), mini)
    assert found.after.total == own.total
    assert found.after.certainty == own.certainty == "exact"
    # An image costs 33 times the tokens there: the swap is dearer for its input, and not cheaper by 94 %.
    assert found.after.frame["input"].sum() > 30 * log.frame["prompt_tokens"].sum()


def test_without_counts_of_its_own_another_model_is_an_estimate(tmp_path: Path) -> None:
    log = read(tmp_path, *BODIES)
    found = what_if(log, SwapModel("gpt-4o", "gpt-4o-mini"), deployments=FILE, prices=BOOK)
    assert found.after.certainty == "estimated"
    assert found.after.frame["input"].sum() == log.frame["prompt_tokens"].sum()
    assert any(note.endswith("not read with recount=: 3") for note in found.notes)


def test_answers_of_another_encoding_are_an_estimate(tmp_path: Path) -> None:
    log = read(tmp_path, request(text="Ett hav av ord, och inget slut på dem."), recount=["gpt-4"])
    counted = log.recounted.iloc[0]
    found = what_if(log, SwapModel("gpt-4o", "gpt-4"), deployments=FILE, prices=BOOK)
    assert found.after.frame["input"].tolist() == [counted["input_tokens"]]
    assert found.after.frame["output"].tolist() == [counted["output_tokens"]]
    assert any("calls whose tokens for gpt-4 are an estimate: 1" in note for note in found.notes)


def test_what_was_changed_before_stays_changed(tmp_path: Path) -> None:
    log = read(tmp_path, *BODIES, recount=["gpt-4o-mini"])
    swap, cap = SwapModel("gpt-4o", "gpt-4o-mini"), CapOutput(10)
    one, other = (what_if(log, *order, deployments=FILE, prices=BOOK).after for order in ((swap, cap), (cap, swap)))
    assert one.total == other.total
    assert one.frame["output"].sum() == 3 * 10


@pytest.mark.parametrize(
    ("change", "smaller"),
    [
        pytest.param(DownscaleImages(detail="low"), request((2048, 4096), detail="low"), id="by their detail"),
        pytest.param(DownscaleImages(max_side_px=1024), request((512, 1024)), id="by their longest side"),
        pytest.param(DownscaleImages(max_side_px=9_000), request((2048, 4096)), id="to a size beyond their own"),
    ],
)
def test_smaller_images_are_a_log_of_smaller_images(
    tmp_path: Path, change: DownscaleImages, smaller: dict[str, Any]
) -> None:
    log = read(tmp_path, request((2048, 4096)), request(), recount=["gpt-4o"])
    found = what_if(log, change, deployments=FILE, prices=BOOK)
    assert found.after.total == fresh(read(tmp_path, smaller, request())).total
    assert found.after.total <= found.before.total


def test_smaller_images_of_another_model_are_counted_by_its_rule(tmp_path: Path) -> None:
    log = read(tmp_path, request((2048, 4096)), recount=["gpt-4o-mini"])
    changes = SwapModel("gpt-4o", "gpt-4o-mini"), DownscaleImages(detail="low")
    found = what_if(log, *changes, deployments=FILE, prices=BOOK)
    expected = count_request(request((2048, 4096), detail="low"), model="gpt-4o-mini").input_tokens
    assert found.after.frame["input"].tolist() == [expected]
    # gpt-4o-mini in US dollars per million: 0.15 and 0.60.
    assert found.after.total == (expected * Decimal("0.15") + 40 * Decimal("0.6")) / 1_000_000


def test_images_that_are_small_already_save_nothing_more(tmp_path: Path) -> None:
    log = read(tmp_path, request((2048, 4096)), request((640, 480)), recount=["gpt-4o-mini"])
    swap, low = SwapModel("gpt-4o", "gpt-4o-mini"), DownscaleImages(detail="low")
    small, smaller = DownscaleImages(max_side_px=1024), DownscaleImages(max_side_px=600)

    def after(*changes: Change) -> CostReport:
        return what_if(log, *changes, deployments=FILE, prices=BOOK).after

    assert after(low, low).total == after(low).total
    assert after(small, smaller).total == after(smaller).total == after(smaller, small).total
    assert after(low, swap).total == after(swap, low).total == after(low, swap, low).total


def test_a_model_that_was_swapped_for_another_leaves_no_trace(tmp_path: Path) -> None:
    log = read(tmp_path, request((640, 480), text="Ett hav av ord."), recount=["gpt-4", "gpt-4o-mini"])
    mini, four = SwapModel("gpt-4o", "gpt-4o-mini"), SwapModel("gpt-4o", "gpt-4")
    straight = what_if(log, mini, deployments=FILE, prices=BOOK).after
    around = what_if(log, four, SwapModel("gpt-4", "gpt-4o-mini"), deployments=FILE, prices=BOOK).after
    assert around.frame["input"].tolist() == straight.frame["input"].tolist()


def test_of_an_answer_that_was_cut_off_as_much_is_left(tmp_path: Path) -> None:
    log = read(tmp_path, request(), recount=["gpt-4"])
    whole, found = 40, int(log.recounted["output_tokens"].iloc[0])
    assert found < whole
    changes = CapOutput(whole - found), SwapModel("gpt-4o", "gpt-4")
    cut = what_if(log, *changes, deployments=FILE, prices=BOOK).after
    assert cut.frame["output"].tolist() == [(whole - found) * found // whole]


def test_tools_that_the_log_does_not_hold_are_still_paid(tmp_path: Path) -> None:
    body = request(text="What is the weather in Bergen?")
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    sent = count_request(body | {"tools": [tool]}, model="gpt-4o").input_tokens
    log = read(tmp_path, body, recount=["gpt-4o-mini"], reported=sent)
    found = what_if(log, SwapModel("gpt-4o", "gpt-4o-mini"), deployments=FILE, prices=BOOK)
    assert found.after.frame["input"].tolist() == [sent]
    assert found.after.certainty == "estimated"
