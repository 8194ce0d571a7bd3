"""The commands: results on stdout, the rest on stderr, the exit code says how it went."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aoai_cost import get_encoding
from aoai_cost.cli import main

ROOT = Path(__file__).resolve().parent.parent
LOGS = str(ROOT / "examples" / "logs")
DEPLOYMENTS = str(ROOT / "examples" / "deployments.toml")
AZ = str(ROOT / "examples" / "az-deployments.json")
REQUEST = str(ROOT / "examples" / "request.json")


def run(*words: str, stdin: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(main, words, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def data(result: Result) -> Any:
    return json.loads(result.stdout)


def test_count_prints_one_number() -> None:
    result = run("count", "--model", "gpt-4o", "--text", "hello world")
    assert (result.exit_code, result.stdout) == (0, "2\n")


def test_count_says_where_the_encoding_is_assumed() -> None:
    assumed, known = (run("count", "--model", name, "--text", "a", "--json") for name in ("gpt-6-sol", "gpt-4o"))
    assert "assumed to be o200k_base" in assumed.stderr
    assert (data(assumed)["encoding_known"], data(known)["encoding"], known.stderr) == ("assumed", "o200k_base", "")


def test_count_reads_files_and_stdin(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("hello world", "utf-8")
    result = run("count", "--encoding", "r50k_base", str(file), "-", "--json", stdin="hamburger")
    assert [entry["tokens"] for entry in data(result)["counts"]] == [2, 3]
    assert data(result)["total"] == 5


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["count", "--text", "x"], 2, "--model or --encoding", id="no model"),
        pytest.param(["count", "--model", "gpt-4o"], 2, "stdin", id="nothing to count"),
        pytest.param(["count", "--model", "gpt-9", "--text", "x"], 1, "unknown model 'gpt-9'", id="unknown model"),
        pytest.param(
            ["count", "--encoding", "o300k", "--text", "x"], 1, "o200k_base", id="unknown encoding, near ones"
        ),
        pytest.param(["count", "--model", "gpt-4o", "/no/such/file"], 1, "No such file", id="missing file"),
        pytest.param(["estimate", "/no/such/file", "--model", "gpt-4o"], 1, "No such file", id="missing request"),
        pytest.param(["estimate", REQUEST], 2, "--model", id="estimate without a model"),
        pytest.param(
            ["estimate", REQUEST, "--model", "gpt-4o", "--version", "2024-11-20", "--sku", "Nonsense"],
            2,
            "none of GlobalStandard",
            id="unknown sku",
        ),
        pytest.param(
            ["estimate", REQUEST, "--model", "gpt-4o", "--version", "2024-11-20", "--sku", "Standard"],
            1,
            "region",
            id="a regional price without a region",
        ),
        pytest.param(["estimate", REQUEST, "--model", "gpt-4o", "--on", "soon"], 2, "2026-10-31", id="no date"),
        pytest.param(["estimate", REQUEST, "--model", "gpt-4o", "--budget", "NaN"], 2, "amount", id="no budget"),
        pytest.param(["report", "/no/such/log"], 1, "/no/such/log", id="missing log"),
        pytest.param(["report", LOGS, "--deployments", "/no/such/file"], 1, "/no/such/file", id="missing deployments"),
        pytest.param(["report", LOGS, "--by", "model,colour"], 2, "none of resource", id="unknown column"),
        pytest.param(["report", LOGS, "--since", "yesterday"], 2, "is not a date or time like", id="no time"),
        pytest.param(
            ["report", LOGS, "--until", "20261014"], 2, "is not a date or time like", id="a time without dashes"
        ),
        pytest.param(
            ["report", LOGS, "--since", "2026-10-14T05:00", "--until", "2026-10-14"],
            2,
            "must be before",
            id="no period",
        ),
        pytest.param(["report", LOGS, "--since", "2027-01-01"], 1, "no file of the hours", id="hours nobody wrote"),
        pytest.param(["report", LOGS, "--format", "colour"], 2, "none of auto, azure-monitor", id="unknown format"),
        pytest.param(
            ["report", LOGS, "--csv", "/no/such/folder/r.csv"],
            1,
            "error: /no/such/folder/r.csv: No such",
            id="unwritable file",
        ),
        pytest.param(["count", "--encoding", "zzz", "--text", "x"], 1, "did you mean 'cl100k_base'", id="nothing near"),
        pytest.param(["models", "zzz"], 1, "`aoai-cost models` lists", id="a model with nothing near"),
        pytest.param(["report", LOGS, "--html", ""], 2, "the path is empty", id="no path to write to"),
        pytest.param(["report", ""], 1, "a path is empty", id="an empty path"),
        pytest.param(["report", LOGS, "--columns", "in_tok"], 2, "as prompt_tokens=in_tok does", id="no pair"),
        pytest.param(["report", LOGS, "--columns", "user=a,user=b"], 2, "user is named twice", id="a column twice"),
        pytest.param(["report", LOGS, "--columns", "colour=a"], 1, "did you mean", id="a column that is none"),
        pytest.param(["report", LOGS, "--columns", "user=a", "--format", "litellm"], 1, "exclude", id="both"),
        pytest.param(["report", LOGS, "--strict"], 1, "the last line is unfinished", id="a bad row under strict"),
        pytest.param(["report", LOGS, "--rejects", "/no/such/r"], 1, "/no/such/r: No such", id="no such folder"),
        pytest.param(["count", "--model", "gpt-4o", "-", "-"], 2, "read once", id="stdin twice"),
        pytest.param(
            ["estimate", REQUEST, "--deployments", DEPLOYMENTS, "--deployment", "tuned", "--tier", "batch"],
            2,
            "the deployments file says them",
            id="a tier beside a deployment",
        ),
        pytest.param(["prices", "list", "gpt-4o", "--tier", "fast"], 2, "none of default", id="unknown tier"),
        pytest.param(["prices", "list", "gpt-9"], 1, "unknown model 'gpt-9'", id="prices of an unknown model"),
        pytest.param(["deployments", "import", "/no/such/file"], 1, "'/no/such/file': cannot be", id="missing az JSON"),
        pytest.param(["deployments", "import", "-", "-"], 2, "read once", id="stdin twice as deployments"),
        pytest.param(["deployments", "check"], 2, "Missing argument", id="no deployments file to check"),
        pytest.param(["deployments", "check", "/no/such/file"], 1, "cannot be read", id="no file to check"),
        pytest.param(["models", "gpt-9"], 1, "unknown model 'gpt-9'", id="unknown model name"),
        pytest.param(["nonsense"], 2, "No such command", id="unknown command"),
    ],
)
def test_a_users_mistake_ends_in_one_clear_line(words: list[str], code: int, said: str) -> None:
    result = run(*words)
    assert result.exit_code == code
    assert result.stdout == "" or words[0] == "report"
    assert said in result.stderr


def test_a_byte_order_mark_is_part_of_a_text_that_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffhello", "utf-8")
    found = data(run("count", "--encoding", "o200k_base", "--json", str(tmp_path / "a.txt")))
    assert found["total"] == get_encoding("o200k_base").count("\ufeffhello") > 1


def test_a_message_may_quote_a_name_that_is_not_unicode() -> None:
    result = run("count", "--model", "gpt-4o", "/no/such/\udcff")
    assert (result.exit_code, result.stderr) == (1, "error: /no/such/\\udcff: No such file or directory\n")


def test_count_refuses_what_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"ok\xff")
    result = run("count", "--model", "gpt-4o", str(file))
    assert result.exit_code == 1
    assert "not UTF-8 text (at byte 2)" in result.stderr


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "stdin is not JSON"),
        ("", "stdin is not JSON"),
        ("[]", "body: "),
        ('"x"', "body: "),
        ("{}", "body: "),
    ],
)
def test_estimate_refuses_what_is_no_request(body: str, said: str) -> None:
    result = run("estimate", "-", "--model", "gpt-4o", stdin=body)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_sku_may_be_written_in_any_case() -> None:
    words = ["prices", "list", "gpt-4o", "--json", "--on", "2026-10-15", "--sku"]
    assert run(*words, "globalbatch").stdout == run(*words, "GlobalBatch").stdout


ESTIMATE = ["estimate", REQUEST, "--model", "gpt-4o", "--version", "2024-11-20", "--on", "2026-10-15"]


def test_estimate_in_json_and_in_words_say_the_same() -> None:
    found = data(run(*ESTIMATE, "--json"))
    words = run(*ESTIMATE)
    assert words.exit_code == 0
    assert f"input   {found['input_tokens']:,} tokens (exact)" in words.stdout
    assert found["low"] in words.stdout
    assert found["high"] in words.stdout
    # The image of 640 x 480 is one row of two tiles: 85 + 2 * 170.
    assert 425 in [line["tokens"] for line in found["lines"]]
    assert Decimal(found["low"]) == found["input_tokens"] * Decimal("2.5") / 1_000_000
    assert Decimal(found["high"]) - Decimal(found["low"]) == 100 * Decimal("10") / 1_000_000


def test_estimate_over_budget_exits_with_4() -> None:
    assert run(*ESTIMATE, "--budget", "1").exit_code == 0
    result = run(*ESTIMATE, "--budget", "0.000001")
    assert result.exit_code == 4
    assert "over the budget" in result.stderr


def test_estimate_finds_a_deployment_in_a_file() -> None:
    words = ["--deployments", DEPLOYMENTS, "--version", "2024-11-20", "--on", "2026-10-15"]
    found = data(run("estimate", REQUEST, *words, "--deployment", "aoai-shop-sweden/chat", "--json"))
    assert (found["model"], found["region"]) == ("gpt-4o", "swedencentral")
    ambiguous = run("estimate", REQUEST, *words, "--deployment", "chat")
    assert ambiguous.exit_code == 1
    assert "ambiguous" in ambiguous.stderr


def test_report_writes_its_files_and_exits_with_3_for_listed_rows(tmp_path: Path) -> None:
    html, csv = tmp_path / "r.html", tmp_path / "r.csv"
    result = run("report", LOGS, "--deployments", DEPLOYMENTS, "--html", str(html), "--csv", str(csv), "--json")
    found = data(result)
    assert result.exit_code == 3
    assert found["unpriced"]
    assert found["rejected"]
    assert sum(Decimal(row["cost"] or 0) for row in found["rows"]) == Decimal(found["total"])
    assert html.read_text("utf-8").startswith("<!doctype html>")
    assert len(csv.read_text("utf-8").splitlines()) == len(found["rows"]) + 1
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["r.csv", "r.html"]


def test_a_report_of_a_day_and_of_the_rest_are_the_whole_one() -> None:
    def requests(*words: str) -> int:
        return int(data(run("report", LOGS, "--deployments", DEPLOYMENTS, "--json", *words))["requests"])

    # The same moment, in UTC and with an offset.
    day, later = requests("--until", "2026-10-14"), requests("--since", "2026-10-13T17:00:00-07:00")
    assert day > 0 < later
    assert day + later == requests()


def test_imported_deployments_are_found_in_a_report(tmp_path: Path) -> None:
    imported = run("deployments", "import", AZ)
    assert (imported.exit_code, imported.stderr.splitlines()[-1]) == (0, "deployments: 8, left out: 0")
    file = tmp_path / "d.toml"
    file.write_text(imported.stdout, "utf-8")
    assert run("deployments", "check", str(file)).stdout == "deployments: 8, problems: 0\n"
    reports = [data(run("report", LOGS, "--deployments", path, "--json")) for path in (str(file), AZ)]
    assert reports[0] == reports[1]
    costs = {(row["resource"].rpartition("/")[2], row["deployment"]): row["cost"] for row in reports[0]["rows"]}
    assert Decimal(costs["aoai-shop-sweden", "chat"]) > 0


def test_import_writes_what_can_be_used_and_exits_with_3() -> None:
    records = json.loads(Path(AZ).read_text("utf-8"))[1]
    records[1]["sku"]["name"] = "Nonsense"
    result = run("deployments", "import", "-", stdin="\ufeff" + json.dumps(records))
    assert result.exit_code == 3
    assert [line for line in result.stdout.splitlines() if line.startswith("name")] == [
        'name = "chat"',
        'name = "tuned"',
    ]
    assert '# region = ""' in result.stdout
    assert "note: deployments without a region: 2; `az cognitiveservices account list" in result.stderr
    assert "left out: deployments file 'stdin', deployment 2 ('embed'): sku 'Nonsense' is not known" in result.stderr
    found = data(run("deployments", "import", "-", "--json", stdin=json.dumps(records)))
    assert [one["name"] for one in found["deployments"]] == ["chat", "tuned"]
    assert [one["entry"] for one in found["problems"]] == ["deployment 2 ('embed')"]


def test_check_lists_all_that_is_wrong_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "d.toml"
    facts = 'name = "chat"\nmodel = "gpt-4o"\n'
    file.write_text(f'[[deployment]]\n{facts}sku = "Standrad"\n\n[[deployment]]\n{facts}tire = "batch"\n', "utf-8")
    result = run("deployments", "check", str(file))
    assert result.exit_code == 1
    places = [line.partition("d.toml', ")[2].partition(":")[0] for line in result.stdout.splitlines()[:-1]]
    assert places == [f"line {line}, deployment {i} ('chat')" for line, i in ((4, 1), (9, 2), (6, 2))]
    assert result.stdout.endswith("\ndeployments: 0, problems: 3\n")
    assert len(data(run("deployments", "check", str(file), "--json"))["problems"]) == 3


def test_report_by_day_adds_up_to_the_month() -> None:
    days = data(run("report", LOGS, "--deployments", DEPLOYMENTS, "--every", "day", "--by", "model,sku", "--json"))
    months = data(run("report", LOGS, "--deployments", DEPLOYMENTS, "--json"))
    assert days["total"] == months["total"]
    assert len(days["rows"]) > len(months["rows"]) > 0


def test_prices_lists_rows_with_their_source() -> None:
    words = ["prices", "list", "gpt-4o", "--version", "2024-11-20", "--sku", "Standard", "--region", "swedencentral"]
    found = data(run(*words, "--on", "2026-10-15", "--json"))
    prices = {row["meter"]: row["price"] for row in found["rows"]}
    assert prices == {"input": "3.025", "cached_input": "1.513", "output": "12.1"}
    assert all(row["source"] for row in found["rows"])
    assert "gpt 4o 1120 Inp regnl Tokens" in run(*words, "--on", "2026-10-15").stdout


def test_models_lists_all_and_shows_one() -> None:
    everything = data(run("models", "--json"))
    assert {"gpt-4o", "o1", "text-embedding-3-large", "whisper"} <= {row["name"] for row in everything["models"]}
    one = data(run("models", "gpt-4o-2024-11-20", "--json"))["models"]
    assert [(row["name"], row["version"], row["encoding"]) for row in one] == [("gpt-4o", "2024-11-20", "o200k_base")]
    assert "o200k_base" in run("models", "gpt-4o").stdout


def test_output_to_a_closed_pipe_is_no_traceback() -> None:
    program = f"{sys.executable} -m aoai_cost.cli models | head -1"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False, env=os.environ)
    assert "Traceback" not in done.stderr


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    body = {"id": "a", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-4o-2024-11-20"}
    body |= {"usage": {"prompt_tokens": 1, "completion_tokens": 1}, "deployment": "é🎉"}
    (tmp_path / "log.jsonl").write_text(json.dumps(body) + "\n", "utf-8")
    command = [sys.executable, "-m", "aoai_cost.cli", "report", "log.jsonl"]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "\\xe9\\U0001f389" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["count", "--model", "gpt-4o", "--text", "a"], ["report", LOGS]])
def test_closed_streams_end_without_a_traceback(words: list[str]) -> None:
    shell = f"{shlex.join([sys.executable, '-m', 'aoai_cost.cli', *words])} >&-"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    done = subprocess.run(
        ["sh", "-c", f"{shlex.quote(sys.executable)} -m aoai_cost.cli count --model gpt-4o - <&-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "error: stdin is closed\n")


def test_prices_of_a_region_that_no_row_lists_say_so() -> None:
    result = run("prices", "list", "gpt-4o", "--version", "2024-11-20", "--region", "mars", "--on", "2026-10-15")
    assert "does not list mars" in result.stderr


def test_an_unbounded_cost_is_over_any_budget_and_says_why(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "web_search"}]}
    (tmp_path / "r.json").write_text(json.dumps(body), "utf-8")
    words = ["--model", "gpt-4o", "--version", "2024-11-20", "--on", "2026-10-15", "--budget", "1"]
    result = run("estimate", str(tmp_path / "r.json"), *words)
    assert result.exit_code == 4
    assert "nothing bounds the cost" in result.stderr
    assert "at least 8 tokens" in result.stdout


def test_a_report_is_not_written_over_what_it_is_made_from(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    body = {"id": "a", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-4o-2024-11-20"}
    text = json.dumps(body | {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}) + "\n"
    log = logs / "log.json"
    log.write_text(text, "utf-8")
    for words in (["report", str(log), "--csv", str(log)], ["report", str(logs), "--html", str(log)]):
        result = run(*words)
        assert (result.exit_code, log.read_text("utf-8")) == (2, text)
        assert "would be overwritten" in result.stderr
    assert "would be overwritten" in run("report", str(logs), "--rejects", str(log)).stderr
    same = str(tmp_path / "x")
    assert f"--html and --csv both name {same}" in run("report", str(log), "--csv", same, "--html", same).stderr
    assert "--csv and --rejects both" in run("report", str(log), "--csv", same, "--rejects", same).stderr
    # What is no log yet may be written beside the logs.
    assert run("report", str(logs), "--csv", str(logs / "new.csv")).exit_code == 3


def test_a_report_is_written_as_the_suffix_of_each_path_says(tmp_path: Path) -> None:
    names = ["r.csv", "r.focus.csv", "r.html", "r.json", "r.md", "r.parquet", "r.xlsx"]
    words = [word for name in names for word in ("--write", str(tmp_path / name))]
    result = run("report", LOGS, "--deployments", DEPLOYMENTS, *words, "--json")
    assert result.exit_code == 3
    assert [path.name for path in sorted(tmp_path.iterdir())] == names
    assert json.loads((tmp_path / "r.json").read_text("utf-8")) == data(result)
    assert [line.split("/")[-1] for line in result.stderr.splitlines() if line.startswith("wrote ")] == names
    assert (tmp_path / "r.xlsx").read_bytes().startswith(b"PK")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param(
            "r.pdf", "a report is written as csv, html, json, md, parquet, xlsx, focus; found 'pdf'", id="form"
        ),
        pytest.param("", "the path is empty", id="nothing"),
        pytest.param(".", "is a directory", id="folder"),
    ],
)
def test_a_path_that_no_report_can_be_written_to_ends_before_reading(path: str, said: str) -> None:
    result = run("report", "no/such/log.json", "--write", path)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_form_without_its_extra_ends_before_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "aoai_cost.render.excel", raising=False)
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    result = run("report", "no/such/log.json", "--write", "r.xlsx")
    assert result.exit_code == 1
    assert result.stderr == "error: the 'report' extra is not installed; run: pip install \"aoai-cost[report]\"\n"


def test_a_written_report_is_not_put_over_what_it_is_made_from(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    body = {"id": "a", "object": "chat.completion", "created": 1_790_000_000, "model": "gpt-4o-2024-11-20"}
    log.write_text(json.dumps(body | {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}) + "\n", "utf-8")
    before = log.read_bytes()
    assert "would be overwritten" in run("report", str(log), "--write", str(log)).stderr
    link = tmp_path / "link.xlsx"
    link.symlink_to(log)
    assert "would be overwritten" in run("report", str(log), "--write", str(link)).stderr
    assert log.read_bytes() == before
    one, same = str(tmp_path / "r.csv"), str(tmp_path / "x" / ".." / "r.csv")
    assert "both name" in run("report", str(log), "--write", one, "--write", same).stderr
    assert "both name" in run("report", str(log), "--write", one, "--csv", one).stderr
    assert "both name" in run("report", str(log), "--write", one, "--rejects", one).stderr
    assert run("report", str(log), "--write", one, "--write", one).stderr.count("wrote") == 1


def in_a_terminal(**env: str) -> str:
    """Return what a report of the example log shows in a terminal, escapes and all."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "aoai_cost.cli", "report", LOGS]
    shown = b""
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=kept | {"COLUMNS": "80"} | env):
        os.close(theirs)
        with contextlib.suppress(OSError):  # Linux says so when nobody has the other end any more
            while more := os.read(ours, 1 << 16):
                shown += more
    os.close(ours)
    return shown.decode()


