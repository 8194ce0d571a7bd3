"""Reading a large log of Azure Monitor into a report's sums: beside an orjson loop, pandas and duckdb.

Every way runs in a process of its own, in turn, and all must find the same sums first. Ours joins, removes duplicates
and accounts for every row; the others only add up. ``make bench`` runs it on 100 MB; alone it is ``python
benchmarks/bench_logs.py --megabytes 1000``. What the numbers mean stands in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

Sums = dict[str, list[int]]
ROUNDS = 5
ACCOUNTS = ("EASTUS", "SWEDEN", "WEST")
DEPLOYMENTS = (
    ("chat", "gpt-4o", "2024-11-20"),
    ("mini", "gpt-4o-mini", "2024-07-18"),
    ("five", "gpt-5", "2025-08-07"),
)


def records(made: random.Random, call: int, as_text: bool) -> Iterator[dict[str, Any]]:
    """Make both rows of a call, each about 1 kB as in real exports."""
    identity = f"{made.getrandbits(128):032x}"
    deployment, model, version = made.choice(DEPLOYMENTS)
    second = call // 40
    time = (
        f"2026-10-{1 + second // 86_400 % 28:02d}T{second // 3_600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    )
    prompt = made.randrange(100, 9_000)
    served = {"modelDeploymentName": deployment, "modelName": model, "modelVersion": version}
    shared = {
        "EnqueueTime": f"{time}.{made.randrange(10**7):07d}",
        "callerIpAddress": "192.0.2.***",
        "correlationId": f"{identity[:8]}-{identity[8:12]}-{identity[12:16]}-{identity[16:20]}-{identity[20:]}",
        "event": "ShoeboxCallResult",
        "location": "eastus",
        "operationName": "ChatCompletions_Create",
        "resourceId": "/SUBSCRIPTIONS/00000000-0000-0000-0000-0000000000AA/RESOURCEGROUPS/RG-PROD/PROVIDERS/"
        f"MICROSOFT.COGNITIVESERVICES/ACCOUNTS/AOAI-{made.choice(ACCOUNTS)}",
        "Tenant": "eastus",
    }
    how = {
        "apiName": "Azure OpenAI API version 2024-10-21",
        "requestTime": 639_275_402_281_160_000,
        "requestLength": made.randrange(10**5),
        "responseTime": 639_275_402_399_460_000,
        "responseLength": made.randrange(10**4),
        "objectId": identity,
        "streamType": "Non-Streaming",
        "padding": "x" * 200,
    }
    used = {
        "promptTokens": [prompt],
        "generatedTokens": [made.randrange(10, 900)],
        "cachedTokens": [prompt // 3],
        "timeToFirstTokenMs": [210],
        "timeToLastTokenMs": [1_180],
        "padding": "x" * 300,
    }
    for category, properties, more in (
        ("RequestResponse", how, {"resultSignature": "200", "durationMs": made.randrange(20_000), "time": f"{time}Z"}),
        ("AzureOpenAIRequestUsage", used, {"FluentdIngestTimestamp": f"{time}Z", "processID": 4_812, "threadID": 77}),
    ):
        text = {**served, **properties}
        yield {"category": category, **shared, **more, "properties": json.dumps(text) if as_text else text}


def write_log(path: Path, megabytes: int, *, as_text: bool) -> None:
    made, call = random.Random(1), 0
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1_000_000:
            for _ in range(1_000):
                for record in records(made, call, as_text):
                    file.write(json.dumps(record, separators=(",", ":")) + "\n")
                call += 1


def ours(path: str, processes: int = 1) -> Sums:
    from aoai_cost.logs import sum_usage

    sums: Sums = {}
    for key, group in sum_usage(path, processes=processes).groups:
        found = sums.setdefault(str(key.deployment), [0, 0, 0])
        usage = group.usage
        counts = usage.get(("cached_input", "text", ""), 0), usage.get(("output", "text", ""), 0)
        for i, tokens in enumerate((usage.get(("input", "text", ""), 0) + counts[0], counts[1], counts[0])):
            found[i] += tokens
    return sums


def orjson_loop(path: str) -> Sums:
    import orjson

    sums: Sums = {}
    with open(path, "rb") as file:  # noqa: PTH123  (the plainest way)
        for line in file:
            record = orjson.loads(line)
            if record["category"] == "AzureOpenAIRequestUsage":
                used = record["properties"]
                if isinstance(used, str):
                    used = orjson.loads(used)
                found = sums.setdefault(used["modelDeploymentName"], [0, 0, 0])
                found[0] += used["promptTokens"][0]
                found[1] += used["generatedTokens"][0]
                found[2] += used["cachedTokens"][0]
    return sums


def pandas_frame(path: str) -> Sums:
    import pandas as pd

    sums: Sums = {}
    for frame in pd.read_json(path, lines=True, chunksize=50_000):
        rows = frame.loc[frame["category"] == "AzureOpenAIRequestUsage", "properties"]
        used = pd.DataFrame([json.loads(one) if isinstance(one, str) else one for one in rows])
        names = ["promptTokens", "generatedTokens", "cachedTokens"]
        for name in names:
            used[name] = used[name].str[0]
        for deployment, counts in used.groupby("modelDeploymentName")[names].sum().iterrows():
            found = sums.setdefault(str(deployment), [0, 0, 0])
            for i, tokens in enumerate(counts.tolist()):
                found[i] += tokens
    return sums


def duckdb_query(path: str) -> Sums:
    import duckdb

    one = "CAST(json_extract_string(p, '$.{}[0]') AS BIGINT)"
    counts = ", ".join(f"sum({one.format(name)})" for name in ("promptTokens", "generatedTokens", "cachedTokens"))
    found = duckdb.connect(config={"threads": 1}).execute(
        f"SELECT json_extract_string(p, '$.modelDeploymentName'), {counts} FROM ("
        "SELECT CASE json_type(properties) WHEN 'VARCHAR' THEN json_extract_string(properties, '$')::JSON "
        f"ELSE properties END AS p FROM read_json('{path}', format='newline_delimited', "
        "columns={category: 'VARCHAR', properties: 'JSON'}) WHERE category = 'AzureOpenAIRequestUsage') GROUP BY 1"
    )
    return {name: [int(one) for one in counts] for name, *counts in found.fetchall()}


WAYS: dict[str, Callable[[str], Sums]] = {
    "aoai_cost": ours,
    "orjson loop": orjson_loop,
    "duckdb": duckdb_query,
    "pandas": pandas_frame,
}
MODULES = {"aoai_cost": "aoai_cost.logs.frame", "orjson loop": "orjson", "duckdb": "duckdb", "pandas": "pandas"}


class Run(NamedTuple):
    """What one process took."""

    cpu_s: float
    peak_mb: int
    sums: Sums


def run(name: str, path: Path) -> Run | None:
    """Run one way in a process of its own; None where what it needs is not installed."""
    done = subprocess.run(
        [sys.executable, __file__, "--run", name, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        sys.exit(done.stderr)
    return Run(*json.loads(done.stdout))


def measure(name: str, path: str) -> Run:
    """Take the CPU time of one way, its imports left out."""
    import_module(MODULES[name])
    start = process_time()
    sums = WAYS[name](path)
    return Run(process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, sums)


STAGES = {
    "lines to records": ("aoai_cost.logs.formats.azure_monitor", "_Lines", "read"),
    "records kept and spilled": ("aoai_cost.logs.parts", "PartTable", "add_many"),
    "join and duplicates": ("aoai_cost.logs.join", "Joiner", "resolve"),
    "account of the rows": ("aoai_cost.logs.join", "Joiner", "count"),
    "sums": ("aoai_cost.logs.sums", "Sums", "add"),
}


def stages(path: str) -> dict[str, float]:
    """Return the CPU time of each stage; the rest is reading the file, cutting it into lines and reading back."""
    spent = dict.fromkeys((*STAGES, "in all"), 0.0)

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            start = process_time()
            try:
                return function(*args, **options)
            finally:
                spent[stage] += process_time() - start

        return wrapped

    for stage, (module, owner, name) in STAGES.items():
        of = getattr(import_module(module), owner)
        setattr(of, name, timed(stage, getattr(of, name)))
    import_module(MODULES["aoai_cost"])
    timed("in all", ours)(path)
    return spent


def compare(path: Path, shape: str) -> None:
    size_mb = path.stat().st_size / 1e6
    runs: dict[str, list[Run]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, found in runs.items():
            if (one := run(name, path)) is not None:
                found.append(one)
    runs = {name: found for name, found in runs.items() if found}
    expected = runs["orjson loop"][0].sums
    for name, found in runs.items():
        if any(one.sums != expected for one in found):
            sys.exit(f"{name} does not find the sums of the orjson loop in {shape}")
    loop_s = median(one.cpu_s for one in runs["orjson loop"])
    print(f"\n{shape}, {size_mb:,.0f} MB\n{'':16}{'MB a CPU-s':>12}{'x the loop':>12}{'peak MB':>10}")
    for name, found in runs.items():
        cpu_s = median(one.cpu_s for one in found)
        peak_mb = max(one.peak_mb for one in found)
        print(f"{name:16}{size_mb / cpu_s:12,.0f}{cpu_s / loop_s:12.2f}{peak_mb:10,}")
    done = subprocess.run([sys.executable, __file__, "--stages", path], capture_output=True, text=True, check=True)
    spent = json.loads(done.stdout)
    whole_s = spent.pop("in all")
    spent["the rest"] = whole_s - sum(spent.values())
    print("of aoai_cost's: " + ", ".join(f"{name} {cpu_s / whole_s:.0%}" for name, cpu_s in spent.items()))


def price_read_rows(calls_at_once: int = 1 << 16, times: int = 153) -> tuple[int, float]:
    """Return how many calls that were read were added up and priced, and the CPU time that it took."""
    import numpy as np
    import pandas as pd

    from aoai_cost import Deployment, Deployments, cost_report
    from aoai_cost.logs import Counts, Facets, UsageSums
    from aoai_cost.logs.formats import find_formats
    from aoai_cost.logs.join import Calls
    from aoai_cost.logs.parts import PART, Shared
    from aoai_cost.logs.sums import Sums

    made = np.random.default_rng(1)
    shared = Shared(find_formats("azure-monitor"), keep_texts=False)
    names = [(account, *deployment) for account in ACCOUNTS for deployment in DEPLOYMENTS]
    for account, deployment, model, version in names:
        for user in range(20):
            shared.facets.number(Facets(account, "eastus", deployment, model, version, user=f"user {user}"))
    known = Deployments(
        tuple(
            Deployment(account, deployment, model, version=version, sku="GlobalStandard", region="eastus")
            for account, deployment, model, version in names
        )
    )
    rows = np.zeros(calls_at_once, PART)
    rows["facets"] = made.integers(0, len(shared.facets.all), calls_at_once)
    rows["timestamp_us"] = made.integers(1_790_812_800_000_000, 1_793_404_800_000_000, calls_at_once)  # thirty days
    rows["requests"], rows["known"] = 1, 0b1011
    rows["tokens"][:, 0] = made.integers(100, 9_000, calls_at_once)
    rows["tokens"][:, 1] = rows["tokens"][:, 0] // 3
    rows["tokens"][:, 3] = made.integers(10, 900, calls_at_once)
    calls = Calls(rows, np.zeros(calls_at_once, np.uint8), np.zeros(calls_at_once, bool))
    start = process_time()
    sums = Sums(shared)
    for _ in range(times):
        sums.add(calls)
    groups = tuple(sums.groups())
    report = cost_report(
        UsageSums(groups, sums.period, sums.formats, pd.DataFrame(), Counts(()), True), deployments=known, every="day"
    )
    cpu_s = process_time() - start
    if report.certainty == "lower_bound" or report.requests != calls_at_once * times:
        sys.exit("some of the calls are not priced")
    return report.requests, cpu_s


def spin(seconds_of_work: int) -> float:
    """Take the time of a loop that needs nothing but a processor."""
    start = perf_counter()
    for _ in range(seconds_of_work * 25_000_000):
        pass
    return perf_counter() - start


def control() -> float:
    """Return how much faster two processes are than one, where nothing but the processors can stand in their way."""
    command = [sys.executable, __file__, "--spin"]

    def together(processes: int) -> float:
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
        return max(float(child.communicate()[0]) for child in children)

    return 2 * together(1) / together(2)


def two_processes(path: Path, rounds: int) -> None:
    """Print the speed of two processes over that of one, beside that of the control in the same round."""
    print(f"\nTwo processes, {path.stat().st_size / 1e6:,.0f} MB\n{'control':>10}{'aoai_cost':>12}")
    for _ in range(rounds):
        before = control()
        one, two = (wall_s(path, processes) for processes in (1, 2))
        print(f"{min(before, control()):10.2f}{one / two:12.2f}")


def wall_s(path: Path, processes: int) -> float:
    command = [sys.executable, __file__, "--wall", str(processes), str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--run", nargs=2, metavar=("WAY", "FILE"))
    parser.add_argument("--two-processes", action="store_true", help="only this; best on a machine without other load")
    parser.add_argument("--wall", nargs=2, metavar=("PROCESSES", "FILE"))
    parser.add_argument("--priced", action="store_true")
    parser.add_argument("--stages", metavar="FILE")
    parser.add_argument("--spin", action="store_true")
    given = parser.parse_args()
    if given.priced:
        n_calls, cpu_s = price_read_rows()
        print(f"{n_calls:,} calls that were read, added up and priced by day: {cpu_s:.2f} CPU-s", flush=True)
        return
    if given.stages:
        print(json.dumps(stages(given.stages)))
        return
    if given.spin:
        print(spin(2))
        return
    if given.wall:
        import_module(MODULES["aoai_cost"])
        start = perf_counter()
        ours(given.wall[1], int(given.wall[0]))
        print(perf_counter() - start)
        return
    if given.run:
        print(json.dumps(measure(*given.run)))
        return
    if not given.two_processes:
        # Not in this process: what it has in memory would count as memory of those that it starts.
        subprocess.run([sys.executable, __file__, "--priced"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        for shape, as_text in (("properties as an object", False), ("properties as a text", True)):
            path = Path(folder) / "log.jsonl"
            write_log(path, given.megabytes, as_text=as_text)
            if given.two_processes:
                two_processes(path, ROUNDS)
                return
            compare(path, shape)


if __name__ == "__main__":
    main()
