"""What a name means: models and deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .deployments import (
    FINE_TUNED,
    SKUS,
    TIERS,
    Alias,
    Deployment,
    Deployments,
    account_of_host,
    arm_region,
    arm_resource,
    listed_name,
    same_resource,
    tier_of,
)
from .drawings import IMAGE_VARIANTS, image_variant
from .models import (
    ChatRule,
    DetailLevel,
    ImageRule,
    Model,
    SchemaRule,
    ServiceText,
    ToolForm,
    ToolRule,
    find_model,
    get_model,
    is_fine_tuned,
    list_models,
    split_model_name,
)

if TYPE_CHECKING:
    from .deployments_file import Examination, deployments_toml, examine_deployments, read_deployments

__all__ = [
    "FINE_TUNED",
    "IMAGE_VARIANTS",
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
    "SchemaRule",
    "ServiceText",
    "ToolForm",
    "ToolRule",
    "account_of_host",
    "arm_region",
    "arm_resource",
    "deployments_toml",
    "examine_deployments",
    "find_model",
    "get_model",
    "image_variant",
    "is_fine_tuned",
    "list_models",
    "listed_name",
    "read_deployments",
    "same_resource",
    "split_model_name",
    "tier_of",
]

_OF_FILES = ("Examination", "deployments_toml", "examine_deployments", "read_deployments")


def __getattr__(name: str) -> Any:
    # The readers of files are for those who have one: a price does without them.
    if name not in _OF_FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import deployments_file

    return getattr(deployments_file, name)
