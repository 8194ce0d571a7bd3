"""Know the Azure OpenAI bill before the request is sent, and explain it after.

The public names load on first use: importing the package, or counting a text, loads neither pandas nor
anything else that it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    AoaiCostError,
    BillError,
    BudgetExceeded,
    DeploymentsError,
    ImageError,
    LedgerError,
    LogFormatError,
    MissingExtraError,
    MissingPriceError,
    PriceSheetError,
    RefreshError,
    RequestError,
    UnknownNameError,
    UsageFormatError,
    VocabularyError,
)
from .usage import MeterKey, Usage
from .version import __version__

if TYPE_CHECKING:
    from .billing import Bill, Reconciliation, read_bill, reconcile
    from .catalog import Alias, Deployment, Deployments, Model, get_model, list_models, read_deployments
    from .client import Budget, watch
    from .estimate import Estimate, estimate_request
    from .jobs import (
        EmbeddingsEstimate,
        JobEstimate,
        TrainingEstimate,
        estimate_embeddings,
        estimate_image_generation,
        estimate_reinforcement,
        estimate_speech,
        estimate_training,
        estimate_transcription,
    )
    from .logs import UsageLog, read_usage
    from .prices import (
        Cost,
        PriceBook,
        PriceChange,
        PtuCost,
        PtuParameters,
        PtuSize,
        PtuTerm,
        Rate,
        Refresh,
        Spillover,
        Traffic,
        list_ptu_parameters,
        price_changes,
        price_ptu,
        refresh_prices,
        size_ptu,
    )
    from .render import write_report
    from .report import CostReport, cost_report
    from .tokens import (
        Count,
        CountLine,
        Encoding,
        count_audio_tokens,
        count_image_tokens,
        count_image_tokens_batch,
        count_request,
        count_tokens,
        count_tokens_batch,
        encoding_for_model,
        encoding_name_for_model,
        get_encoding,
        image_size,
        list_encoding_names,
    )

_ROOMS = {
    "billing": ("Bill", "Reconciliation", "read_bill", "reconcile"),
    "catalog": ("Alias", "Deployment", "Deployments", "Model", "get_model", "list_models", "read_deployments"),
    "client": ("Budget", "watch"),
    "estimate": ("Estimate", "estimate_request"),
    "jobs": (
        "EmbeddingsEstimate",
        "JobEstimate",
        "TrainingEstimate",
        "estimate_embeddings",
        "estimate_image_generation",
        "estimate_reinforcement",
        "estimate_speech",
        "estimate_training",
        "estimate_transcription",
    ),
    "logs": ("UsageLog", "read_usage"),
    "notebook": ("load_ipython_extension",),
    "prices": (
        "Cost",
        "PriceBook",
        "PriceChange",
        "PtuCost",
        "PtuParameters",
        "PtuSize",
        "PtuTerm",
        "Rate",
        "Refresh",
        "Spillover",
        "Traffic",
        "list_ptu_parameters",
        "price_changes",
        "price_ptu",
        "refresh_prices",
        "size_ptu",
    ),
    "render": ("write_report",),
    "report": ("CostReport", "cost_report"),
    "tokens": (
        "Count",
        "CountLine",
        "Encoding",
        "count_audio_tokens",
        "count_image_tokens",
        "count_image_tokens_batch",
        "count_request",
        "count_tokens",
        "count_tokens_batch",
        "encoding_for_model",
        "encoding_name_for_model",
        "get_encoding",
        "image_size",
        "list_encoding_names",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Alias",
    "AoaiCostError",
    "Bill",
    "BillError",
    "Budget",
    "BudgetExceeded",
    "Cost",
    "CostReport",
    "Count",
    "CountLine",
    "Deployment",
    "Deployments",
    "DeploymentsError",
    "EmbeddingsEstimate",
    "Encoding",
    "Estimate",
    "ImageError",
    "JobEstimate",
    "LedgerError",
    "LogFormatError",
    "MeterKey",
    "MissingExtraError",
    "MissingPriceError",
    "Model",
    "PriceBook",
    "PriceChange",
    "PriceSheetError",
    "PtuCost",
    "PtuParameters",
    "PtuSize",
    "PtuTerm",
    "Rate",
    "Reconciliation",
    "Refresh",
    "RefreshError",
    "RequestError",
    "Spillover",
    "Traffic",
    "TrainingEstimate",
    "UnknownNameError",
    "Usage",
    "UsageFormatError",
    "UsageLog",
    "VocabularyError",
    "__version__",
    "cost_report",
    "count_audio_tokens",
    "count_image_tokens",
    "count_image_tokens_batch",
    "count_request",
    "count_tokens",
    "count_tokens_batch",
    "encoding_for_model",
    "encoding_name_for_model",
    "estimate_embeddings",
    "estimate_image_generation",
    "estimate_reinforcement",
    "estimate_request",
    "estimate_speech",
    "estimate_training",
    "estimate_transcription",
    "get_encoding",
    "get_model",
    "image_size",
    "list_encoding_names",
    "list_models",
    "list_ptu_parameters",
    "price_changes",
    "price_ptu",
    "read_bill",
    "read_deployments",
    "read_usage",
    "reconcile",
    "refresh_prices",
    "size_ptu",
    "watch",
    "write_report",
]


def __getattr__(name: str) -> Any:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{room}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
