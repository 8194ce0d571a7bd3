"""How price lists name the images of models that are paid by the image."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["IMAGE_VARIANTS", "image_variant"]

IMAGE_VARIANTS: Mapping[str, Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        # Azure has one price for all sizes of DALL-E 2.
        "dall-e-2": MappingProxyType({("standard", size): "any_size" for size in ("256x256", "512x512", "1024x1024")}),
        # Per image (azure.microsoft.com/pricing/details/cognitive-services/openai-service): the square has the lower
        # and both oblong sizes the higher price of each quality; the meters call that low and high resolution.
        "dall-e-3": MappingProxyType(
            {
                ("standard", "1024x1024"): "std_low_res",
                ("standard", "1024x1792"): "std_high_res",
                ("standard", "1792x1024"): "std_high_res",
                ("hd", "1024x1024"): "hd_low_res",
                ("hd", "1024x1792"): "hd_high_res",
                ("hd", "1792x1024"): "hd_high_res",
            }
        ),
    }
)
"""The variant of each (quality, size), by model."""


def image_variant(model: str | None, quality: str | None, size: str | None) -> str:
    """Return the variant of an image of which not everything need be known; empty where more than one fits.

    Examples
    --------
    >>> image_variant("dall-e-3", "hd", "1024x1792"), image_variant("dall-e-3", None, "1024x1024")
    ('hd_high_res', '')
    """
    fitting = {
        variant
        for name, variants in IMAGE_VARIANTS.items()
        for told, variant in variants.items()
        if model in (None, name) and quality in (None, told[0]) and size in (None, told[1])
    }
    return fitting.pop() if len(fitting) == 1 else ""
