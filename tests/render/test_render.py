"""The faces of a report: the same numbers everywhere, and a stranger's text that does nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from aoai_cost import CostReport, MissingPriceError, RequestError, write_report
from aoai_cost.logs import Counts, FileCounts
from aoai_cost.render import report_csv, report_html, report_json, report_markdown, report_table
from aoai_cost.render.words import amount, plain, quantity

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://example.invalid")',
    "\x1b[2J\x1b[31mred",
    "lone \ud800 surrogate",
    "[bold]markup[/bold] :smile:",
    "two\nlines",
    "&lt;already&gt;",
]


def make_report(name: str = "chat-prod") -> CostReport:
    """A small report by hand: one complete row, one with a gap."""
    frame = pd.DataFrame(
        {
            "period": ["2026-10", "2026-10"],
            "resource": ["/subscriptions/x/accounts/contoso", None],
            "deployment": [name, None],
            "requests": [3, 1],
            "unmetered": [0, 1],
            "not_billed": [0, 0],
            "failed": [0, 0],
            "throttled": [0, 0],
            "spilled": [0, 0],
            "input": [1_000_000, 0],
            "cached_input": [0, 0],
            "cache_write": [0, 0],
            "output": [2_000, 0],
            "cost": [Decimal("2.52"), None],
            "complete": [True, False],
        },
        dtype=object,
    )
    lines = pd.DataFrame(
        [
            ("2026-10", "contoso", name, "gpt-4o", "2024-11-20", "GlobalStandard", None, "default", "short", "input",
             "text", "", 1_000_000, "token", Decimal("2.5"), "1M tokens", Decimal("2.5"), name, "S1", None),
        ],
        columns=["period", "resource", "deployment", "model", "version", "sku", "region", "tier", "band", "meter",
                 "modality", "variant", "quantity", "unit", "price", "price_unit", "amount", "meter_name", "source",
                 "effective_from"],
        dtype=object,
    )  # fmt: skip
    unpriced = pd.DataFrame(
        [("2026-10", "contoso", name, name, "", None, None, None, "output", "audio", "", 7, "token", name)],
        columns=["period", "resource", "deployment", "model", "version", "sku", "region", "tier", "meter", "modality",
                 "variant", "quantity", "unit", "reason"],
        dtype=object,
    )  # fmt: skip
    rejected = pd.DataFrame(
        {"source_file": [name], "line": [4], "offset": [9], "reason": [name], "masked_row": [name]}, dtype=object
    )
    files = (FileCounts(name, rows=5, requests=4, rejected=1, conflicts=2), FileCounts("whole.json"))
    counts = Counts(files, ((name, 1),))
    comparison = pd.DataFrame(
        [(name, name, name, 3, 12_345, 67_890, 5, 6, 7, 8)],
        columns=["resource", "source", "primary", "hours", "calls", "primary_calls", "prompt_tokens",
                 "primary_prompt_tokens", "completion_tokens", "primary_completion_tokens"],
        dtype=object,
    )  # fmt: skip
    return CostReport(
        frame=frame,
        lines=lines,
        total=Decimal("2.52"),
        currency="USD",
        certainty="lower_bound",
        unpriced=unpriced,
        rejected=rejected,
        counts=counts,
        files_complete=True,
        period=None,
        notes=(name,),
        comparison=comparison,
    )


def terminal(report: CostReport) -> str:
    console = Console(width=200, file=io.StringIO(), highlight=False, emoji=False, markup=False)
    console.print(report_table(report))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


class Reader(HTMLParser):
    """Collects the elements, attributes and texts that a browser would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


CALM = read(report_html(make_report()))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_add_nothing_to_the_page_but_text(name: str) -> None:
    page = report_html(make_report(name))
    found = read(page)
    assert found.tags == CALM.tags
    assert found.attributes == CALM.attributes
    assert "script" not in found.tags
    page.encode("utf-8")
    assert plain(name) in found.texts


