"""Token counts and cost reports on Spark: the same as without it, made by workers that know nothing of the driver.

What needs a session runs in `make spark`, on a local Spark of two threads, in processes of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import aoai_cost
from aoai_cost import (
    CostReport,
    DeploymentsError,
    MissingExtraError,
    RequestError,
    UnknownNameError,
    UsageFormatError,
    count_tokens_batch,
)
from aoai_cost.logs import workers
from aoai_cost.spark import cost_report, count_tokens
from aoai_cost.spark.columns import _Counter

ROOT = Path(__file__).resolve().parent.parent
# PySpark says so of pandas 3, and uses it in a way that pandas 4 will not take.
pytestmark = pytest.mark.filterwarnings(
    "ignore:PySpark does not yet fully support pandas:FutureWarning", "ignore:The copy keyword is deprecated"
)
on_spark = pytest.mark.spark

TEXTS = [
    "How much is the fish?",
    "",
    None,
    "<|endoftext|>",
    "日本語のテキスト 🐟🐟",
    "a" * 100_000,
    "line\r\nline\n\n\n  indented\t",
    None,
    "na\u0308ive \u00e9\u0000 nul",
]


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A local Spark session; its workers run this very Python, and find the package as it is installed there."""
    from pyspark import sql

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        settings = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
        }
        session = sql.SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


def counts_of(frame: Any, column: Any) -> list[int | None]:
    return [row["tokens"] for row in frame.select("place", column.alias("tokens")).sort("place").collect()]


def table_of(spark: Any, texts: list[str | None]) -> Any:
    return spark.createDataFrame(list(enumerate(texts)), "place int, text string")


def expected(texts: list[str | None], encoding: str) -> list[int | None]:
    counts = iter(count_tokens_batch([text for text in texts if text is not None], encoding=encoding).tolist())
    return [None if text is None else next(counts) for text in texts]


@on_spark
@pytest.mark.parametrize(
    ("named", "encoding"),
    [({"model": "gpt-4o"}, "o200k_base"), ({"model": "gpt-4"}, "cl100k_base"), ({"encoding": "gpt2"}, "gpt2")],
    ids=["by a model", "by an older model", "by an encoding"],
)
def test_a_column_counts_as_the_package_does(spark: Any, named: dict[str, str], encoding: str) -> None:
    table = table_of(spark, TEXTS)
    assert counts_of(table, count_tokens("text", **named)) == expected(TEXTS, encoding)


@on_spark
def test_rows_of_many_batches_keep_their_counts(spark: Any) -> None:
    # More than a batch of Arrow's in each of several partitions, nulls all over.
    texts = [None if i % 7 == 3 else f"row {i} " + "word " * (i % 11) for i in range(45_000)]
    table = table_of(spark, texts).repartition(3)
    assert counts_of(table, count_tokens("text", encoding="o200k_base")) == expected(texts, "o200k_base")


@on_spark
def test_a_column_may_be_any_expression(spark: Any) -> None:
    from pyspark.sql import functions

    table = table_of(spark, ["one", None, "two"])
    both = functions.concat_ws(" ", functions.col("text"), functions.lit("more"))
    assert counts_of(table, count_tokens(both, encoding="cl100k_base")) == [2, 1, 2]


@on_spark
def test_counts_are_longs_of_a_name_and_can_be_added(spark: Any) -> None:
    counted = table_of(spark, TEXTS).select(count_tokens("text", model="gpt-4o"))
    assert [(one.name, one.dataType.simpleString(), one.nullable) for one in counted.schema] == [
        ("count_tokens(text)", "bigint", True)
    ]
    (total,) = counted.groupBy().sum().collect()[0]
    assert total == sum(count for count in expected(TEXTS, "o200k_base") if count is not None)


@on_spark
@pytest.mark.parametrize("texts", [[None, None], []], ids=["only nulls", "no rows"])
def test_there_may_be_nothing_to_count(spark: Any, texts: list[str | None]) -> None:
    assert counts_of(table_of(spark, texts), count_tokens("text", model="gpt-4o")) == texts


@on_spark
def test_other_columns_than_texts_are_an_error_without_what_is_in_them(spark: Any) -> None:
    table = spark.createDataFrame([(1, bytearray(b"secret"))], "place int, text binary")
    with pytest.raises(Exception, match="TypeError") as caught:
        counts_of(table, count_tokens("text", model="gpt-4o"))
    assert "secret" not in str(caught.value)


def check_same(one: CostReport, other: CostReport) -> None:
    assert str(one.total) == str(other.total)
    for name in (field.name for field in dataclasses.fields(CostReport)):
        here, there = getattr(one, name), getattr(other, name)
        if isinstance(here, pd.DataFrame):
            pd.testing.assert_frame_equal(here, there)
        else:
            assert here == there, name


@on_spark
@pytest.mark.parametrize(
    "options",
    [{}, {"by": ("model", "region"), "every": "day"}, {"deployments": None}],
    ids=["by default", "by other columns and day", "without deployments"],
)
@pytest.mark.parametrize("section_bytes", [workers.SECTION_BYTES, 20_000], ids=["one task", "many tasks"])
def test_the_report_of_the_example_log_is_the_same(
    spark: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], section_bytes: int
) -> None:
    monkeypatch.setattr(workers, "SECTION_BYTES", section_bytes)
    options = {"deployments": ROOT / "examples" / "deployments.toml"} | options
    logs = ROOT / "examples" / "logs"
    whole = aoai_cost.cost_report(logs, **options)
    assert len(whole.rejected) > 0
    check_same(cost_report(spark, logs, **options), whole)


