"""Write docs/coverage.md from the price sheets: which skus and meters of a model have a price, and since when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aoai_cost.catalog import SKUS, list_models
from aoai_cost.prices import ANY_MODEL, PriceBook, PriceRow

COVERAGE = Path(__file__).with_name("coverage.md")
NO_FACT = "no fact"
PROVISIONED = tuple(sku for sku in SKUS if sku.endswith("ProvisionedManaged"))
BY_TOKEN = tuple(sku for sku in SKUS if sku not in PROVISIONED)

# What the package set out to cover, by what each is for; everything else that has a price follows by name.
SEED = (
    ("Reasoning", ("o1", "o1-mini", "o1-preview")),
    ("GPT-4o", ("gpt-4o", "gpt-4o-mini")),
    ("GPT-4, GPT-4 Turbo with Vision", ("gpt-4", "gpt-4-32k")),
    ("GPT-3.5-Turbo", ("gpt-35-turbo", "gpt-35-turbo-16k", "gpt-35-turbo-instruct")),
    ("GPT-3 and Codex", ("babbage-002", "davinci-002", "text-davinci-003", "code-davinci-002")),
    ("Embeddings", ("text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large")),
    ("DALL-E", ("dall-e-2", "dall-e-3")),
    ("Whisper and text to speech", ("whisper", "tts", "tts-hd")),
    ("Realtime audio", ("gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview")),
)
HEAD = """\
# What has a price

Generated from the price sheets by `make golden`; a test compares. A cell names the meters that have a price on a sku,
with the day from which the sheets know one, and the tiers beside the default one. `ft` and the like are the prices of
fine-tuned models: training, hosting and use. "no fact" means that no price was found anywhere: asking for one is a
`MissingPriceError`. *Listed* counts the rows that are kept and answer nothing (`aoai-cost prices list MODEL --listed`
says why), most of them old meters that state no deployment type. Provisioned deployments of every model are paid by
the hour of their units, or by reservation: see the last table.
"""


def coverage() -> str:
    """Return the page."""
    book = PriceBook.bundled()
    parts = [HEAD]
    seeds = {model for _, models in SEED for model in models}
    rest = sorted({*(model.name for model in list_models()), *(row.model for row in book.rows())} - seeds - {ANY_MODEL})
    others = [model for model in rest if not model.startswith("(")]
    for title, models in (*SEED, ("All other models", others)):
        parts.append(f"\n## {title}\n\n" + table(book, models))
    parts.append("\n## Every model: provisioned throughput, tools of assistants\n\n" + any_model(book))
    return "".join(parts)


def table(book: PriceBook, models: Iterable[str]) -> str:
    """Return one line for each model, version and kind of tuning."""
    lines = [("Model", *BY_TOKEN, "Listed")]
    for model in models:
        rows = list(book.rows(model))
        answering = [row for row in rows if not row.unmatched and row.sku in BY_TOKEN]
        listed = Counter(row.version for row in rows if row.unmatched)
        kinds = sorted({(row.version, row.fine_tuned) for row in answering} | {(version, "") for version in listed})
        for version, tuned in kinds or [("", "")]:
            name = " ".join(filter(None, (model, version, tuned)))
            mine = [row for row in answering if (row.version, row.fine_tuned) == (version, tuned)]
            cells = [cell([row for row in mine if row.sku == sku]) for sku in BY_TOKEN]
            lines.append((name, *cells, str(listed[version]) if not tuned and listed[version] else ""))
    return markdown(lines)


def any_model(book: PriceBook) -> str:
    """Return what hangs on no model."""
    lines = [("Sku", "Meters")]
    for sku in SKUS:
        lines.append((sku, cell([row for row in book.rows(ANY_MODEL) if row.sku == sku and not row.unmatched])))
    return markdown(lines)


def cell(rows: list[PriceRow]) -> str:
    """Name the meters of the rows, each with the first day on which it has a price, days that are equal together."""
    if not rows:
        return NO_FACT
    meters: dict[str, list[str]] = {}
    for row in rows:
        modality = "" if row.modality in ("", "text") else f"{row.modality} "
        tier = "" if row.tier == "default" or row.sku.endswith("Batch") else f" ({row.tier})"
        variant, band = f":{row.variant}" if row.variant else "", " (long)" if row.band == "long" else ""
        name = f"{modality}{row.meter}{variant}{tier}{band}"
        meters.setdefault(name, []).append(row.effective_from.isoformat() if row.effective_from else "start not seen")
    by_day: dict[str, list[str]] = {}
    for name, days in meters.items():
        by_day.setdefault(min(days), []).append(name)
    return "; ".join(f"{', '.join(sorted(names))} ({day})" for day, names in sorted(by_day.items()))


def markdown(lines: list[tuple[str, ...]]) -> str:
    """Return a table whose first line is its head."""
    head, *rest = lines
    rule = ("---",) * len(head)
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *rest))


if __name__ == "__main__":
    COVERAGE.write_text(coverage(), encoding="utf-8")