def test_the_page_forbids_everything_but_its_own_style() -> None:
    page = report_html(make_report())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert policy[1].startswith("default-src &#x27;none&#x27;; style-src &#x27;sha256-")
    assert "http" not in re.sub(r'http-equiv="[^"]+"', "", page)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_cannot_steer_a_terminal(name: str) -> None:
    shown = terminal(make_report(name))
    assert "\x1b" not in shown
    shown.encode("utf-8")
    assert "smile:" in shown or ":smile:" not in name


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_no_formulas_in_csv(name: str) -> None:
    rows = list(csv.reader(io.StringIO(report_csv(make_report(name)))))
    cell = rows[1][rows[0].index("deployment")]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    # One line that can be printed, and still the name: what cannot be printed is written as an escape.
    assert cell.isprintable()
    assert cell.removeprefix("'") == name or not name.isprintable()


def test_every_face_carries_the_same_total() -> None:
    report = make_report()
    rows = list(csv.DictReader(io.StringIO(report_csv(report))))
    assert sum(Decimal(row["cost"] or 0) for row in rows) == report.total
    assert Decimal(report_json(report)["total"]) == report.total
    assert amount(report.total) in report_html(report)
    assert amount(report.total) in terminal(report)


def test_a_gap_is_shown_beside_its_number() -> None:
    report = make_report()
    assert "2.52 (at least)" in terminal(report)
    assert "USD, at least" in report_html(report)
    for cost, shown in ((None, "?"), (Decimal("2.5"), "2.50 + ?")):
        frame = report.frame.tail(1).assign(complete=False)
        frame["cost"] = pd.Series([cost], index=frame.index, dtype=object)
        one = replace(report, frame=frame)
        assert re.search(rf" {re.escape(shown)} *$", terminal(one), re.MULTILINE)
        assert f">{shown}<" in report_html(one)
        assert ("," + ("2.5" if cost else "") + ",False,USD") in report_csv(one)
    exact = replace(report, certainty="exact")
    assert "at least" not in terminal(exact)


def test_json_is_plain_data() -> None:
    found = report_json(make_report("lone \ud800"))
    assert json.loads(json.dumps(found)) == found
    assert found["schema"] == "aoai_cost.report/1"
    assert found["rows"][0]["cost"] == "2.52"
    assert found["rows"][1]["deployment"] is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "0.00"),
        ("1234567.891", "1,234,567.89"),
        ("0.004", "0.004"),
        ("0.0040000", "0.004"),
        ("0.0000100000", "0.00001"),
        ("0.0099999", "0.01"),
        ("0.00000012", "1.20E-7"),
        ("-3", "-3.00"),
    ],
)
def test_amounts_are_rounded_for_people_only(value: str, shown: str) -> None:
    assert amount(Decimal(value)) == shown


@pytest.mark.parametrize("form", ["csv", "focus.csv", "html", "json", "md", "parquet", "xlsx"])
def test_a_file_is_written_whole_and_alone(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"report.{form}"
    path.write_text("old", "utf-8")
    write_report(make_report(), path)
    first = path.read_bytes()
    write_report(make_report(), path)
    assert path.read_bytes() == first != b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.csv"
    path.write_text("old", "utf-8")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(make_report(), path)
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["report.pdf", "report"])
def test_an_unknown_form_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="csv, html, json"):
        write_report(make_report(), tmp_path / name)


@pytest.mark.parametrize("show", [report_html, terminal, CostReport._repr_html_])
def test_an_empty_report_has_a_face_too(show: Callable[[CostReport], str]) -> None:
    report = make_report()
    empty = replace(
        report,
        frame=report.frame.head(0),
        lines=report.lines.head(0),
        unpriced=report.unpriced.head(0),
        rejected=report.rejected.head(0),
        counts=Counts(()),
        total=Decimal(0),
        notes=(),
    )
    assert "0" in show(empty)