@on_spark
def test_the_report_of_all_samples_together_is_the_same(
    spark: Any, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SECTION_BYTES", 4_000)
    folders = sorted(path for path in (test_data / "samples").iterdir() if path.is_dir())
    whole = aoai_cost.cost_report(folders, every="day")
    assert whole.counts.total.elsewhere > 0
    check_same(cost_report(spark, folders, every="day"), whole)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The example log in other files: each line in one of three, some twice; one packed, one cut off, one with more."""
    lines = [
        line
        for path in sorted((ROOT / "examples" / "logs").rglob("*.json"))
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]
    packed = gzip.compress(b"".join(lines[1::3] + lines[::5]))
    (tmp_path / "plain.jsonl").write_bytes(b"".join(lines[::3]) + b'{"half": ')
    (tmp_path / "packed.jsonl.gz").write_bytes(packed)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "more.jsonl").write_bytes(b"nothing\n" + b"".join(lines[2::3] + lines[::7]) + b'{"a": 1}\n')
    return tmp_path


@on_spark
def test_the_report_of_packed_doubled_and_damaged_files_is_the_same(
    spark: Any, damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SECTION_BYTES", 10_000)
    deployments = aoai_cost.read_deployments(ROOT / "examples" / "deployments.toml")
    whole = aoai_cost.cost_report(damaged, deployments=deployments)
    assert not whole.files_complete
    assert whole.counts.total.duplicates > 100
    assert {Path(str(one)).name for one in whole.rejected["source_file"]} >= {
        "plain.jsonl",
        "more.jsonl",
        "cut.jsonl.gz",
    }
    check_same(cost_report(spark, damaged, deployments=deployments), whole)
    # The halves of calls are in other files than each other, so that no file has all of them.
    assert str(whole.total) != str(aoai_cost.cost_report(damaged / "plain.jsonl", deployments=deployments).total)


@on_spark
def test_an_error_of_a_worker_is_the_error_that_reading_here_raises(spark: Any, damaged: Path) -> None:
    with pytest.raises(UsageFormatError) as here:
        aoai_cost.read_usage(damaged / "more.jsonl", damaged / "plain.jsonl", strict=True)
    with pytest.raises(UsageFormatError) as there:
        cost_report(spark, [damaged / "more.jsonl", damaged / "plain.jsonl"], strict=True)
    assert str(there.value) == str(here.value)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"by": "day"}, RequestError),
        ({"every": "week"}, RequestError),
        ({"deployments": "nowhere.toml"}, DeploymentsError),
        ({"format": "smoke-signals"}, UnknownNameError),
        ({"format": "litellm", "columns": {"prompt_tokens": "in"}}, UsageFormatError),
        ({"paths": "nowhere"}, UsageFormatError),
        ({"paths": []}, UsageFormatError),
    ],
    ids=["by", "every", "deployments", "format", "format and columns", "no such file", "no paths"],
)
def test_what_is_wrong_is_told_before_any_job(given: dict[str, Any], error: type[Exception]) -> None:
    # Without a session a job would be another error.
    with pytest.raises(error):
        cost_report(None, **{"paths": ROOT / "examples" / "logs"} | given)  # type: ignore[arg-type]


@on_spark
def test_every_example_of_the_page_prints_what_it_says(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "spark.md").read_text("utf-8"), re.DOTALL)
    assert blocks
    names = {"spark": spark}
    for block in blocks:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block, "docs/spark.md", "exec"), names)
        said = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
        assert out.getvalue().splitlines() == said


@on_spark
def test_what_goes_to_a_worker_is_names_and_no_code() -> None:
    from pyspark import cloudpickle

    sent = cloudpickle.dumps(_Counter("o200k_base").count_tokens)
    assert b"CodeType" not in sent
    assert b"_make_function" not in sent
    assert len(sent) < 500
    program = (
        "import pickle, sys, pandas as pd\n"
        "count = pickle.loads(sys.stdin.buffer.read())\n"
        "print(count(pd.Series(['hello world', None, ''])).astype(object).where(lambda n: n.notna(), None).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[2, None, 0]"


@pytest.mark.parametrize("dtype", ["object", "str"])
def test_a_batch_may_be_numbered_in_any_way(dtype: str) -> None:
    texts = pd.Series(["hello world", None, "x"], index=[7, 7, 0], dtype=dtype)
    counts = _Counter("o200k_base").count_tokens(texts)
    assert counts.dtype == "Int64"
    assert counts.isna().tolist() == [False, True, False]
    assert counts.dropna().tolist() == [2, 1]


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"model": "gpt-4oo"}, UnknownNameError),
        ({"encoding": "o200k"}, UnknownNameError),
        ({}, RequestError),
        ({"model": "gpt-4o", "encoding": "o200k_base"}, RequestError),
        ({"model": "dall-e-3"}, RequestError),
    ],
    ids=["unknown model", "unknown encoding", "neither", "both", "a model without texts"],
)
def test_a_wrong_name_is_an_error_before_any_session(named: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        count_tokens("text", **named)


def test_without_pyspark_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    monkeypatch.setitem(sys.modules, "pyspark.sql.functions", None)
    with pytest.raises(MissingExtraError, match=r"aoai-cost\[spark\]"):
        count_tokens("text", model="gpt-4o")


def test_importing_the_module_does_not_load_pyspark() -> None:
    program = "import sys, aoai_cost.spark; sys.exit('pyspark' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
