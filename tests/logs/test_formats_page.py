"""docs/log-formats.md says what the formats are and do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from format_rows import SAMPLES
from log_rows import read_rows

from aoai_cost.logs import LOG_FORMATS
from aoai_cost.logs.formats import GROUP

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "log-formats.md").read_text("utf-8")
LINES = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
TABLE = {row[0].strip("`"): dict(zip(LINES[0], row, strict=True)) for row in LINES[2:]}
HOLDS = {
    "tokens": ["prompt_tokens"],
    "cached": ["cached_tokens"],
    "deployment": ["deployment"],
    "model": ["model"],
    "user or app": ["user", "app"],
}


def test_the_table_names_every_format() -> None:
    assert set(TABLE) == set(LOG_FORMATS)
    assert list(TABLE) == sorted(TABLE, key=list(LOG_FORMATS).index)
    assert GROUP in PAGE


@pytest.mark.parametrize("name", TABLE)
def test_a_row_of_the_table_is_so(tmp_path: Path, name: str) -> None:
    row = TABLE[name]
    assert all(row.values())
    assert re.search(r"real record|schema|parser|own", row["evidence"])
    frame = read_rows(tmp_path, SAMPLES[name]).frame
    for column, names in HOLDS.items():
        said = row[column].partition(",")[0]
        assert said in ("yes", "no")
        assert any(frame[one].notna().any() for one in names) == (said == "yes"), column
    assert (row["contents"] == "no") == (LOG_FORMATS[name].contents is None)
    with_given = read_rows(tmp_path, SAMPLES[name], deployment="given").frame
    assert ("given" in row["deployment"]) == ("given" in with_given["deployment"].tolist())
