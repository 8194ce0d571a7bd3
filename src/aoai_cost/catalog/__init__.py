"""What a name means: models and deployments."""

from __future__ import annotations

from .deployments import SKUS, TIERS, Deployment, Deployments, read_deployments
from .models import ChatRule, DetailLevel, ImageRule, Model, get_model, is_fine_tuned, list_models, split_model_name

__all__ = [
    "SKUS",
    "TIERS",
    "ChatRule",
    "Deployment",
    "Deployments",
    "DetailLevel",
    "ImageRule",
    "Model",
    "get_model",
    "is_fine_tuned",
    "list_models",
    "read_deployments",
    "split_model_name",
]
