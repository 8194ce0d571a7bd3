"""From the reviewed models.toml to the compact models.json that the package loads.

Run ``python -m aoai_cost.catalog.compile`` after an edit; a test holds the two files together.
"""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path

__all__ = ["MODELS_JSON", "MODELS_TOML", "compile_models"]

MODELS_TOML = Path(__file__).with_name("models.toml")
MODELS_JSON = Path(__file__).with_name("models.json")


def compile_models(text: str) -> bytes:
    """Turn the text of models.toml into the bytes of models.json; dates become ISO text, order is kept."""
    raw = tomllib.loads(text)
    lines = [
        json.dumps(entry, ensure_ascii=False, separators=(",", ":"), default=date.isoformat) for entry in raw["model"]
    ]
    head = {name: part for name, part in raw.items() if name != "model"}
    start = json.dumps(head, ensure_ascii=False, separators=(",", ":"), default=date.isoformat)
    # One model per line, so that a change shows as one line.
    return (start[:-1] + ',"model":[\n' + ",\n".join(lines) + "\n]}\n").encode()


def _main() -> None:
    MODELS_JSON.write_bytes(compile_models(MODELS_TOML.read_text("utf-8")))


if __name__ == "__main__":
    _main()