COLOUR = re.compile(r"\x1b\[(3[0-7]|9[0-7]|38;)")


def test_colours_are_for_terminals_that_want_them() -> None:
    assert COLOUR.search(in_a_terminal(TERM="xterm-256color"))
    asked_not_to = in_a_terminal(TERM="xterm-256color", NO_COLOR="1")
    assert "Azure OpenAI cost" in asked_not_to
    assert not COLOUR.search(asked_not_to)
    assert "\x1b" not in in_a_terminal(TERM="dumb")
    command = [sys.executable, "-m", "aoai_cost.cli", "report", LOGS]
    env = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"} | {"TERM": "xterm-256color"}
    piped = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "Azure OpenAI cost" in piped.stdout
    assert "\x1b" not in piped.stdout + piped.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    name = os.fsdecode("😀".encode() + b"\xff.txt")
    (tmp_path / name).write_text("hello", "utf-8")
    command = [sys.executable, "-m", "aoai_cost.cli", "count", "--model", "gpt-4o", "--json", name]
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=True)
    assert json.loads(done.stdout)["counts"] == [{"source": name, "tokens": 1}]


def test_a_caller_may_give_streams_of_its_own() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["count", "--model", "gpt-4o", "--text", "hello world"], standalone_mode=False)
    assert out.getvalue() == "2\n"


