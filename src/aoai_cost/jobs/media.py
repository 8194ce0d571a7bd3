"""Images by size and quality, speech by its characters, transcription by the time of the audio."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from types import MappingProxyType
from typing import Any

from ..catalog import IMAGE_VARIANTS, Deployment, get_model
from ..errors import RequestError, shorten
from ..prices import PriceBook
from ..usage import MeterKey, Usage
from .job import Job, JobEstimate, seconds, whole_number

__all__ = ["estimate_image_generation", "estimate_speech", "estimate_transcription"]

# Output tokens of one image (OpenAI's image generation guide, as in token-rules, section 7, source 13). Recorded edits
# of gpt-image-1.5 agree: 272 for a square of low quality, and 1,056 where neither size nor quality was asked for.
_IMAGE_TOKENS: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        ("low", "1024x1024"): 272,
        ("low", "1024x1536"): 408,
        ("low", "1536x1024"): 400,
        ("medium", "1024x1024"): 1056,
        ("medium", "1024x1536"): 1584,
        ("medium", "1536x1024"): 1568,
        ("high", "1024x1024"): 4160,
        ("high", "1024x1536"): 6240,
        ("high", "1536x1024"): 6208,
    }
)
_BY_IMAGE_TOKENS = ("gpt-image-1", "gpt-image-1-mini", "gpt-image-1.5")
# The three recorded answers have 143, 262 and 308 text tokens beside those of the image.
_WRITES_TEXT = ("gpt-image-1.5",)
_IMAGE_OUT = MeterKey("output", "image")

_BY_CHARACTER = ("tts", "tts-hd")
# OpenAI's reference of audio/speech: the longest input of one request.
_MOST_SPEECH_CHARACTERS = 4096
_BY_AUDIO_TIME = ("whisper",)
_BY_AUDIO_TOKENS = ("gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize")
# Audio that is heard: one token for each 100 ms (token-rules, section 7, source 12).
_AUDIO_TOKENS_PER_SECOND = 10


def estimate_image_generation(
    deployment: Deployment,
    *,
    size: str,
    quality: str,
    n: int = 1,
    prices: PriceBook | None = None,
    on: date | None = None,
) -> JobEstimate:
    """Price images that are to be generated.

    DALL-E is priced by the image. gpt-image-1, -1-mini and -1.5 are priced by the output tokens of OpenAI's table of
    sizes and qualities; the tokens of the prompt, and of images to be edited, come on top and make it a lower bound.

    Parameters
    ----------
    deployment : Deployment
        What draws.
    size : str
        As in the request: ``1024x1024``; ``auto`` of gpt-image models takes the largest, and the smallest for ``low``.
    quality : str
        As in the request: ``standard`` or ``hd`` of DALL-E; ``low``, ``medium``, ``high`` or ``auto`` of gpt-image.
    n : int
        How many images, of all requests.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    on : date, optional
        The day whose prices count; by default today in UTC.

    Raises
    ------
    RequestError
        For a size, quality or number that the model does not take, and for a model whose tokens nobody publishes.
    MissingPriceError
        If the price is not known.

    Examples
    --------
    >>> draw = Deployment("contoso", "draw", "dall-e-3", version="3.0", sku="Standard", region="eastus")
    >>> estimate_image_generation(draw, size="1792x1024", quality="hd", n=10, on=date(2026, 3, 2)).amount
    Decimal('1.320')
    """
    images = whole_number("n", n)
    model = get_model(deployment.model, deployment.version)
    job = Job(deployment, prices, on)
    if model.name in IMAGE_VARIANTS:
        variants = IMAGE_VARIANTS[model.name]
        if (quality, size) not in variants:
            raise _no_such_image(model.name, quality, size, variants)
        drawn = Usage({MeterKey("image", variant=variants[quality, size]): images})
        return JobEstimate(**job.facts(drawn, drawn, drawn))
    if model.name not in _BY_IMAGE_TOKENS:
        reason = f"{model.name!r} ({model.kind}) draws no images"
        if model.kind == "image":
            reason = f"no formula is public for the tokens of an image of {model.name!r}; OpenAI has a calculator alone"
        raise RequestError("model", reason)
    tokens = [
        count
        for (one_quality, one_size), count in _IMAGE_TOKENS.items()
        if quality in ("auto", one_quality) and size in ("auto", one_size)
    ]
    if not tokens:
        raise _no_such_image(model.name, quality, size, _IMAGE_TOKENS)
    low, high = (Usage({_IMAGE_OUT: images * one}) for one in (min(tokens), max(tokens)))
    if low != high:
        job.note(
            f"auto leaves it to the model: an image has {min(tokens):,} to {max(tokens):,} tokens, "
            "and the cost is that of the most"
        )
    job.note("the tokens of the prompt, and of images to be edited, are billed as input and are not counted here")
    if model.name in _WRITES_TEXT:
        job.note(f"{model.name} also writes text, seen as 143 to 308 output tokens for each request, not counted here")
    return JobEstimate(**job.facts(high, low, None))


def _no_such_image(model: str, quality: str, size: str, known: Mapping[tuple[str, str], Any]) -> RequestError:
    qualities = dict.fromkeys(one for one, _ in known)
    sizes = dict.fromkeys(one for _, one in known)
    field, found, allowed = ("quality", quality, qualities) if quality not in qualities else ("size", size, sizes)
    return RequestError(field, f"{model} takes {', '.join(allowed)}; found {shorten(found)}")


def estimate_speech(
    text: str, deployment: Deployment, *, prices: PriceBook | None = None, on: date | None = None
) -> JobEstimate:
    """Price a text that is to be spoken by a model that is billed by the character (tts, tts-hd).

    Characters are taken as Unicode's code points, blanks included. Azure's own voices bill each Chinese character as
    two (learn.microsoft.com, text to speech, "pricing note"); whether these models do so is not documented, so a text
    with such characters has a range.

    Parameters
    ----------
    text : str
        What is to be said; for a longer job, all of it.
    deployment : Deployment
        What speaks.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    on : date, optional
        The day whose prices count; by default today in UTC.

    Raises
    ------
    RequestError
        For a model that does not speak, or is billed by the tokens of its audio, whose length nobody knows before.
    MissingPriceError
        If the price is not known.

    Examples
    --------
    >>> voice = Deployment("contoso", "voice", "tts", version="001", sku="GlobalStandard", region="swedencentral")
    >>> estimate_speech("How much is the fish?", voice, on=date(2026, 9, 1)).amount
    Decimal('0.000315')
    """
    if not isinstance(text, str):
        raise RequestError("text", f"must be a text, not {type(text).__name__}")
    model = get_model(deployment.model, deployment.version)
    if model.name not in _BY_CHARACTER:
        reason = f"{model.name!r} ({model.kind}) is not billed by the characters that it says"
        if model.kind == "speech":
            reason += ", but by the tokens of its audio, whose length is known when it was said"
        raise RequestError("model", reason)
    job = Job(deployment, prices, on)
    key = MeterKey("character")
    job.require(key)
    doubled = sum(map(_is_chinese, text))
    spoken, most = Usage({key: len(text)}), Usage({key: len(text) + doubled})
    if doubled:
        job.note(f"{doubled:,} Chinese characters may count as two each, as they do for Azure's own voices")
    if len(text) > _MOST_SPEECH_CHARACTERS:
        job.note(f"one request takes at most {_MOST_SPEECH_CHARACTERS:,} characters; this text takes several")
    return JobEstimate(**job.facts(spoken, spoken, most))


def _is_chinese(character: str) -> bool:
    return (
        "\u3400" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\U00020000" <= character <= "\U0003ffff"
    )


def estimate_transcription(
    duration_s: float | Decimal | Fraction,
    deployment: Deployment,
    *,
    prices: PriceBook | None = None,
    on: date | None = None,
) -> JobEstimate:
    """Price the transcription of one audio file.

    Whisper is billed by time, and how it is rounded is not documented: the estimate takes whole seconds begun; the
    bounds run from the nearest second to the next minute, which is what those who say anything say. The transcribing
    gpt-4o models are billed by tokens: 10 for each second heard; the text that they write comes on top.

    Parameters
    ----------
    duration_s : float, int, Decimal or Fraction
        The length of the audio.
    deployment : Deployment
        What listens.
    prices : PriceBook, optional
        By default `PriceBook.current`.
    on : date, optional
        The day whose prices count; by default today in UTC.

    Raises
    ------
    RequestError
        For another length, or a model that does not transcribe or whose tokens nobody publishes.
    MissingPriceError
        If a price is not known.

    Examples
    --------
    >>> ears = Deployment("contoso", "ears", "whisper", version="001", sku="GlobalStandard", region="swedencentral")
    >>> job = estimate_transcription(90.5, ears, on=date(2026, 9, 1))
    >>> job.amount, job.low, job.high
    (Decimal('0.0091'), Decimal('0.0091'), Decimal('0.012'))
    """
    length = seconds("duration_s", duration_s)
    model = get_model(deployment.model, deployment.version)
    job = Job(deployment, prices, on)
    if model.name in _BY_AUDIO_TIME:
        job.require(MeterKey("audio"))
        nearest, begun, minutes = floor(length + Fraction(1, 2)), ceil(length), 60 * ceil(length / 60)
        if nearest != minutes:
            job.note("how the time is rounded is not documented; from the nearest second up to the next minute")
        least, usage, most = (Usage({MeterKey("audio"): 1000 * one}) for one in (nearest, begun, minutes))
        return JobEstimate(**job.facts(usage, least, most))
    if model.name not in _BY_AUDIO_TOKENS:
        raise RequestError("model", f"how {model.name!r} ({model.kind}) bills a transcription is not known")
    heard = MeterKey("input", "audio")
    job.require(heard, MeterKey("output"))
    usage = Usage({heard: ceil(length * _AUDIO_TOKENS_PER_SECOND)})
    job.note("audio is taken as 10 tokens a second, as documented for realtime models")
    job.note("the text that is written, and a prompt, are billed as text tokens and are not counted here")
    return JobEstimate(**job.facts(usage, usage, None))
