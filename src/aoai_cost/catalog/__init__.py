"""What a name means: models and deployments."""

from __future__ import annotations

from .deployments import (
    FINE_TUNED,
    SKUS,
    TIERS,
    Deployment,
    Deployments,
    arm_region,
    listed_name,
    read_deployments,
    tier_of,
)
from .models import ChatRule, DetailLevel, ImageRule, Model, get_model, is_fine_tuned, list_models, split_model_name

__all__ = [
    "FINE_TUNED",
    "SKUS",
    "TIERS",
    "ChatRule",
    "Deployment",
    "Deployments",
    "DetailLevel",
    "ImageRule",
    "Model",
    "arm_region",
    "get_model",
    "is_fine_tuned",
    "list_models",
    "listed_name",
    "read_deployments",
    "split_model_name",
    "tier_of",
]
