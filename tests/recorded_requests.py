"""Recorded requests with the usage that the service returned for them, from the folder of test data."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any


def all_recorded(folder: Path, *, self_contained: bool = True) -> list[dict[str, Any]]:
    vectors = []
    for path in sorted((folder / "ground_truth").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            vector = json.loads(line)
            if vector["self_contained"] == self_contained and not vector.get("suspect"):
                vectors.append(vector)
    return vectors


def recorded(folder: Path, category: str, *, self_contained: bool = True) -> list[dict[str, Any]]:
    vectors = all_recorded(folder, self_contained=self_contained)
    return [vector for vector in vectors if vector["category"] == category]


def with_blobs(value: Any, folder: Path) -> Any:
    """Put the bytes of recorded images, files and audio back into a body, images and files as data: URLs."""
    if isinstance(value, dict):
        body = {key: with_blobs(item, folder) for key, item in value.items()}
        # Audio goes as base64 alone.
        if isinstance(data := body.get("data"), str) and "format" in body:
            body["data"] = data.removeprefix("data:audio/wav;base64,")
        return body
    if isinstance(value, list):
        return [with_blobs(item, folder) for item in value]
    if isinstance(value, str) and value.startswith("blob:") and ";sha=" in value:
        blob = json.loads((folder / "ground_truth" / "blobs.json").read_text("utf-8"))[value.split(";sha=")[1]]
        data = (folder / "ground_truth" / blob["file"]).read_bytes()
        return f"data:{blob['mime']};base64,{base64.b64encode(data).decode()}"
    return value
