"""Print the table of ``docs/benchmarks.md``: this tokenizer and its peers, beside tiktoken.

Every figure comes from processes of its own (`worker.py`); the rounds go over all tokenizers in turn, tiktoken among
them, so what else the machine does falls on all alike.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import peers
import worker

ROOT = Path(__file__).resolve().parent.parent
CORPORA = Path(os.environ.get("AOAI_COST_TEST_DATA", ROOT.parent / "shared")) / "corpora"
US, REFERENCE = "aoai-cost", "tiktoken"
TIMEOUT_S = 600
REGIMES = ("cold", "fresh", "warm")
ONE_THREAD = {
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TIKTOKEN_CACHE_DIR": "",  # its vocabulary is read from the file it is given
}

# regime, shape and text -> tokenizer -> the seconds of each round
Cells = dict[tuple[str, str, str], dict[str, list[float]]]


class WorkerError(RuntimeError):
    """A process that measures has failed: what it said last."""


def run(job: dict[str, Any], *before: str) -> tuple[dict[str, Any], str]:
    """Return the answer of a process that does a job, and what it said on stderr."""
    command = [*before, sys.executable, str(Path(worker.__file__)), json.dumps(job)]
    environment = {**os.environ, **ONE_THREAD}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise WorkerError(f"no answer in {TIMEOUT_S} s") from None
    if done.returncode:
        raise WorkerError((done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200])
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def installed(names: list[str]) -> dict[str, str]:
    """Return the versions of the tokenizers that are here."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            print(f"{name} is not installed, so it is left out")
    return versions


def texts(corpora: Path | None, spare: Path) -> list[Path]:
    """Return the texts of a folder; of none given, the test data, or in a clone without it, this repository's code."""
    folder = corpora or CORPORA
    if corpora is None and not folder.is_dir():
        folder = spare
        code = "".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
        (spare / "code.txt").write_text(code, encoding="utf-8")
    return sorted(path for path in folder.glob("*") if path.suffix in (".txt", ".jsonl"))


def check(names: list[str], job: dict[str, Any], paths: list[Path]) -> dict[str, dict[str, Any]]:
    """Return the shapes and the differences of each tokenizer, and print the differences."""
    checked = {}
    for name in names:
        try:
            checked[name], _ = run({**job, "what": "check", "tokenizer": name, "paths": [*map(str, paths)]})
        except WorkerError as error:
            print(f"{name} is left out: {error}")
            continue
        differences = checked[name]["differences"]
        print(f"{name}: " + ("differs from tiktoken" if differences else "equal to tiktoken in all that was compared"))
        for text, wrong in differences.items():
            print(*(f"  {text}: {line}" for line in wrong), sep="\n")
    return checked


def measure(checked: dict[str, dict[str, Any]], job: dict[str, Any], paths: list[Path], rounds: int) -> Cells:
    """Measure every tokenizer on every text, in every shape it has, in rounds."""
    cells: Cells = {}
    largest = sorted((path for path in paths if path.suffix == ".txt"), key=lambda path: path.stat().st_size)[-1:]
    for i in range(rounds):
        for what, path in [*(("text", path) for path in paths), *(("small", path) for path in largest)]:
            print(f"round {i + 1} of {rounds}: {path.stem if what == 'text' else 'small calls'}", file=sys.stderr)
            for shape in peers.SHAPES:
                for name in (name for name in checked if shape in checked[name]["shapes"]):
                    one = {**job, "what": what, "tokenizer": name, "shape": shape, "paths": [str(path)]}
                    try:
                        found, _ = run(one)
                    except WorkerError as error:
                        print(f"{name} failed at {shape} of {path.stem}: {error}")
                        continue
                    for regime, seconds in found.items():
                        key = (regime, shape, path.stem) if what == "text" else ("small", shape, regime)
                        key = ("load", "", "") if regime == "load" else key
                        cells.setdefault(key, {}).setdefault(name, []).append(float(f"{seconds:.4g}"))
    return cells