def test_a_pipe_is_written_to_and_a_link_is_followed(tmp_path: Path) -> None:
    report = make_report()
    pipe, link, real = tmp_path / "pipe", tmp_path / "link.csv", tmp_path / "real.csv"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_report(report, pipe, "csv")
    assert os.read(reader, 1 << 16).decode() == report_csv(report)
    os.close(reader)
    assert pipe.is_fifo()
    real.write_text("old", "utf-8")
    link.symlink_to(real)
    write_report(report, link)
    assert link.is_symlink()
    assert real.read_text("utf-8") == report_csv(report)
    # The path that was given says the form, not what the link leads to.
    other = tmp_path / "link.html"
    other.symlink_to(real)
    write_report(report, other)
    assert real.read_text("utf-8") == report_html(report)
    with pytest.raises(RequestError, match="is empty"):
        write_report(report, "", "csv")


@pytest.mark.parametrize("width", [60, 80, 100, 160, 300])
def test_a_narrow_terminal_leaves_columns_out_and_cuts_no_number(width: int) -> None:
    report = make_report("a-deployment")
    out = io.StringIO()
    Console(file=out, width=width).print(report_table(report))
    shown = out.getvalue()
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert "2.52" in shown
    assert ("no room for" in shown) == (width < 160)


def test_time_is_shown_in_hours() -> None:
    assert quantity(15 * 4 * 24 * 3_600_000, "PTU-millisecond") == "1,440 PTU-hours"
    assert quantity(5_400_000, "millisecond") == "1.50 hours"
    assert quantity(1_234, "token") == "1,234 tokens"


def unpriced(*reasons: tuple[str, str]) -> CostReport:
    """A report of quantities without a price: the meter and the reason of each."""
    report = make_report("chat")
    first = report.unpriced.to_dict("records")[0] | {"modality": "text"}
    rows = [first | {"meter": meter, "reason": reason} for meter, reason in reasons]
    return replace(report, unpriced=pd.DataFrame(rows, dtype=object))


def test_a_reason_stands_once_in_the_terminal_whatever_the_meter() -> None:
    missing = {
        meter: str(
            MissingPriceError(
                model="x", version="1", meter=meter, modality="text", sku="S", region=None, tier="default",
                band="short", on=date(2026, 10, 12), covered="nobody sells it",
            )
        )
        for meter in ("input", "output")
    }  # fmt: skip
    shown = terminal(unpriced(*missing.items(), ("input", "no file"), ("output", "no file")))
    assert shown.count("nobody sells it") == shown.count("no file") == 1
    assert "no price for model 'x' version '1', sku 'S', tier" in shown
    assert shown.count("contoso/chat   chat   input 7 tokens, output 7 tokens") == 2
    # What a reason says of something else than the meter is another reason.
    both = terminal(unpriced(("input", "no file"), ("output", "no price")))
    assert re.search(r"no file\n  contoso/chat +chat +input 7 tokens *\n", both)
    assert re.search(r"no price\n  contoso/chat +chat +output 7 tokens *\n", both)


def test_a_variant_is_a_strangers_text_too() -> None:
    report = make_report()
    steering = {"variant": "hd\x1b[2J"}
    hostile = replace(report, lines=report.lines.assign(**steering), unpriced=report.unpriced.assign(**steering))
    for shown in (terminal(hostile), report_html(hostile), report_markdown(hostile)):
        assert "\x1b" not in shown
        assert "hd\\x1b[2J" in shown


def test_a_long_list_of_what_has_no_price_is_cut_and_says_so() -> None:
    report = unpriced(*[("input", f"reason {i}") for i in range(50)])
    shown = terminal(report)
    assert ("reason 19" in shown, "reason 20" in shown) == (True, False)
    assert "and 30 more; --json lists them all" in shown
    months = report.unpriced.head(2).assign(reason="no file", period=["2026-10", "2026-11"])
    assert re.search(r"2026-10 +contoso/chat .*\n +2026-11 +contoso/chat ", terminal(replace(report, unpriced=months)))


def test_long_paths_are_whole_and_below_each_other_in_a_narrow_terminal() -> None:
    path = "/".join(["logs"] * 30)
    cut = tuple(FileCounts(f"{path}/{i}.json", rows=1, requests=1, complete=False) for i in range(2))
    report = replace(make_report(), counts=Counts(cut))
    out = io.StringIO()
    Console(file=out, width=80).print(report_table(report))
    shown = out.getvalue()
    assert f"{path}/1.json" in shown.replace("\n", "")
    assert shown.count("\n  1 rows read, 1 calls, not read to its end") == 2