def test_a_region_fills_what_a_deployments_file_lacks(tmp_path: Path) -> None:
    file = tmp_path / "d.toml"
    facts = 'name = "chat"\nmodel = "gpt-4o"\nversion = "2024-11-20"\nsku = "Standard"\n'
    words = ["estimate", REQUEST, "--deployments", str(file), "--deployment", "chat", "--on", "2026-10-15"]
    file.write_text(f"[[deployment]]\n{facts}", "utf-8")
    assert "name a region" in run(*words).stderr
    assert data(run(*words, "--region", "Sweden Central", "--json"))["region"] == "swedencentral"
    file.write_text(f'[[deployment]]\n{facts}region = "eastus"\n', "utf-8")
    assert run(*words, "--region", "swedencentral").exit_code == 2
    assert data(run(*words, "--region", "East US", "--json"))["region"] == "eastus"


@pytest.mark.parametrize("day", ["2026-W01-1", "20261015", "soon"])
def test_a_day_is_written_in_one_way(day: str) -> None:
    assert run("prices", "list", "gpt-4o", "--on", day).exit_code == 2


def test_a_request_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(b"\xef\xbb\xbf" + Path(REQUEST).read_bytes())
    words = ["--model", "gpt-4o", "--version", "2024-11-20", "--on", "2026-10-15", "--json"]
    assert run("estimate", str(tmp_path / "r.json"), *words).stdout == run("estimate", REQUEST, *words).stdout