def fastest_count(cells: Cells) -> Cells:
    """Return the cells with every count by the fastest of a tokenizer's calls: ids can be counted too."""
    out = dict(cells)
    for regime, shape, text in cells:
        if shape == "lists":
            ways = [cells.get((regime, other, text), {}) for other in peers.SHAPES]
            out[regime, "count", text] = {
                name: min((way[name] for way in ways if name in way), key=lambda times: typical(regime, times))
                for name in ways[-1]
            }
    return out


def typical(regime: str, seconds: list[float]) -> float:
    """Return the best of what can be repeated, and the median of what happens once in a process."""
    return min(seconds) if regime == "warm" else median(seconds)


def ratios(regime: str, cell: dict[str, list[float]]) -> dict[str, float]:
    """Return how many times as fast as tiktoken each tokenizer is; empty where tiktoken was not measured."""
    if REFERENCE not in cell:
        return {}
    reference = typical(regime, cell[REFERENCE])
    return {name: reference / typical(regime, seconds) for name, seconds in cell.items()}


def spread(cells: Cells) -> tuple[float, float]:
    """Return the median and the worst spread of tiktoken's times over the rounds, as shares of the typical one."""
    shares = [
        (max(cell[REFERENCE]) - min(cell[REFERENCE])) / typical(key[0], cell[REFERENCE])
        for key, cell in cells.items()
        if REFERENCE in cell and key[0] != "load"
    ]
    return median(shares), max(shares)


def markdown(heading: list[str], rows: list[list[str]]) -> str:
    """Return a table of Markdown: the first column left, the others right."""
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, rule, *rows])


def tables(cells: Cells, result: dict[str, Any]) -> str:
    """Return all tables of a run."""
    titles = {name: name + "!" * (name in result["differences"]) for name in result["versions"]}
    out = []
    for shape in peers.SHAPES:
        for regime in REGIMES:
            keys = [(regime, shape, text) for text in result["bytes"] if (regime, shape, text) in cells]
            rows = [[title, *(_ratio(key, cells[key], name, result) for key in keys)] for name, title in titles.items()]
            rows = [row for row in rows if set(row[1:]) != {"-"}]
            out.append(f"### {result['encoding']}: {shape}, {regime}\n")
            out.append(markdown(["times tiktoken", *(text for _, _, text in keys)], rows) + "\n")
    keys = [("load", "", ""), *(("small", shape, text) for shape in ("count", "lists") for text in worker.SMALL)]
    rows = [[title, *(_duration(cells.get(key, {}).get(name)) for key in keys)] for name, title in titles.items()]
    out.append(f"### {result['encoding']}: load, and one call of a short text\n")
    out.append(markdown(["", "load", *(f"{shape}, {text}" for _, shape, text in keys[1:])], rows) + "\n")
    usual, worst = spread(cells)
    out.append(f"tiktoken's own spread over the {result['rounds']} rounds: median {usual:.0%}, worst {worst:.0%}")
    if "instructions_per_byte" in result:
        out.append(f"Instructions of our count for a byte, by callgrind: {result['instructions_per_byte']}")
    return "\n".join(out)


def _ratio(key: tuple[str, str, str], cell: dict[str, list[float]], name: str, result: dict[str, Any]) -> str:
    """Return what a table shows of a tokenizer: its ratio, or of tiktoken its megabytes a second."""
    regime, _, text = key
    if name not in cell:
        return "-"
    if name == REFERENCE:
        n_bytes = result["bytes"][text][regime != "cold"]
        return f"{n_bytes / 1e6 / typical(regime, cell[name]):.1f} MB/s"
    mark = "!" * (text in result["differences"].get(name, ()))
    ratio = ratios(regime, cell).get(name)
    return "-" if ratio is None else f"{ratio:.{1 if ratio >= 1 else 2}f}{mark}"


