"""Which files are of one run of an export, and when it ran.

An export writes ``<export>/<first day>-<last day>/<minute>/<id>/part_0_0001.csv``, and beside it a ``manifest.json``
that lists the parts. A daily export of the month to date writes the whole month so far on every day, so that only its
newest run counts; the parts of one run all count.
Source: Microsoft's tutorial on exporting Cost Management data, "File partitioning for large datasets".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import orjson

from ..errors import BillError
from ..sources.files import LogFile

__all__ = ["Run", "find_runs"]

_MANIFESTS = ("manifest.json", "_manifest.json")
_MONTH = re.compile(r"\d{8}-\d{8}", re.ASCII)
_MINUTE = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)", re.ASCII)
_PART = re.compile(r"part_\d+_\d+\.", re.ASCII | re.IGNORECASE)
_VIEW_NAME = re.compile(r"(?<![a-z])(actual|amorti[sz]ed)", re.ASCII | re.IGNORECASE)
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)", re.ASCII)
_VIEWS = {"actualcost": "actual", "amortizedcost": "amortized"}
_MOST_MANIFEST_BYTES = 16 << 20


@dataclass
class Run:
    """The files that one run of an export wrote, as far as their places and a manifest tell.

    ``export`` and ``period`` name the export and the days that it covers; runs that share both are snapshots of one
    thing. ``time`` is when it ran (UTC, to the minute), ``view`` is ``actual`` or ``amortized``, ``view_by_name`` what
    only the name of a file or folder says of it; None is unknown. ``expected`` has the rows of every part, by file
    name, as the manifest says.
    """

    name: str
    files: list[LogFile] = field(default_factory=list)
    export: str | None = None
    period: str | None = None
    time: str | None = None
    view: str | None = None
    view_by_name: str | None = None
    expected: dict[str, int | None] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The parts that the manifest lists and that are not here."""
        return sorted(self.expected.keys() - {file.place.name for file in self.files})


def find_runs(files: Iterable[LogFile]) -> list[Run]:
    """Sort files into runs; manifests are read and are no files of a bill.

    Raises
    ------
    BillError
        If a manifest cannot be read.
    """
    bills: list[LogFile] = []
    manifests: dict[PurePath, Mapping[str, Any]] = {}
    for file in files:
        if file.place.name.lower() in _MANIFESTS:
            manifests[file.place.parent] = _read_manifest(file)
        else:
            bills.append(file)
    runs: dict[str, Run] = {}
    for file in bills:
        folder = file.place.parent
        told = manifests.get(folder)
        parts = {} if told is None else _parts(told)
        if told is not None and file.place.name in parts:
            run = runs.setdefault(str(folder), Run(str(PurePath(file.shown).parent)))
            _describe(run, told, parts)
        else:
            run = _run_by_place(runs, file)
        run.files.append(file)
    return list(runs.values())


def _read_manifest(file: LogFile) -> Mapping[str, Any]:
    try:
        with file.open() as opened:
            found = orjson.loads(opened.read(_MOST_MANIFEST_BYTES).removeprefix(b"\xef\xbb\xbf"))
    except (OSError, orjson.JSONDecodeError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("blobs"), list):
        raise BillError(file.shown, "", "the manifest of the export cannot be read")
    return found


def _parts(manifest: Mapping[str, Any]) -> dict[str, int | None]:
    """Return the rows of every part that a manifest lists, by file name."""
    found: dict[str, int | None] = {}
    for blob in manifest["blobs"]:
        name = blob.get("blobName") if isinstance(blob, dict) else None
        if isinstance(name, str) and name:
            rows = blob.get("dataRowCount")
            found[name.rsplit("/", 1)[-1]] = rows if type(rows) is int else None
    return found


def _describe(run: Run, manifest: Mapping[str, Any], parts: dict[str, int | None]) -> None:
    export, ran = (manifest.get(name) for name in ("exportConfig", "runInfo"))
    export = export if isinstance(export, dict) else {}
    ran = ran if isinstance(ran, dict) else {}
    kind = str(export.get("type", ""))
    run.expected = parts
    run.view = _VIEWS.get(kind.lower())
    named, start = export.get("resourceId") or export.get("exportName"), ran.get("startDate")
    if isinstance(named, str) and isinstance(start, str):
        run.export, run.period = f"{named.lower()} {kind}", start[:10]
    time = _TIME.match(str(ran.get("submittedTime", "")))
    run.time = time[1] if time else None


def _run_by_place(runs: dict[str, Run], file: LogFile) -> Run:
    """Return the run of a file without a manifest, by the folders that an export writes into."""
    folders = file.place.parent.parts
    is_part = _PART.match(file.place.name) is not None
    key = str(file.place.parent) + "/" if is_part else str(file.place)
    run = runs.get(key)
    if run is None:
        run = runs[key] = Run(str(PurePath(file.shown).parent) if is_part else file.shown)
        month = next((i for i in reversed(range(len(folders))) if _MONTH.fullmatch(folders[i])), None)
        if month is not None:
            run.export, run.period = "/".join(folders[:month]), folders[month]
            minute = next((found for one in folders[month + 1 :] if (found := _MINUTE.fullmatch(one))), None)
            run.time = "{}-{}-{}T{}:{}".format(*minute.groups()) if minute else None
        named = {word.lower() for word in _VIEW_NAME.findall(file.shown)}
        if len(named) == 1:
            run.view_by_name = "actual" if "actual" in named else "amortized"
    return run