def test_a_log_of_calls_without_tokens_exits_with_3(tmp_path: Path) -> None:
    body = {
        "id": "a",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-4o-2024-11-20",
        "usage": None,
    }
    (tmp_path / "log.json").write_text(json.dumps(body), "utf-8")
    assert run("report", str(tmp_path / "log.json")).exit_code == 3


def test_every_price_may_come_from_a_sheet_of_ones_own(tmp_path: Path) -> None:
    sheet = str(ROOT / "examples" / "contract.toml")
    words = [REQUEST, "--model", "gpt-4o", "--version", "2024-11-20", "--on", "2026-10-15", "--json"]
    listed, own = data(run("estimate", *words)), data(run("estimate", *words, "--prices", sheet))
    assert Decimal(own["low"]) == Decimal(listed["low"]) * Decimal("2.20") / Decimal("2.5")
    words = ["ptu", "--model", "gpt-4o", "--rpm", "1", "--prompt", "1", "--on", "2026-10-15", "--json"]
    hourly = [data(run(*words, *more))["terms"][0]["price"] for more in ((), ("--prices", sheet))]
    assert hourly == ["1", "0.80"]
    words = ["prices", "list", "gpt-4o", "--version", "2024-11-20", "--sku", "GlobalStandard", "--region", "eastus"]
    rows = data(run(*words, "--on", "2026-10-15", "--prices", sheet, "--json"))["rows"]
    assert {(row["meter"], row["price"]) for row in rows} == {
        ("input", "2.20"),
        ("cached_input", "1.10"),
        ("output", "8.80"),
    }


