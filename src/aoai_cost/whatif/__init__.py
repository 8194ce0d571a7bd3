"""What a log would have cost, had things been otherwise."""

from .change import Change
from .changes import (
    CacheShare,
    ContractDiscount,
    Growth,
    MoveRegion,
    MoveSku,
    PriceAsOf,
    ScaleVolume,
    ServiceTier,
    UseBatch,
)
from .comparison import Comparison, compare, what_if
from .ptu import BuyPtu
from .single_calls import CapOutput, DownscaleImages, SwapModel

__all__ = [
    "BuyPtu",
    "CacheShare",
    "CapOutput",
    "Change",
    "Comparison",
    "ContractDiscount",
    "DownscaleImages",
    "Growth",
    "MoveRegion",
    "MoveSku",
    "PriceAsOf",
    "ScaleVolume",
    "ServiceTier",
    "SwapModel",
    "UseBatch",
    "compare",
    "what_if",
]
