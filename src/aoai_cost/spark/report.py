"""Cost reports of logs that a cluster reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from ..errors import MissingExtraError
from ..logs.reading import Options
from ..report.cost import CostReport, report_of
from ..sources.files import find_files
from ..sources.period import asked_period

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ..catalog import Deployments
    from ..logs import UsageSums
    from ..prices import PriceBook
    from .stages import Row, Stages

__all__ = ["cost_report"]


def cost_report(
    spark: SparkSession,
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    deployments: Deployments | str | os.PathLike[str] | None = None,
    prices: PriceBook | None = None,
    by: Sequence[str] = ("deployment",),
    every: Literal["month", "day"] = "month",
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    deployment: str | None = None,
    resource: str | None = None,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
    storage_options: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> CostReport:
    """Price a usage log that Spark's workers read: the report that `aoai_cost.cost_report` makes of the same files.

    Parameters
    ----------
    spark : SparkSession
        Of Spark 3.5 or newer, also by Spark Connect.
    paths : path or paths
        Files, folders and URLs of a storage account; of files the driver and every worker must see each under the same
        name. Large ones with a record per line are read in sections, every other file by one worker.
    deployments, prices, by, every
        As in `aoai_cost.cost_report`; files of these are read by the driver.
    format, columns, deployment, resource, since, until, strict
        As in `aoai_cost.read_usage`.
    storage_options : mapping, optional
        What opens the storage account of URLs. It goes to the workers with what they read; without it, each of them
        looks for what opens the account in its own environment.

    Raises
    ------
    RequestError, DeploymentsError, UnknownNameError
        Before any job.
    UsageFormatError
        As `aoai_cost.read_usage`; also for a file that a worker does not find.
    MissingExtraError
        If PyArrow is not installed.
    """
    options = Options.of(format, columns, deployment, resource, asked_period(since, until), strict)
    given = (paths,) if isinstance(paths, (str, os.PathLike)) else tuple(paths)

    def read() -> UsageSums:
        return _sum_usage(spark, given, options, storage_options)

    return report_of(read, deployments=deployments, prices=prices, by=by, every=every)


def _sum_usage(
    spark: SparkSession,
    paths: tuple[str | os.PathLike[str], ...],
    options: Options,
    storage_options: Mapping[str, Any] | None,
) -> UsageSums:
    try:
        from .stages import Stages, assign, gather, what_is_known
    except ImportError:
        raise MissingExtraError("spark") from None
    files = find_files(paths, options.period, storage_options)
    tasks, sections = assign(files, options)
    stages = Stages(options)
    rows = _run(spark, tasks, stages)
    if not stages.fits(known := what_is_known(rows)):
        # Known only now; and what was read cannot be kept on every service.
        rows = _run(spark, tasks, Stages(options, known))
    return gather(rows, files, sections, options)


def _run(spark: SparkSession, tasks: list[tuple[int, bytes]], stages: Stages) -> list[Row]:
    """Run the stages as one job, with a shuffle by partition before each but the first."""
    from .stages import SORTED_BY

    columns = "partition int, task int, place bigint, records binary, told binary"
    given = spark.createDataFrame(tasks, "task int, told binary")
    # Tasks are few and long, so each is one of Spark's too.
    rows = given.repartitionByRange(len(tasks), "task").mapInArrow(stages.read, columns)
    for stage in (stages.settle, stages.resolve) if stages.spans else (stages.resolve,):
        rows = rows.repartition("partition").sortWithinPartitions(*SORTED_BY).mapInArrow(stage, columns)
    found: list[Row] = rows.collect()
    return found