def _duration(seconds: list[float] | None) -> str:
    if not seconds:
        return "-"
    value = median(seconds)
    return f"{value * 1e3:,.0f} ms" if value >= 1e-3 else f"{value * 1e9:,.0f} ns"


def instructions(job: dict[str, Any], paths: list[Path]) -> dict[str, float]:
    """Return the instructions that our count takes for each byte of each text's first part, by callgrind."""
    found = {}
    for path in (path for path in paths if path.suffix == ".txt"):
        one = {**job, "what": "once", "tokenizer": US, "shape": "count", "paths": [str(path)]}
        toggle = "--toggle-collect=__pyx_pw_*Vocabulary*count*"
        out = f"--callgrind-out-file={Path(job['folder']) / 'callgrind.out'}"
        answer, said = run(one, "valgrind", "--tool=callgrind", toggle, out)
        collected = re.search(r"Collected : (\d+)", said)
        assert collected is not None, said
        found[path.stem] = round(int(collected[1]) / answer["bytes"], 2)
    return found


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text("utf-8")) if info.exists() else None
    return {
        "cpu": model[1] if model else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """Return the commit that is measured, with a plus where files differ from it; empty outside a repository."""
    asked = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def save(result: dict[str, Any], cells: Cells, path: Path) -> None:
    """Write a run as JSON, one cell a line, so that a difference can be read."""
    lines = [json.dumps({"cell": key, "seconds": cell}) for key, cell in cells.items()]
    head = json.dumps(result, indent=1)[:-2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + ',\n "cells": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n", encoding="utf-8")


def read(path: Path) -> tuple[dict[str, Any], Cells]:
    """Return what `save` wrote."""
    result = json.loads(path.read_text("utf-8"))
    return result, {tuple(line["cell"]): line["seconds"] for line in result.pop("cells")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, help="a folder of .txt and .jsonl files (default: the test data)")
    parser.add_argument("--texts", nargs="+", help="only these files of it, by name without ending")
    parser.add_argument("--encoding", default="o200k_base")
    parser.add_argument("--peers", nargs="*", default=[*peers.TOKENIZERS], choices=[*peers.TOKENIZERS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="keep the run in this file")
    parser.add_argument("--instructions", action="store_true", help="count our instructions too; needs valgrind")
    parser.add_argument("--show", type=Path, help="print the tables of this run, and measure nothing")
    asked = parser.parse_args()
    if asked.show:
        result, cells = read(asked.show)
        print(tables(cells, result))
        return
    versions = installed([name for name in peers.TOKENIZERS if name in {US, REFERENCE, *asked.peers}])
    with tempfile.TemporaryDirectory() as folder:
        paths = texts(asked.corpora, Path(folder))
        paths = [path for path in paths if not asked.texts or path.stem in asked.texts]
        if not paths:
            parser.error("there is no such text; --corpora wants a folder of .txt and .jsonl files")
        peers.write_vocabulary(asked.encoding, Path(folder))
        job = {"encoding": asked.encoding, "folder": folder}
        checked = check([*versions], job, paths)
        cells = fastest_count(measure(checked, job, paths, asked.rounds))
        result = {
            "date": datetime.now(UTC).date().isoformat(),
            "commit": commit(),
            "machine": machine(),
            "encoding": asked.encoding,
            "rounds": asked.rounds,
            "versions": {name: versions[name] for name in checked},
            "bytes": {path.stem: [_n_bytes(part) for part in worker.read_parts(path)] for path in paths},
            "differences": {name: found["differences"] for name, found in checked.items() if found["differences"]},
        }
        if asked.instructions:
            result["instructions_per_byte"] = instructions(job, paths)
    if asked.json:
        save(result, cells, asked.json)
    print()
    print(tables(cells, result))


def _n_bytes(part: str | list[str]) -> int:
    return len(part.encode()) if isinstance(part, str) else sum(len(text.encode()) for text in part)


if __name__ == "__main__":
    main()