def test_rejected_rows_are_shown_in_the_terminal() -> None:
    assert "rows that could not be read" in terminal(make_report())


def with_files(n_rejected: int, n_files: int = 1_000) -> CostReport:
    """A report of many files; the rejected rows, for as many reasons, are in the first of them."""
    report = make_report()
    reasons = tuple((f"reason {chr(97 + i)}", 2) for i in range(n_rejected // 2))
    files = [FileCounts("bad.json", rows=n_rejected, rejected=n_rejected)] if n_rejected else []
    files += [FileCounts(f"{i:04d}.json", rows=7, requests=4, joined=2, duplicates=1) for i in range(n_files)]
    listed = pd.DataFrame(
        [("bad.json", i, 0, "reason", '{"user":"…"}') for i in range(n_rejected // 2)],
        columns=["source_file", "line", "offset", "reason", "masked_row"],
        dtype=object,
    )
    return replace(report, counts=Counts(tuple(files), reasons), rejected=listed)


def test_every_face_accounts_for_the_rows_of_each_file() -> None:
    report = with_files(44)
    page = report_html(report)
    assert page.count(".json</td>") == 1_001 + 22
    row = "".join(f'<td class="n">{n}</td>' for n in (7, 4, 2, 1, 0, 0, 0, 0, 0))
    assert f'<td class="w">0123.json</td>{row}<td>yes</td>' in page
    files = report_json(report)["reading"]["files"]
    assert len(files) == 1_001
    for one in files:
        assert one["rows"] == sum(one[name] for name in ("requests", "joined", "duplicates", "ignored", "rejected"))
    shown = terminal(report)
    assert "0123.json" not in shown
    assert re.search(r"bad\.json +44 rows read, 44 rejected *$", shown, re.MULTILINE)
    assert (
        "7,044 rows read, 4,000 calls, 2,000 further rows of a call, 1,000 duplicates, "
        "0 calls that another source counts, 0 ignored, 44 rejected" in " ".join(shown.split())
    )
    # The list of rows is cut, and each face says what it shows.
    assert "The first 22 rows" in page
    assert "and 39 more rows; --rejects writes them all to a file" in shown
    assert re.search(r"^ +2   reason j *$", shown, re.MULTILINE)
    assert "and 12 more reasons" in shown
    assert '<td class="w">reason v</td><td class="n">2</td>' in page


def test_files_with_nothing_to_look_at_do_not_fill_the_terminal() -> None:
    assert "Files to look at" not in terminal(with_files(0))
    assert "Files to look at" not in terminal(with_files(44, n_files=0))
    report = make_report()
    cut = tuple(FileCounts(f"{i}.json", rows=1, requests=1, complete=False) for i in range(50))
    shown = terminal(replace(report, counts=Counts(cut)))
    assert shown.count("1 rows read, 1 calls, not read to its end") == 20
    assert "and 30 more files" in shown


def test_a_long_list_of_rejected_rows_is_cut_and_folded_in_the_page() -> None:
    page = report_html(with_files(4_000, n_files=1))
    assert page.count("bad.json</td>") == 1_001
    assert "<details><summary>The first 1,000 rows" in page
    assert '<details open=""><summary>The rows: 1<' in report_html(make_report())


def test_what_another_source_counts_is_shown_beside_it() -> None:
    made = make_report()
    for shown in (terminal(made), report_html(made)):
        assert "12,345 of 67,890" in shown
        assert "calls that another source counts" in shown
    (row,) = report_json(made)["comparison"]
    assert (row["calls"], row["primary_calls"], row["source"]) == (12_345, 67_890, "chat-prod")
    alone = replace(made, comparison=made.comparison.head(0))
    assert report_json(alone)["comparison"] == []
    assert "Counted instead" not in terminal(alone) + report_html(alone)
