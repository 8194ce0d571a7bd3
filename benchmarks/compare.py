"""Print how the ratios of two runs of `table.py` differ: the saved run against the last one, or any two."""

from __future__ import annotations

import argparse
from pathlib import Path

from table import ROOT, US, Cells, markdown, ratios, read

SAVED, LAST = ROOT / "benchmarks" / "results.json", ROOT / "build" / "bench.json"


def changes(old: Cells, new: Cells, name: str) -> list[list[str]]:
    """Return a row for each cell that both runs have: what, text, old ratio, new ratio, change."""
    rows = []
    for key in old:
        before, after = (ratios(key[0], cells.get(key, {})).get(name) for cells in (old, new))
        if before is not None and after is not None:
            what = " ".join(filter(None, (key[1], key[0])))
            rows.append([what, key[2], f"{before:.2f}", f"{after:.2f}", f"{after / before - 1:+.0%}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", nargs="?", type=Path, default=SAVED)
    parser.add_argument("new", nargs="?", type=Path, default=LAST)
    parser.add_argument("--tokenizer", default=US)
    asked = parser.parse_args()
    for path in (asked.old, asked.new):
        if not path.exists():
            parser.error(f"no run in {path}; `make bench` writes build/bench.json, and a copy of it is a saved run")
    (old, old_cells), (new, new_cells) = read(asked.old), read(asked.new)
    if old["encoding"] != new["encoding"]:
        parser.error(f"the runs are of {old['encoding']} and of {new['encoding']}")
    for label, run in (("old", old), ("new", new)):
        print(f"{label}: {run['date']}, {run['commit']}, {run['machine']['cpu']}, {run['rounds']} rounds")
    print(f"\n{asked.tokenizer} in {new['encoding']}, times tiktoken\n")
    print(markdown(["", "text", "old", "new", "change"], changes(old_cells, new_cells, asked.tokenizer)))


if __name__ == "__main__":
    main()
