"""What a name means: models and deployments."""

from __future__ import annotations

from .deployments import (
    FINE_TUNED,
    SKUS,
    TIERS,
    Alias,
    Deployment,
    Deployments,
    arm_region,
    listed_name,
    same_resource,
    tier_of,
)
from .deployments_file import Examination, deployments_toml, examine_deployments, read_deployments
from .models import ChatRule, DetailLevel, ImageRule, Model, get_model, is_fine_tuned, list_models, split_model_name

__all__ = [
    "FINE_TUNED",
    "SKUS",
    "TIERS",
    "Alias",
    "ChatRule",
    "Deployment",
    "Deployments",
    "DetailLevel",
    "Examination",
    "ImageRule",
    "Model",
    "arm_region",
    "deployments_toml",
    "examine_deployments",
    "get_model",
    "is_fine_tuned",
    "list_models",
    "listed_name",
    "read_deployments",
    "same_resource",
    "split_model_name",
    "tier_of",
]
