"""Write the example usage log, a ledger of what was written, what Azure would have billed for it, and a history.

    python examples/generate.py [folder]

The log has the layout and shapes of Azure Monitor's export to storage: one folder per category, one file per account
and hour, one JSON object per line. It also has the traps of real exports: halves of a call in different hours, copies,
a throttled call that is logged twice, properties as text and as object, tokens as numbers, texts and arrays, an
unfinished last line. ``expected.json`` is written from a ledger that is kept while the calls are made up, so a reader
of the log can be checked against something that is not a reader.

``bill.csv`` is an export of Cost Management as an Enterprise Agreement has it, of the same calls: billed by meter and
day, with 10 % off for one model, a refund, images and calls whose tokens the log does not tell, a deployment that the
deployments file does not know, a day before the log, and rows of another service.

``history.csv`` is a plain table of an earlier time up to the log's third day, one row per day and deployment, with the
sums of its calls: weeks and weekends, growth, noise, one day of much more, and a last day that is not over. A forecast
can be made from it.

Everything is made up and fixed by a seed. The ids are zeros, the addresses are reserved for documentation.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import random
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

SEED = 20261012
FIRST_DAY = datetime(2026, 10, 12)
DAYS = 4
HOURS = (9, 14, 22)
USAGE, STATUS = "AzureOpenAIRequestUsage", "RequestResponse"
YEAR_ONE = datetime(1, 1, 1)


@dataclass(frozen=True)
class Account:
    """An Azure OpenAI account."""

    group: str
    name: str
    region: str

    @property
    def id(self) -> str:
        """The ARM id."""
        return (
            f"/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/{self.group}"
            f"/providers/Microsoft.CognitiveServices/accounts/{self.name}"
        )


@dataclass(frozen=True)
class Deployment:
    """A deployment as the log knows it, and how much it is used."""

    account: Account
    name: str
    model: str
    version: str
    operation: str = "ChatCompletions_Create"
    prompt_tokens: tuple[int, int] = (200, 4_000)
    completion_tokens: tuple[int, int] = (20, 900)
    cached_share: float = 0.0
    write_share: float = 0.0
    per_hour: int = 2


SWEDEN = Account("rg-shop", "aoai-shop-sweden", "swedencentral")
EASTUS2 = Account("rg-shop", "aoai-shop-eastus2", "eastus2")
FRANCE = Account("rg-research", "aoai-research", "francecentral")

CHAT = Deployment(SWEDEN, "chat", "gpt-4o", "2024-08-06", cached_share=0.4, per_hour=5)
CHAT_UPGRADED = Deployment(SWEDEN, "chat", "gpt-4o", "2024-11-20", cached_share=0.4, per_hour=5)
UPGRADE = FIRST_DAY + timedelta(days=2)
EMBED = Deployment(SWEDEN, "embed", "text-embedding-3-large", "1", "Embeddings_Create", (50, 7_500), (0, 0))
AGENT = Deployment(
    SWEDEN, "agent", "gpt-5.6-sol", "2026-07-09", "create-response", (6_000, 60_000), (300, 6_000), 0.5, 0.2, 2
)
IMAGES = Deployment(SWEDEN, "images", "dall-e-3", "3.0", "ImageGenerations_Create")
CHAT_MINI = Deployment(EASTUS2, "chat", "gpt-4o-mini", "2024-07-18", per_hour=3)
FAST = Deployment(EASTUS2, "fast", "gpt-5-mini", "2025-08-07", cached_share=0.3)
SUPPORT = Deployment(EASTUS2, "support-ptu", "gpt-4.1", "2025-04-14", cached_share=0.6)
TUNED = Deployment(SWEDEN, "tuned", "gpt-4o-mini", "2024-07-18", per_hour=1)
CHAT_FRANCE = Deployment(FRANCE, "chat", "gpt-4o", "2024-11-20", cached_share=0.2)
PILOT = Deployment(FRANCE, "pilot", "contoso-chat", "1", per_hour=1)
SANDBOX = Deployment(FRANCE, "sandbox", "gpt-4o-mini", "2024-07-18", per_hour=1)
STEADY = (CHAT, EMBED, AGENT, CHAT_MINI, FAST, SUPPORT, TUNED, CHAT_FRANCE, PILOT, SANDBOX)


@dataclass(frozen=True)
class Meter:
    """A meter of the price list as a bill has it: the price is of one unit of measure, before a discount."""

    product: str
    name: str
    unit_of_measure: str
    price: str
    discount: str = "0"

    def quantity(self, count: int) -> Decimal:
        """Return a count of tokens, hours or images in the unit of measure."""
        return Decimal(count) / {"1K": 1_000, "1M": 1_000_000, "100": 100}.get(self.unit_of_measure, 1)


def meters(product: str, unit_of_measure: str, names: str, prices: str, discount: str = "0") -> tuple[Meter, ...]:
    """Return the meters of input, output, cached input and writing to the cache, as far as there are such."""
    pairs = zip(names.split("; "), prices.split(), strict=True)
    return tuple(Meter(product, name, unit_of_measure, price, discount) for name, price in pairs)


# The names and prices of the price list in October 2026.
BILLED_BY = {
    CHAT: meters(
        "Azure OpenAI",
        "1K",
        "gpt-4o-0806-Inp-glbl Tokens; gpt-4o-0806-Outp-glbl Tokens; gpt 4o 0806 cached Inp glbl Tokens",
        "0.0025 0.01 0.00125",
    ),
    CHAT_UPGRADED: meters(
        "Azure OpenAI",
        "1K",
        "gpt 4o 1120 Inp glbl Tokens; gpt 4o 1120 Outp glbl Tokens; gpt 4o 1120 cached Inp glbl Tokens",
        "0.0025 0.01 0.00125",
    ),
    EMBED: meters("Azure OpenAI", "1K", "text-embedding-3-large-glbl Tokens", "0.00013"),
    AGENT: meters(
        "Azure OpenAI GPT5",
        "1M",
        "5.6 sol ShortCo Inp Std Gl 1M Tokens; 5.6 sol ShortCo Opt Std Gl 1M Tokens; "
        "5.6 sol ShortCo Cd Inp Std Gl 1M Tokens; 5.6 sol ShortCo Cd Wr Std Gl 1M Tokens",
        "4 20 0.4 5",
    ),
    CHAT_MINI: meters(
        "Azure OpenAI",
        "1K",
        "gpt-4o-mini-0718-Inp-regnl Tokens; gpt-4o-mini-0718-Outp-regnl Tokens",
        "0.000165 0.00066",
    ),
    FAST: meters(
        "Azure OpenAI GPT5",
        "1M",
        "GPT 5 Mini Inpt DZone 1M Tokens; GPT 5 Mini outpt DZone 1M Tokens; GPT 5 Mini cchd Inpt DZone 1M Tokens",
        "0.275 2.2 0.0275",
        discount="0.10",
    ),
    TUNED: meters(
        "Azure OpenAI",
        "1K",
        "gpt-4o-mini-0718-FT-inp-regnl Tokens; gpt-4o-mini-0718-FT-outp-regnl Tokens",
        "0.000165 0.00066",
    ),
    CHAT_FRANCE: meters(
        "Azure OpenAI",
        "1K",
        "gpt 4o 1120 Inp Data Zone Tokens; gpt 4o 1120 Outp Data Zone Tokens; gpt 4o 1120 cached Inp Data Zone Tokens",
        "0.00275 0.011 0.001375",
    ),
    SANDBOX: meters(
        "Azure OpenAI",
        "1K",
        "gpt-4o-mini-0718-Inp-glbl Tokens; gpt-4o-mini-0718-Outp-glbl Tokens",
        "0.00015 0.0006",
    ),
}
LONG_AGENT = meters(
    "Azure OpenAI GPT5",
    "1M",
    "5.6 sol LongCo Inp Std Gl 1M Tokens; 5.6 sol LongCo Opt Std Gl 1M Tokens; "
    "5.6 sol LongCo Cd Inp Std Gl 1M Tokens; 5.6 sol LongCo Cd Wr Std Gl 1M Tokens",
    "8 30 0.8 10",
)
LONG_FROM = 272_001
IMAGE = Meter("Azure OpenAI Media", "Image-Dall-E-3 Std LowRes-regnl EP Images", "100", "4.84")
PTU = Meter("Azure OpenAI", "Provisioned Managed Global Unit", "1/Hour", "1")
HOSTING = Meter("Azure OpenAI", "gpt-4o-mini-0718-FT-Hstng-regnl Unit", "1 Hour", "1.7")
STORAGE = Meter("Tiered Block Blob", "Hot LRS Data Stored", "1 GB/Month", "0.02")


@dataclass(frozen=True)
class Habit:
    """How a deployment is used day by day: calls on a busy day, and the mean tokens of a call."""

    deployment: Deployment
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_percent: int | None = None


HISTORY_FROM = datetime(2026, 8, 1)
HISTORY_DAYS = 75
HABITS = (
    Habit(CHAT_UPGRADED, 30_000, 950, 260, 30),
    Habit(EMBED, 9_000, 3_100, 0),
    Habit(FAST, 22_000, 2_900, 700, 25),
)
WEEKDAYS_PERCENT = (100, 108, 110, 105, 92, 38, 33)
GROWTH_PERMILLE_PER_DAY = 4
CAMPAIGN, CAMPAIGN_PERCENT = datetime(2026, 9, 17), 170
LAST_DAY_PERCENT = 45


@dataclass(frozen=True)
class Tokens:
    """The counts of one call; cached and written tokens are inside the prompt."""

    prompt: int
    completion: int
    cached: int = 0
    written: int = 0


@dataclass
class Ledger:
    """What was written, in the words of a bill."""

    calls: dict[tuple[str, str, str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    days: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rows: Counter[str] = field(default_factory=Counter)

    def add(self, account: Account, at: datetime, deployment: Deployment | None, **counts: int) -> None:
        """Enter one call."""
        of = ("", "", "") if deployment is None else (deployment.name, deployment.model, deployment.version)
        for kept in (self.calls[(account.id.lower(), *of)], self.days[at.date().isoformat()]):
            kept["requests"] += 1
            kept.update(counts)
        self.rows["requests"] += 1
        self.rows["unmetered"] += counts.get("unmetered", 0)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``expected.json`` holds."""
        names = ("resource", "deployment", "model", "version")
        kept = ("requests", "prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens")
        kept += ("unmetered", "not_billed")
        return {
            "rows": dict(sorted(self.rows.items())),
            "calls": [
                {name: value or None for name, value in zip(names, key, strict=True)}
                | {name: counted[name] for name in kept}
                for key, counted in sorted(self.calls.items())
            ],
            "days": {day: {name: counted[name] for name in kept} for day, counted in sorted(self.days.items())},
        }