def test_a_currency_that_no_list_is_in_is_a_mistake() -> None:
    result = run("report", LOGS, "--deployments", DEPLOYMENTS, "--currency", "eur")
    assert (result.exit_code, "prices refresh --currency EUR" in result.stderr) == (2, True)
    sheet = str(ROOT / "examples" / "contract.toml")
    clash = run("report", LOGS, "--currency", "EUR", "--prices", sheet)
    assert (clash.exit_code, "the sheet is in USD" in clash.stderr) == (2, True)
    assert "three letters" in run("prices", "list", "--currency", "euro").stderr


def test_tokens_are_shown_where_they_end(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("hello wide\nworld \U0001f9d1‍\U0001f680\x1b[2J", "utf-8")
    plain = run("tokens", str(file), "--encoding", "o200k_base")
    assert plain.stdout.startswith("hello| wide|\n|world| ")
    assert "\\x1b" in plain.stdout
    assert "\x1b" not in plain.stdout
    assert "(2)" in plain.stdout
    assert plain.stderr.endswith("in o200k_base\n")
    found = data(run("tokens", str(file), "--encoding", "o200k_base", "--json"))
    encoding = get_encoding("o200k_base")
    assert [one["id"] for one in found["tokens"]] == encoding.encode_ordinary(file.read_text("utf-8"))
    assert b"".join(bytes.fromhex(one["bytes"]) for one in found["tokens"]) == file.read_bytes()
    assert found["count"] == len(found["tokens"])


def test_a_page_of_tokens_runs_and_loads_nothing(tmp_path: Path) -> None:
    file, page = tmp_path / "a.txt", tmp_path / "a.html"
    file.write_text("<script>alert(1)</script> & more", "utf-8")
    assert run("tokens", str(file), "--model", "gpt-4o", "--html", str(page)).exit_code == 0
    html = page.read_text("utf-8")
    assert "<script" not in html
    assert "&lt;" in html
    assert "default-src 'none'" in html.replace("&#x27;", "'")
    assert "overwritten" in run("tokens", str(file), "--model", "gpt-4o", "--html", str(file)).stderr
    assert "--model or --encoding" in run("tokens", str(file)).stderr


def test_listed_rows_answer_for_no_region() -> None:
    result = run("prices", "list", "gpt-4o", "--listed", "--region", "eastus")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


def test_a_report_of_any_table_names_its_columns_and_what_it_never_names(tmp_path: Path) -> None:
    table = tmp_path / "log.jsonl"
    rows = [{"when": when, "in, tok": 1200, "out": 80} for when in ("2026-10-14T02:03:59Z", "later")]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    path = tmp_path / "rejects.jsonl"
    words = ["--columns", "prompt_tokens=in, tok,timestamp=when", "--columns", "completion_tokens=out"]
    names = ["--default-deployment", "chat", "--default-resource", "Contoso"]
    result = run("report", str(table), *words, *names, "--rejects", str(path), "--json")
    found = data(result)
    assert result.exit_code == 3
    (row,) = found["rows"]
    assert [row[name] for name in ("resource", "deployment", "input", "output")] == ["contoso", "chat", 1200, 80]
    assert found["reading"]["reasons"] == [{"reason": "timestamp is not a time", "rows": 1}]
    assert found["reading"]["files"][0]["rejected"] == 1
    assert f"wrote {path}" in result.stderr
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == found["rejected"]
    assert found["rejected"][0]["masked_row"] == '{"when":"…","…":0000,"out":00}'


def test_a_report_makes_no_frame_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("aoai_cost.logs.frame.make_frame", refuse)
    assert run("report", LOGS, "--deployments", DEPLOYMENTS).exit_code == 3


def test_whatif_prints_what_changes() -> None:
    result = run("whatif", LOGS, "--deployments", DEPLOYMENTS, "--only", "agent", "--cached", "0.8")
    # Something has no price, as in the report.
    assert result.exit_code == 3
    assert re.search(r"aoai-shop-sweden\s+agent\s+3\.99\s+3\.31\s+-0\.68", result.stdout)
    assert "note: 80 % of the text input was read from the prompt cache" in result.stdout


def test_whatif_changes_in_the_order_of_its_options() -> None:
    words = ("whatif", LOGS, "--deployments", DEPLOYMENTS, "--json", "--only", "fast")
    one, other = (
        data(run(*words, *options))
        for options in (("--volume", "2", "--batch", "0.5"), ("--batch", "0.5", "--volume", "2"))
    )
    assert [change["change"] for change in one["changes"]] == ["ScaleVolume", "UseBatch"]
    assert [change["change"] for change in other["changes"]] == ["UseBatch", "ScaleVolume"]
    assert one["after"] == other["after"]
    assert one["changes"][1] == {"change": "UseBatch", "share": "0.5", "only": ["fast"]}
    assert Decimal(one["after"]) - Decimal(one["before"]) == Decimal(one["difference"])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--swap", "gpt-4o=gpt-4.1"), id="another model"),
        pytest.param(("--swap", "gpt-4o=gpt-4o-mini", "--recount"), id="another model, counted anew"),
        pytest.param(("--sku", "DataZoneStandard"), id="another type"),
        pytest.param(("--region", "swedencentral", "--only", "agent"), id="another region"),
        pytest.param(("--tier", "priority", "--only", "agent"), id="another tier"),
        pytest.param(("--cap-output", "100"), id="shorter answers"),
        pytest.param(("--ptu", "cheapest", "--only", "fast"), id="provisioned units"),
        pytest.param(("--ptu", "25", "--only", "fast"), id="a number of units"),
        pytest.param(("--discount", "0.12"), id="a discount"),
        pytest.param(("--priced-on", "2026-11-01"), id="the prices of a day"),
    ],
)
def test_whatif_knows_each_change(options: tuple[str, ...]) -> None:
    found = data(run("whatif", LOGS, "--deployments", DEPLOYMENTS, "--json", *options))
    assert found["schema"] == "aoai_cost.comparison/1"
    assert found["notes"]
    assert sum(Decimal(row["before"]) for row in found["rows"] if row["before"]) == Decimal(found["before"])
    assert sum(Decimal(row["after"]) for row in found["rows"] if row["after"]) == Decimal(found["after"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param((), "nothing is changed", id="no change"),
        pytest.param(("--batch", "3"), "must be a number from 0 to 1", id="more than all"),
        pytest.param(("--swap", "gpt-4o"), "does not name two models", id="half a swap"),
        pytest.param(("--swap", "gpt-4o=gpt-4o-minni"), "gpt-4o-mini", id="a model that nobody knows"),
        pytest.param(("--cap-output", "few"), "must be a whole number", id="a word for a number"),
        pytest.param(("--priced-on", "2026-13-01"), "is not a date like 2026-10-31", id="no date"),
        pytest.param(("--cap-output", "5", "--work", "w"), "look at single calls", id="single calls of a work folder"),
    ],
)
def test_whatif_refuses_what_means_nothing(options: tuple[str, ...], said: str) -> None:
    result = run("whatif", LOGS, "--deployments", DEPLOYMENTS, *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_whatif_names_what_is_not_in_the_log() -> None:
    result = run("whatif", LOGS, "--deployments", DEPLOYMENTS, "--batch", "0.3", "--only", "chta")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the log has no calls of 'chta'" in result.stderr