class Export:
    """The files of a storage export while they are filled."""

    def __init__(self) -> None:
        self.random = random.Random(SEED)
        self.ledger = Ledger()
        self.files: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self.number = 0
        self.unfinished = ""
        self.billed: dict[tuple[str, Account, Meter, str], int] = defaultdict(int)
        """What Azure would bill, by day, account, meter and type of charge."""

    def correlation_id(self) -> str:
        """Return the next id of a call."""
        self.number += 1
        return f"00000000-0000-4000-8000-{self.number:012d}"

    def write(self, account: Account, at: datetime, record: dict[str, Any]) -> str:
        """Append a line to the file of its category, account and hour; return where."""
        container = f"insights-logs-{record['category'].lower()}"
        place = f"resourceId={account.id.upper()}/y={at:%Y}/m={at:%m}/d={at:%d}/h={at:%H}/m=00/PT1H.json"
        line = json.dumps(dict(sorted(record.items())), separators=(",", ":"))
        self.files[f"{container}/{place}"].append((at, line))
        self.ledger.rows["rows"] += 1
        return f"{container}/{place}"

    def status(
        self,
        account: Account,
        at: datetime,
        correlation_id: str,
        operation: str,
        deployment: Deployment | None,
        status: int = 200,
        duration_ms: int | None = None,
    ) -> None:
        """Write the half of a call that says how it went."""
        took = self.random.randrange(90, 9_000) if duration_ms is None else duration_ms
        begun = ticks(at - timedelta(milliseconds=took))
        properties: dict[str, Any] = {
            "apiName": "Azure OpenAI API version 2024-10-21",
            "requestTime": begun,
            "requestLength": self.random.randrange(200, 60_000),
            "responseTime": ticks(at),
            "responseLength": self.random.randrange(100, 20_000),
            "objectId": "",
            "streamType": "Streaming" if self.number % 3 == 0 else "Non-Streaming",
        }
        if deployment is not None:
            properties |= self.names(deployment)
        # Some exports write the properties as JSON text, some as an object; and ids in any case.
        as_text = self.number % 2 == 0
        record = {
            "time": stamp(at) + "Z",
            "EnqueueTime": stamp(at - timedelta(milliseconds=45)),
            "resourceId": account.id.upper() if self.number % 5 else account.id,
            "category": STATUS,
            "operationName": operation,
            "correlationId": correlation_id,
            "durationMs": took,
            "resultSignature": str(status),
            "callerIpAddress": "192.0.2.***",
            "location": account.region,
            "Tenant": account.region,
            "event": "ShoeboxCallResult",
            "properties": json.dumps(properties, separators=(",", ":")) if as_text else properties,
        }
        self.write(account, at, record)

    def usage(self, deployment: Deployment, at: datetime, correlation_id: str, tokens: Tokens) -> str:
        """Write the half of a call that has the tokens; return its file."""
        forms: tuple[Any, ...] = (lambda n: [n], lambda n: [str(n)], int, str)
        form = forms[self.number % len(forms)]
        properties = self.names(deployment) | {
            "streamType": "Streaming" if self.number % 3 == 0 else "Non-Streaming",
            "promptTokens": form(tokens.prompt),
            "generatedTokens": form(tokens.completion),
            "cachedTokens": form(tokens.cached),
            "timeToFirstTokenMs": [self.random.randrange(80, 900)],
            "timeToLastTokenMs": [self.random.randrange(900, 9_000)],
        }
        if deployment.write_share:
            properties["cacheWriteTokens"] = form(tokens.written)
        record = {
            "EnqueueTime": stamp(at),
            "FluentdIngestTimestamp": stamp(at + timedelta(seconds=4)) + "Z",
            "resourceId": deployment.account.id.upper(),
            "category": USAGE,
            "operationName": deployment.operation,
            "correlationId": correlation_id,
            "location": deployment.account.region,
            "Tenant": deployment.account.region,
            "event": "ShoeboxCallResult",
            "processID": 4812,
            "threadID": 77,
            "properties": json.dumps(properties, separators=(",", ":")) if self.number % 4 else properties,
        }
        if self.number % 2:
            record["time"] = stamp(at) + "Z"
        return self.write(deployment.account, at, record)

    @staticmethod
    def names(deployment: Deployment) -> dict[str, Any]:
        """Return what a row says of the deployment that served it."""
        return {
            "modelDeploymentName": deployment.name,
            "modelName": deployment.model,
            "modelVersion": deployment.version,
        }

    def tokens(self, deployment: Deployment) -> Tokens:
        """Make up the counts of a call."""
        prompt = self.random.randrange(deployment.prompt_tokens[0], deployment.prompt_tokens[1] + 1)
        low, high = deployment.completion_tokens
        completion = self.random.randrange(low, high + 1)
        # The service caches in blocks of 128 tokens, from 1,024 on.
        blocks = int(prompt * deployment.cached_share * self.random.random() * 2 / 128)
        cached = min(blocks * 128, prompt // 128 * 128) if blocks * 128 >= 1_024 else 0
        return Tokens(prompt, completion, cached, int((prompt - cached) * deployment.write_share))

    def call(
        self,
        deployment: Deployment,
        at: datetime,
        tokens: Tokens | None = None,
        *,
        status: int = 200,
        duration_ms: int | None = None,
        usage_after: timedelta = timedelta(milliseconds=20),
    ) -> None:
        """Write both halves of a call that is billed."""
        counted = tokens if tokens is not None else self.tokens(deployment)
        correlation_id = self.correlation_id()
        self.status(deployment.account, at, correlation_id, deployment.operation, deployment, status, duration_ms)
        self.usage(deployment, at + usage_after, correlation_id, counted)
        self.ledger.rows["joined"] += 1
        self.bill(deployment, at, counted)

    def bill(self, deployment: Deployment, at: datetime, tokens: Tokens) -> None:
        """Enter a call that is billed."""
        self.charge(deployment, at, tokens)
        self.ledger.add(
            deployment.account,
            at,
            deployment,
            prompt_tokens=tokens.prompt,
            cached_tokens=tokens.cached,
            cache_write_tokens=tokens.written,
            completion_tokens=tokens.completion,
        )

    def charge(self, deployment: Deployment, at: datetime, tokens: Tokens) -> None:
        """Bill a call, if Azure bills such a deployment by the token."""
        found = BILLED_BY.get(deployment, ())
        if deployment is AGENT and tokens.prompt >= LONG_FROM:
            found = LONG_AGENT
        # What has no meter of its own is in the first: cached input of models without a price for it.
        counts = [tokens.prompt, tokens.completion, tokens.cached, tokens.written]
        counts[0] -= sum(counts[2 : len(found)])
        for meter, count in zip(found, counts, strict=False):
            if count:
                self.bill_meter(at, deployment.account, meter, count)

    def bill_meter(self, at: datetime, account: Account, meter: Meter, count: int, charge: str = "Usage") -> None:
        """Add to what is billed for a meter of an account on a day."""
        self.billed[f"{at:%m/%d/%Y}", account, meter, charge] += count

    def copy_last_line(self, file: str, later: timedelta = timedelta(0)) -> None:
        """Deliver the last line of a file once more, into the same file or that of a later hour."""
        at, line = self.files[file][-1]
        there = at + later
        name = file.replace(f"/d={at:%d}/h={at:%H}/", f"/d={there:%d}/h={there:%H}/")
        self.files[name].append((there, line))
        self.ledger.rows["rows"] += 1
        self.ledger.rows["duplicates"] += 1

    def save(self, folder: Path) -> None:
        """Write the files and the ledger."""
        logs = folder / "logs"
        if logs.exists():
            shutil.rmtree(logs)
        for name, lines in sorted(self.files.items()):
            path = logs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # Sorting is stable: lines of one moment stay as they were delivered.
            ordered = sorted(lines, key=lambda one: one[0])
            text = "".join(line + "\n" for _, line in ordered)
            path.write_bytes((text.removesuffix("\n") if name == self.unfinished else text).encode())
        (folder / "bill.csv").write_bytes(codecs.BOM_UTF8 + self.bill_text().encode())
        ledger = json.dumps(self.ledger.as_dict(), indent=1)
        (folder / "expected.json").write_bytes(ledger.encode() + b"\n")

    def bill_text(self) -> str:
        """Return the bill as CSV, with those of the columns of an Enterprise Agreement that say something here."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(
            (
                *("BillingAccountId", "BillingPeriodStartDate", "BillingPeriodEndDate", "SubscriptionId", "Date"),
                *("MeterCategory", "MeterSubCategory", "MeterName", "Quantity", "EffectivePrice", "Cost", "UnitPrice"),
                *("BillingCurrency", "ConsumedService", "ResourceId", "Tags", "UnitOfMeasure", "ChargeType"),
                "PricingModel",
            )
        )
        for (day, account, meter, charge), count in sorted(
            self.billed.items(), key=lambda one: (one[0][0], one[0][1].id, one[0][2].name, one[0][3])
        ):
            quantity = meter.quantity(count)
            price = Decimal(meter.price) * (1 - Decimal(meter.discount))
            is_storage = meter is STORAGE
            resource = account.id.lower().replace("resourcegroups/rg", "resourceGroups/RG")
            if is_storage:
                resource = resource.replace("microsoft.cognitiveservices/accounts", "microsoft.storage/storageAccounts")
            writer.writerow(
                (
                    *("8000001", "10/01/2026", "10/31/2026", "00000000-0000-0000-0000-000000000000", day),
                    *("Storage" if is_storage else "Foundry Models", meter.product, meter.name),
                    *(f"{quantity:f}", f"{price:f}", f"{quantity * price:f}", meter.price, "USD"),
                    *("Microsoft.Storage" if is_storage else "Microsoft.CognitiveServices", resource),
                    *('"team": "shop"', meter.unit_of_measure, charge, "OnDemand"),
                )
            )
        return out.getvalue()


def stamp(at: datetime) -> str:
    """Write a time with seven digits after the point, as the service does."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}0"


def ticks(at: datetime) -> int:
    """Return the ticks of .NET: 100 ns since the year 1."""
    return (at - YEAR_ONE) // timedelta(microseconds=1) * 10


def steady_traffic(export: Export) -> None:
    """Write the plain calls of every day."""
    for day in range(DAYS):
        for hour in HOURS:
            for deployment in STEADY:
                begun = FIRST_DAY + timedelta(days=day, hours=hour)
                served = CHAT_UPGRADED if deployment is CHAT and begun >= UPGRADE else deployment
                for _ in range(served.per_hour if hour != HOURS[-1] else 1):
                    offset = timedelta(milliseconds=export.random.randrange(30_000, 3_400_000))
                    export.call(served, begun + offset)


def moment(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    """Return a time of day `day` of the log."""
    return FIRST_DAY + timedelta(days=day, hours=hour, minutes=minute, seconds=second, microseconds=991_000)


def billed_traps(export: Export) -> None:
    """Write calls that are billed and easily lost or counted twice."""
    # The halves stand in different hours, and in different days.
    export.call(CHAT, moment(0, 9, 59, 58), usage_after=timedelta(seconds=5))
    export.call(CHAT_FRANCE, moment(1, 23, 59, 59), usage_after=timedelta(seconds=3))
    # In the long context band: one request above 272,000 input tokens.
    export.call(AGENT, moment(1, 14, 20), Tokens(310_000, 4_200, cached=204_800, written=12_000))
    # A content filter answers 400 and a slow call 408 after the model has worked: both are billed.
    export.call(CHAT, moment(0, 9, 12), Tokens(310, 0), status=400)
    export.call(CHAT_MINI, moment(2, 14, 33), Tokens(1_850, 512), status=408)
    # The clock of the service went backwards.
    export.call(FAST, moment(3, 9, 5), duration_ms=-1_021)
    # Tokens without the other half.
    tokens = export.tokens(AGENT)
    export.usage(AGENT, moment(2, 9, 41), export.correlation_id(), tokens)
    export.bill(AGENT, moment(2, 9, 41), tokens)
    # Lines delivered twice, at once and an hour later, and the other half twice.
    for deployment, at, later in (
        (CHAT, moment(0, 14, 8), timedelta(0)),
        (CHAT_MINI, moment(1, 9, 17), timedelta(hours=1)),
        (EMBED, moment(3, 14, 3), timedelta(hours=1)),
    ):
        correlation_id, tokens = export.correlation_id(), export.tokens(deployment)
        export.status(deployment.account, at, correlation_id, deployment.operation, deployment)
        file = export.usage(deployment, at, correlation_id, tokens)
        export.copy_last_line(file, later)
        export.copy_last_line(file.replace(USAGE.lower(), STATUS.lower()))
        export.ledger.rows["joined"] += 1
        export.bill(deployment, at, tokens)
    # A stream writes a row before its first token; the larger one counts, and the contradiction is reported.
    correlation_id, at = export.correlation_id(), moment(2, 22, 10)
    export.status(SWEDEN, at, correlation_id, CHAT_UPGRADED.operation, CHAT_UPGRADED)
    export.usage(CHAT_UPGRADED, at, correlation_id, Tokens(940, 0))
    export.usage(CHAT_UPGRADED, at + timedelta(seconds=6), correlation_id, Tokens(940, 388))
    export.ledger.rows.update(duplicates=1, joined=1, conflicts=1)
    export.bill(CHAT_UPGRADED, at, Tokens(940, 388))


def other_traps(export: Export) -> None:
    """Write what is not billed, what cannot be known, and what is no call."""
    # A throttled call: an instant 200 without a model, then the real 429. And one that is logged plainly.
    correlation_id, at = export.correlation_id(), moment(1, 9, 30)
    export.status(SWEDEN, at, correlation_id, CHAT.operation, None, 200, 0)
    export.status(SWEDEN, at + timedelta(seconds=5), correlation_id, CHAT.operation, CHAT, 429, 5_369)
    export.ledger.rows["joined"] += 1
    export.ledger.add(SWEDEN, at, CHAT, not_billed=1)
    refused: Iterable[tuple[Account, datetime, str, Deployment | None, int]] = (
        (EASTUS2, moment(0, 14, 1), CHAT_MINI.operation, CHAT_MINI, 429),
        (EASTUS2, moment(2, 9, 2), FAST.operation, FAST, 500),
        (FRANCE, moment(3, 9, 9), CHAT_FRANCE.operation, None, 401),
        (SWEDEN, moment(0, 9, 1), "Create_Thread", None, 200),
        (SWEDEN, moment(0, 9, 2), "Files_List", None, 200),
    )
    for account, at, operation, deployment, status in refused:
        export.status(account, at, export.correlation_id(), operation, deployment, status)
        export.ledger.add(account, at, deployment, not_billed=1)
    # Served, and no tokens logged: images, and a call whose other half never came.
    unknown = ((IMAGES, moment(0, 14, 30)), (IMAGES, moment(3, 14, 31)), (CHAT_FRANCE, moment(2, 14, 5)))
    for deployment, at in unknown:
        export.status(deployment.account, at, export.correlation_id(), deployment.operation, deployment)
        export.ledger.add(deployment.account, at, deployment, unmetered=1)
    # Categories that say nothing of usage.
    for category, operation in (("Audit", "ListKeys"), ("Trace", "Trace")):
        record = {
            "time": stamp(moment(1, 9, 0)) + "Z",
            "resourceId": SWEDEN.id.upper(),
            "category": category,
            "operationName": operation,
            "correlationId": export.correlation_id(),
            "resultSignature": "200",
            "callerIpAddress": "192.0.2.***",
            "location": SWEDEN.region,
        }
        export.write(SWEDEN, moment(1, 9, 0), record)
        export.ledger.rows["ignored"] += 1


def unfinished_line(export: Export) -> None:
    """Write a call in an hour that is still open: the line with its tokens breaks off."""
    at = moment(3, 23, 50)
    correlation_id = export.correlation_id()
    export.status(EASTUS2, at, correlation_id, FAST.operation, FAST)
    tokens = export.tokens(FAST)
    file = export.usage(FAST, at, correlation_id, tokens)
    export.charge(FAST, at, tokens)
    written, line = export.files[file].pop()
    export.files[file].append((written, line[: len(line) // 2]))
    export.unfinished = file
    export.ledger.rows["rejected"] += 1
    export.ledger.add(EASTUS2, at, FAST, unmetered=1)


def bill_beside_the_log(export: Export) -> None:
    """Bill what the log does not tell: images, time, calls without tokens, another day and another service."""
    for day in range(DAYS):
        export.bill_meter(moment(day, 0, 0), EASTUS2, PTU, 15 * 24)
        export.bill_meter(moment(day, 0, 0), SWEDEN, HOSTING, 24)
        export.bill_meter(moment(day, 0, 0), SWEDEN, STORAGE, 10)
    for day in (0, 3):
        export.bill_meter(moment(day, 14, 30), SWEDEN, IMAGE, 1)
    export.charge(CHAT_FRANCE, moment(2, 14, 5), Tokens(2_100, 340))
    export.charge(CHAT, moment(-1, 12, 0), Tokens(18_000, 2_400))
    export.bill_meter(moment(3, 12, 0), SWEDEN, BILLED_BY[EMBED][0], -1_000, "Refund")


def history_text() -> str:
    """Return the table of what was used day by day, as CSV."""
    # In whole numbers throughout, so that it is the same on every machine.
    noise = random.Random(SEED)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (
            *("date", "resource", "deployment", "model", "version", "calls"),
            *("prompt_tokens", "cached_tokens", "completion_tokens"),
        )
    )
    for number in range(HISTORY_DAYS):
        day = HISTORY_FROM + timedelta(days=number)
        for habit in HABITS:
            calls = habit.calls * WEEKDAYS_PERCENT[day.weekday()] // 100
            calls = calls * (1_000 + GROWTH_PERMILLE_PER_DAY * number) // 1_000
            calls = calls * (1_000 + sum(noise.randrange(-80, 81) for _ in range(3))) // 1_000
            if day == CAMPAIGN and habit.deployment is CHAT_UPGRADED:
                calls = calls * CAMPAIGN_PERCENT // 100
            if number == HISTORY_DAYS - 1:
                calls = calls * LAST_DAY_PERCENT // 100
            prompt = calls * habit.prompt_tokens * noise.randrange(970, 1_031) // 1_000
            cached = "" if habit.cached_percent is None else prompt * habit.cached_percent // 100
            one = habit.deployment
            writer.writerow(
                (
                    *(f"{day:%Y-%m-%d}", one.account.name, one.name, one.model, one.version, calls),
                    *(prompt, cached, calls * habit.completion_tokens),
                )
            )
    return out.getvalue()


def write(folder: Path) -> None:
    """Write the log, the ledger, the bill and the history into a folder; a ``logs/`` that is there is replaced."""
    export = Export()
    steady_traffic(export)
    billed_traps(export)
    other_traps(export)
    unfinished_line(export)
    bill_beside_the_log(export)
    export.save(folder)
    (folder / "history.csv").write_bytes(history_text().encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
