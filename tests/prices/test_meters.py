"""Names of meters: every rule of the grammar, its traps, and what must hold for any text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_texts

from aoai_cost.catalog import FINE_TUNED, SKUS, TIERS, list_models
from aoai_cost.prices.book import PriceBook
from aoai_cost.prices.meters import MeterReading, read_meter_name, read_unit
from aoai_cost.prices.rows import ANY_MODEL, UNITS, PriceRow
from aoai_cost.usage import METER_UNITS

BLANK = {
    "version": "",
    "tier": "default",
    "band": "",
    "fine_tuned": "",
    "modality": "",
    "variant": "",
    "unmatched": "",
}
NAMES = sorted({model.name for model in list_models()})


def read(name: str, unit: str = "1K", product: str = "Azure OpenAI") -> MeterReading:
    return read_meter_name(product, name, unit)


READ: list[Any] = [
    # Scopes and spellings
    pytest.param(
        "gpt 4o 1120 cached Inp glbl Tokens",
        "1K",
        {"model": "gpt-4o", "version": "2024-11-20", "sku": "GlobalStandard", "meter": "cached_input"},
        id="a date picks the version",
    ),
    pytest.param(
        "5.1 codex cd inp Dz 1M Tokens",
        "1M",
        {"model": "gpt-5.1-codex", "version": "2025-11-13", "sku": "DataZoneStandard", "meter": "cached_input"},
        id="gpt is left out",
    ),
    pytest.param(
        "gpt 4o mini0718 BatchOutp DataZone Tokens",
        "1K",
        {
            "model": "gpt-4o-mini",
            "version": "2024-07-18",
            "sku": "DataZoneBatch",
            "tier": "batch",
            "meter": "output",
        },
        id="words are written onto each other",
    ),
    pytest.param(
        "gpt 4.1 Outp regnl Tokens",
        "1K",
        {"model": "gpt-4.1", "version": "2025-04-14", "sku": "Standard", "meter": "output"},
        id="regnl is a regional deployment",
    ),
    pytest.param(
        "5.3 codex pp opt Gl 1M Tokens",
        "1M",
        {
            "model": "gpt-5.3-codex",
            "version": "2026-02-24",
            "sku": "GlobalStandard",
            "tier": "priority",
            "meter": "output",
        },
        id="pp is priority processing",
    ),
    pytest.param(
        "5.6 terra LongCo Inp Flex Gl 1M Tokens",
        "1M",
        {
            "model": "gpt-5.6-terra",
            "version": "2026-07-09",
            "sku": "GlobalStandard",
            "tier": "flex",
            "band": "long",
            "meter": "input",
        },
        id="flex is a tier",
    ),
    pytest.param(
        "5.6 luna ShortCo Cd Wr Std DZ 1M Tokens",
        "1M",
        {
            "model": "gpt-5.6-luna",
            "version": "2026-07-09",
            "sku": "DataZoneStandard",
            "band": "short",
            "meter": "cache_write",
        },
        id="cd wr is a cache write and std the default tier",
    ),
    pytest.param(
        "gpt-5-codex-ccchd-inp-glbl Tokens",
        "1K",
        {"model": "gpt-5-codex", "version": "2025-09-15", "sku": "GlobalStandard", "meter": "cached_input"},
        id="letters are doubled by mistake",
    ),
    # Models
    pytest.param(
        "gpt-4o-rt-aud-1217 Inp glbl Tokens",
        "1K",
        {
            "model": "gpt-4o-realtime-preview",
            "version": "2024-12-17",
            "sku": "GlobalStandard",
            "meter": "input",
            "modality": "audio",
        },
        id="preview is left out and aud is the modality",
    ),
    pytest.param(
        "gpt4omini-aud1217-txt Outp regnl Tokens",
        "1K",
        {
            "model": "gpt-4o-mini-audio-preview",
            "version": "2024-12-17",
            "sku": "Standard",
            "meter": "output",
            "modality": "text",
        },
        id="aud is the model beside txt",
    ),
    pytest.param(
        "gpt aud 0828 Inp DZone Tokens",
        "1K",
        {
            "model": "gpt-audio",
            "version": "2025-08-28",
            "sku": "DataZoneStandard",
            "meter": "input",
            "modality": "audio",
        },
        id="an audio model that names no modality is metered in audio",
    ),
    pytest.param(
        "gpt img 1.5 in cd img DZ 1M Tokens",
        "1M",
        {
            "model": "gpt-image-1.5",
            "version": "2025-12-16",
            "sku": "DataZoneStandard",
            "meter": "cached_input",
            "modality": "image",
        },
        id="img is once the model and once the modality",
    ),
    pytest.param(
        "gpt4o mn trscb txt out rg 1215 1M Tokens",
        "1M",
        {
            "model": "gpt-4o-mini-transcribe",
            "version": "2025-12-15",
            "sku": "Standard",
            "meter": "output",
            "modality": "text",
        },
        id="a model's name is abbreviated",
    ),
    pytest.param(
        "gpt 4o tcrb d aud inp dz Tokens",
        "1K",
        {
            "model": "gpt-4o-transcribe-diarize",
            "version": "2025-10-15",
            "sku": "DataZoneStandard",
            "meter": "input",
            "modality": "audio",
        },
        id="d is diarize and dz is not",
    ),
    pytest.param(
        "o3 deep rsrch cchd inp glbl Tokens",
        "1K",
        {
            "model": "o3-deep-research",
            "version": "2025-06-26",
            "sku": "GlobalStandard",
            "meter": "cached_input",
        },
        id="a reasoning model begins with o",
    ),
    pytest.param(
        "comp use prvw outp glbl Tokens",
        "1K",
        {"model": "computer-use-preview", "version": "2025-03-11", "sku": "GlobalStandard", "meter": "output"},
        id="every word of the model is abbreviated",
    ),
    pytest.param(
        "gpt41 nano Inp glbl Tokens",
        "1K",
        {"model": "gpt-4.1-nano", "version": "2025-04-14", "sku": "GlobalStandard", "meter": "input"},
        id="a number lost its point",
    ),
    pytest.param(
        "text embedding 3 small DZ Tokens",
        "1K",
        {"model": "text-embedding-3-small", "version": "1", "sku": "DataZoneStandard", "meter": "input"},
        id="embeddings have input alone",
    ),
    pytest.param(
        "embedding-ada-glbl Tokens",
        "1K",
        {"model": "text-embedding-ada-002", "version": "2", "sku": "GlobalStandard", "meter": "input"},
        id="text and 002 are left out",
    ),
    pytest.param(
        "gpt-oss-120B Outp DZone Tokens",
        "1K",
        {"model": "gpt-oss-120b", "version": "1", "sku": "DataZoneStandard", "meter": "output"},
        id="120B is a part of the name and 1M is not",
    ),
    pytest.param(
        "gpt-chat-latest 06242026 inp Gl 1M Tokens",
        "1M",
        {"model": "gpt-chat-latest", "version": "2026-06-24", "sku": "GlobalStandard", "meter": "input"},
        id="a date has the year last",
    ),
    pytest.param(
        "gpt 4o 2024-08-06 Inp glbl Tokens",
        "1K",
        {"model": "gpt-4o", "version": "2024-08-06", "sku": "GlobalStandard", "meter": "input"},
        id="a date is written as the version is",
    ),
    # Versions without a date
    pytest.param(
        "gpt-4-8K-Input-regional Tokens",
        "1K",
        {"model": "gpt-4", "version": "0613", "sku": "Standard", "meter": "input"},
        id="8K is the plain gpt-4",
    ),
    pytest.param(
        "gpt-4-turbo-Vision-128K Outp-glbl Tokens",
        "1K",
        {"model": "gpt-4", "version": "vision-preview", "sku": "GlobalStandard", "meter": "output"},
        id="vision is a version of gpt-4",
    ),
    pytest.param(
        "gpt-4-turbo128K Inp-glbl Tokens",
        "1K",
        {"model": "gpt-4", "version": "turbo-2024-04-09", "sku": "GlobalStandard", "meter": "input"},
        id="turbo is a version of gpt-4",
    ),
    pytest.param(
        "gpt aud mini txt Inp glbl Tokens",
        "1K",
        {
            "model": "gpt-audio-mini",
            "version": "2025-10-06",
            "sku": "GlobalStandard",
            "meter": "input",
            "modality": "text",
        },
        id="an undated meter of a media model is its first version's too",
    ),
    pytest.param(
        "GPT 5.2 chat opt Dz 1M Tokens",
        "1M",
        {"model": "gpt-5.2-chat", "version": "2025-12-11", "sku": "DataZoneStandard", "meter": "output"},
        id="an undated meter is the first version's",
    ),
    pytest.param(
        "GPT 5 Chat outpt Glbl 1M Tokens",
        "1M",
        {"model": "gpt-5-chat", "sku": "GlobalStandard", "meter": "output"},
        id="an undated meter that several versions share",
    ),
    pytest.param(
        "GPT 5 Chat 1003 outpt Glbl 1M Tokens",
        "1M",
        {"model": "gpt-5-chat", "version": "2025-10-03", "sku": "GlobalStandard", "meter": "output"},
        id="a date still picks one of them",
    ),
    pytest.param(
        "gpt-35-turbo-16K-0125 Input-regional Tokens",
        "1K",
        {"model": "gpt-35-turbo", "version": "0125", "sku": "Standard", "meter": "input"},
        id="a date decides which model 16K is",
    ),
    pytest.param(
        "gpt-35-turbo-16k-Input-regional Tokens",
        "1K",
        {"model": "gpt-35-turbo-16k", "version": "0613", "sku": "Standard", "meter": "input"},
        id="16K without a date is a model of its own",
    ),
    pytest.param(
        "gpt-35-trb16K-Batch-125-Inp-glbl Tokens",
        "1K",
        {"model": "gpt-35-turbo", "version": "0125", "sku": "GlobalBatch", "tier": "batch", "meter": "input"},
        id="a date lost its nought",
    ),
    pytest.param(
        "o1 Batch Inp glbl Tokens",
        "1K",
        {"model": "o1-preview", "version": "2024-09-12", "sku": "GlobalBatch", "tier": "batch", "meter": "input"},
        id="a name means another model for one use alone",
    ),
    pytest.param(
        "gpt4o realtimePrvwAudOutp DataZone Tokens",
        "1K",
        {
            "model": "gpt-4o-realtime-preview",
            "version": "2024-10-01",
            "sku": "DataZoneStandard",
            "meter": "output",
            "modality": "audio",
        },
        id="a capital begins a word",
    ),
    # Fine-tuning
    pytest.param(
        "gpt 4o dev ft training glbl Tokens",
        "1K",
        {
            "model": "gpt-4o",
            "version": "2024-08-06",
            "sku": "DeveloperTier",
            "fine_tuned": "dev_ft",
            "meter": "training",
        },
        id="the one version that can be tuned",
    ),
    pytest.param(
        "o4 mini dev RFT Training glb Unit",
        "1 Hour",
        {
            "model": "o4-mini",
            "version": "2025-04-16",
            "sku": "DeveloperTier",
            "fine_tuned": "dev_rft",
            "meter": "training_time",
        },
        id="training by the hour",
    ),
    pytest.param(
        "OSS 20b FT DZ Deployment Hosting Unit",
        "1/Hour",
        {"model": "gpt-oss-20b", "sku": "DataZoneStandard", "fine_tuned": "ft", "meter": "hosting"},
        id="hosting by the hour",
    ),
    pytest.param(
        "20b FT regnl Tokens",
        "1K",
        {"model": "gpt-oss-20b", "sku": "Standard", "fine_tuned": "ft", "meter": "training"},
        id="tuned tokens without a direction are training",
    ),
    pytest.param(
        "babbage-002-FT-Trng-glbl tkn Tokens",
        "1K",
        {"model": "babbage-002", "version": "1", "sku": "GlobalStandard", "fine_tuned": "ft", "meter": "training"},
        id="training is abbreviated",
    ),
    # Not tokens
    pytest.param(
        "Image-Dall-E-3 HD HighRes-regnl EP Images",
        "100",
        {"model": "dall-e-3", "version": "3.0", "sku": "Standard", "meter": "image", "variant": "hd_high_res"},
        id="an image has quality and size",
    ),
    pytest.param(
        "Image-Dall-E-3 Std LowRes-glbl Images",
        "100",
        {"model": "dall-e-3", "version": "3.0", "sku": "GlobalStandard", "meter": "image", "variant": "std_low_res"},
        id="std is a quality of images",
    ),
    pytest.param(
        "Image-DALL-E-2-glbl Images",
        "100",
        {"model": "dall-e-2", "version": "2.0", "sku": "GlobalStandard", "meter": "image", "variant": "any_size"},
        id="an image of any size",
    ),
    pytest.param(
        "Sora 1080p Sq 11-15s glbl Video",
        "1 Second",
        {
            "model": "sora",
            "version": "2025-05-02",
            "sku": "GlobalStandard",
            "meter": "video",
            "variant": "1080p_sq_11_15s",
        },
        id="a video has size and length",
    ),
    pytest.param(
        "Sora 2 pro high res rgnl Second",
        "1",
        {"model": "sora-2-pro-high-res", "sku": "Standard", "meter": "video"},
        id="high res belongs to the model that has it in its name",
    ),
    pytest.param(
        "Speech-Text to Speech HD-Regional Characters",
        "1M",
        {"model": "tts-hd", "version": "001", "sku": "Standard", "meter": "character"},
        id="text to speech is a model",
    ),
    pytest.param(
        "gpt-realtime-translate Opt Gl Unit",
        "1 Hour",
        {"model": "gpt-realtime-translate", "sku": "GlobalStandard", "meter": "audio"},
        id="audio by the hour",
    ),
    pytest.param(
        "Provisioned Managed Data Zone Unit",
        "1 Hour",
        {"model": ANY_MODEL, "sku": "DataZoneProvisionedManaged", "meter": "ptu"},
        id="provisioned throughput hangs on no model",
    ),
    pytest.param(
        "Code-Interpreter-glbl Session",
        "1",
        {"model": ANY_MODEL, "sku": "GlobalStandard", "meter": "session", "variant": "code_interpreter"},
        id="a tool hangs on no model",
    ),
    pytest.param(
        "file-search-tool-calls-rgnl Calls",
        "1K",
        {"model": ANY_MODEL, "sku": "Standard", "meter": "tool_call", "variant": "file_search"},
        id="calls of a tool",
    ),
    pytest.param(
        "Assistants-File Search-glbl GB",
        "1/Day",
        {"model": ANY_MODEL, "sku": "GlobalStandard", "meter": "storage", "variant": "file_search"},
        id="what a tool stores is metered by the day",
    ),
    pytest.param(
        "Speech-to-Text-Batch-Whisper-glbl Unit",
        "1 Hour",
        {"model": "whisper", "version": "001", "sku": "GlobalStandard", "meter": "audio"},
        id="batch transcription is no batch tier",
    ),
    pytest.param(
        "File-Search-Vector Storage regnl GB",
        "1 GB/Day",
        {"model": ANY_MODEL, "sku": "Standard", "meter": "storage", "variant": "file_search"},
        id="storage of file search",
    ),
    pytest.param(
        "davinci-002-base-glbl Tokens",
        "1K",
        {"model": "davinci-002", "version": "1", "sku": "GlobalStandard", "meter": "input+output"},
        id="one price for input and output",
    ),
    # Read throughout, and still no answer
    pytest.param(
        "Az-GPT-3.5-turbo Tokens",
        "1K",
        {
            "model": "gpt-35-turbo",
            "version": "0301",
            "sku": "(legacy meter, scope not stated)",
            "meter": "input+output",
            "unmatched": "the meter states no deployment type",
        },
        id="a legacy meter has one price for input and output",
    ),
    pytest.param(
        "Provisioned Throughput - Overage Unit",
        "1/Hour",
        {
            "model": ANY_MODEL,
            "sku": "Provisioned (legacy commitment model)",
            "meter": "ptu_legacy_hour",
            "unmatched": "the commitment model that came before PTU hours",
        },
        id="throughput of the past by the hour",
    ),
    pytest.param(
        "Az-Provisioned Throughput Units",
        "1/Month",
        {
            "model": ANY_MODEL,
            "sku": "(legacy meter, scope not stated)",
            "meter": "ptu_legacy_month",
            "unmatched": "the commitment model that came before PTU hours",
        },
        id="throughput of the past by the month",
    ),
    pytest.param(
        "o1 model ft grader cched input Tokens",
        "1K",
        {
            "model": "o1",
            "version": "2024-12-17",
            "sku": "(model grader)",
            "fine_tuned": "grader",
            "meter": "cached_input",
            "unmatched": "the tokens of a model grader, which is no deployment",
        },
        id="a model grader with ft in its midst",
    ),
    pytest.param(
        "Az-GPT4-Turbo-128K Input Tokens",
        "1K",
        {
            "model": "gpt-4",
            "version": "turbo-2024-04-09",
            "sku": "(legacy meter, scope not stated)",
            "meter": "input",
            "unmatched": "the meter states no deployment type",
        },
        id="a legacy meter states no scope",
    ),
    pytest.param(
        "GPT-OSS-20b-IN-FT Tokens",
        "1K",
        {
            "model": "gpt-oss-20b",
            "sku": "(not stated in meter)",
            "fine_tuned": "ft",
            "meter": "input",
            "unmatched": "the meter states no deployment type",
        },
        id="the scope is missing",
    ),
    pytest.param(
        "gpt-4.1-ft mdl grdr cchd inpt Tokens",
        "1K",
        {
            "model": "gpt-4.1",
            "version": "2025-04-14",
            "sku": "(model grader)",
            "fine_tuned": "grader",
            "meter": "cached_input",
            "unmatched": "the tokens of a model grader, which is no deployment",
        },
        id="a model grader is no deployment",
    ),
    pytest.param(
        "gpt-4-32K-Batch-Inp-regnl Tokens",
        "1K",
        {
            "model": "gpt-4-32k",
            "version": "0613",
            "sku": "Batch (regional)",
            "tier": "batch",
            "meter": "input",
            "unmatched": "regional batch is no deployment type of today",
        },
        id="regional batch is of the past",
    ),
]


@pytest.mark.parametrize(("name", "unit", "said"), READ)
def test_a_name_is_read(name: str, unit: str, said: dict[str, str]) -> None:
    assert read(name, unit)._asdict() == BLANK | said


@pytest.mark.parametrize(
    ("name", "unit", "model", "reason"),
    [
        pytest.param(
            "gpt 7 inp glbl Tokens", "1K", "(unmapped: gpt 7)", "the meter's name fits no model", id="a new model"
        ),
        pytest.param(
            "gpt-latest 05052026 inp Gl 1M Tokens",
            "1M",
            "(unmapped: gpt-latest 05052026)",
            "the meter's name fits no model",
            id="a part that tells models apart is missing",
        ),
        pytest.param(
            "gpt 4o 1120 tiny Inp glbl Tokens",
            "1K",
            "(unmapped: gpt 4o 1120 tiny)",
            "the meter's name fits no model",
            id="one word is not known",
        ),
        pytest.param(
            "5.4 batch turbo glbl Inp Tokens",
            "1K",
            "(unmapped: 5.4 turbo)",
            "the meter's name fits no model",
            id="a known word that the model does not have",
        ),
        pytest.param(
            "gpt 4o 0101 Inp glbl Tokens",
            "1K",
            "(unmapped: gpt 4o 0101)",
            "the catalogue knows no version 0101 of gpt-4o",
            id="a version that is not known",
        ),
        pytest.param(
            "GPT 5 ccd Inp Gl 1M Tokens",
            "1M",
            "(unmapped: GPT 5 ccd)",
            "the meter's name fits no model",
            id="a misspelt cd is not codex",
        ),
        pytest.param("Audio Inp glbl Tokens", "1K", "(unmapped)", "the meter's name fits no model", id="no model"),
        pytest.param("Training glbl Tokens", "1K", "(unmapped)", "the meter's name fits no model", id="work alone"),
        pytest.param(
            "o1 pr Inp glbl Tokens",
            "1K",
            "(unmapped: o1 pr)",
            "the meter's name fits several models: o1-preview, o1-pro",
            id="an abbreviation of two models",
        ),
        pytest.param(
            "gpt 5 Inp Outp glbl Tokens", "1K", "gpt-5", "the meter says both input and output", id="two directions"
        ),
        pytest.param(
            "gpt 5 Inp glbl regnl Tokens", "1K", "gpt-5", "the meter says both global and regional", id="two scopes"
        ),
        pytest.param(
            "gpt 5 cached Outp glbl Tokens", "1K", "gpt-5", "the meter says both cached and output", id="cached output"
        ),
        pytest.param(
            "5.4 pp Batch Inp Gl Tokens", "1K", "gpt-5.4", "the meter says both batch and priority", id="two tiers"
        ),
        pytest.param(
            "5.4 pp Inp Std Gl Tokens", "1K", "gpt-5.4", "the meter says both std and priority", id="std and priority"
        ),
        pytest.param("5.4 Inp Gl 1M Tokens", "1K", "gpt-5.4", "the meter says both 1k and 1m", id="two quantities"),
        pytest.param(
            "gpt 5 Inp glbl Tokens", "1 Hour", "gpt-5", "the meter says both hour and token", id="tokens by the hour"
        ),
        pytest.param(
            "o4 mini dev RFT inp Dz Tokens",
            "1K",
            "o4-mini",
            "the meter says both developer and data_zone",
            id="a developer tier in a data zone",
        ),
        pytest.param(
            "gpt rt aud txt 0828 Inp glbl Tokens",
            "1K",
            "gpt-realtime",
            "the meter says both audio and text",
            id="two modalities",
        ),
        pytest.param(
            "gpt aud 5 in gl Tokens",
            "1K",
            "gpt-5",
            "no model of this kind has meters for audio tokens",
            id="a chat model does not become an audio model",
        ),
        pytest.param(
            "gpt rt 0828 Inp glbl Tokens",
            "1K",
            "gpt-realtime",
            "the meter does not say whether it is for audio or image or text",
            id="a realtime meter without a modality",
        ),
        pytest.param(
            "gpt 5 glbl Tokens",
            "1K",
            "gpt-5",
            "neither the meter's name nor its unit '1K' say what is counted",
            id="no direction",
        ),
        pytest.param(
            "gpt 5 Inp glbl Tokens",
            "1 Gross",
            "gpt-5",
            "the meter is input, which is not counted by '1 Gross'",
            id="a unit that is not known",
        ),
    ],
)
def test_what_cannot_be_read_is_said(name: str, unit: str, model: str, reason: str) -> None:
    found = read(name, unit)
    assert (found.model, found.unmatched) == (model, reason)


@pytest.mark.parametrize("word", ["DPO", "spec", "sec", "veo", "vid", "ant", "asst", "tol"])
def test_nothing_is_passed_over_because_it_might_be_cut_from_a_word_that_says_nothing(word: str) -> None:
    assert read_meter_name("Azure OpenAI", f"gpt 5 {word} Inp glbl Tokens", "1K").unmatched


def test_outside_of_openai_a_name_must_be_whole() -> None:
    assert read("4 Inp glbl Tokens", product="Azure Grok Models").model == "(unmapped: 4)"
    assert read("gpt-4.1 Inp glbl Tokens", product="Azure AI Foundry").model == "gpt-4.1"


@pytest.mark.parametrize(
    ("meter", "name", "measure", "unit"),
    [
        pytest.param("input", "Tokens", "1K", ("1M tokens", "1000"), id="a thousand tokens"),
        pytest.param("training", "Tokens", "1M", ("1M tokens", "1"), id="a million tokens"),
        pytest.param("image", "Images", "100", ("1 image", "0.01"), id="a hundred images"),
        pytest.param("character", "Characters", "1M", ("1M characters", "1"), id="characters"),
        pytest.param("hosting", "Unit", "1/Hour", ("1 hour", "1"), id="an hour with a slash"),
        pytest.param("video", "Second", "1", ("1 second", "1"), id="the name says what is counted"),
        pytest.param("ptu", "Unit", "1 Hour", ("1 PTU-hour", "1"), id="an hour of throughput"),
        pytest.param("tool_call", "Calls", "1", ("1K calls", "1000"), id="one call"),
        pytest.param("session", "", "1", ("1 session", "1"), id="a session"),
        pytest.param("storage", "GB", "1 GB/Day", ("1 GB-day", "1"), id="storage"),
        pytest.param("storage", "GB", "1 GB/Month", None, id="a month is no day"),
        pytest.param("input", "Tokens", "1 Hour", None, id="tokens are not hours"),
        pytest.param("ptu", "Unit", "1 Second", None, id="no sheet states throughput by the second"),
        pytest.param("input", "Tokens", "0K", None, id="nothing"),
        pytest.param("input+output", "Tokens", "1K", ("1M tokens", "1000"), id="a price for input and output"),
        pytest.param("ptu", "Unit", "1/Month", None, id="a month of throughput is of the past"),
        pytest.param("ptu_legacy_month", "Units", "1/Month", ("1 PTU-month", "1"), id="the past had months"),
        pytest.param("coffee", "Tokens", "1K", None, id="no meter"),
    ],
)
def test_units(meter: str, name: str, measure: str, unit: tuple[str, str] | None) -> None:
    assert read_unit(meter, name, measure) == (unit and (unit[0], Decimal(unit[1])))


@pytest.mark.parametrize("name", NAMES)
def test_every_model_is_read_by_its_own_name(name: str) -> None:
    assert read(f"{name} Inp glbl Tokens").model == name
    assert read(f"{name.replace('-', ' ')} Inp Data Zone Tokens").model == name


def test_one_part_more_makes_another_model_or_none() -> None:
    parts = {part for name in NAMES for part in name.split("-")} - {"text", "audio", "image"}
    for name in NAMES:
        for part in parts - set(name.split("-")):
            found = read(f"{name} {part} txt Inp glbl Tokens")
            left = {*name.split("-"), part} - {*found.model.split("-"), "audio", "image", "text"}
            known = found.model == "gpt-4" and left <= {"turbo", "preview", "vision", "8k", "128k"}
            assert found.unmatched or not left or known, (name, part, found)


def test_the_order_of_the_words_does_not_matter() -> None:
    words = ["gpt", "4o", "mini", "rt", "1217", "txt", "cchd", "Inp", "DZone"]
    expected = read(" ".join([*words, "Tokens"]))
    assert expected.model == "gpt-4o-mini-realtime-preview"
    assert not expected.unmatched
    for shuffled in list(permutations(words))[::5003]:
        assert read(" ".join([*shuffled, "Tokens"])) == expected


@pytest.mark.parametrize(("name", "unit", "said"), READ)
def test_case_and_separators_do_not_matter(name: str, unit: str, said: dict[str, str]) -> None:
    # Of case, all that counts is where a word begins inside another.
    apart = re.sub("(?<=[a-z])(?=[A-Z])", " ", name)
    expected = read(name, unit)
    for other in (apart, apart.lower(), apart.upper(), *(name.replace(a, b) for a, b in ("- ", " -", (" ", "  ")))):
        assert read(other, unit.lower()) == expected


_PARTS = """
    gpt 4o 5.4 5 mini mn rt realtime aud img txt inp opt cd wr batch pp std flex ft rft dev training hosting glbl dz
    data zone rgnl 1120 1215 0828 LongCo ShortCo Tokens Images Hours Unit 1M 1K az grdr model ptu sora 1-5s 720p hd
    code interpreter session file search storage tts text to speech whisper zzz é ( . 2024-11-20 o3 deep research
"""
_words = st.sampled_from(_PARTS.split())
_units = st.sampled_from(["1K", "1M", "1", "100", "1 Hour", "1/Hour", "1 Second", "1 GB/Day", "", "x", "1 Minute"])


def check(found: MeterReading, name: str, unit: str) -> None:
    if found.unmatched:
        return
    assert found.model == ANY_MODEL or found.model in NAMES
    assert found.sku in SKUS
    assert found.tier in TIERS
    assert found.fine_tuned in FINE_TUNED
    assert found.band in ("", "short", "long")
    stated = read_unit(found.meter, name, unit)
    assert stated is not None
    for meter in found.meter.split("+"):
        assert UNITS[stated[0]].measures == METER_UNITS[meter]
    versions = [model.version for model in list_models() if model.name == found.model]
    assert not found.version or found.version in versions


@given(any_texts, any_texts, any_texts)
def test_any_text_is_read_or_refused(product: str, name: str, unit: str) -> None:
    check(read_meter_name(product, name, unit), name, unit)


@given(st.lists(_words, max_size=12), _units)
def test_any_words_give_a_row_that_can_be_asked_for_or_a_reason(parts: list[str], unit: str) -> None:
    name = " ".join(parts)
    check(read(name, unit), name, unit)


@given(st.lists(_words, min_size=1, max_size=8), st.sampled_from(["qqq", "ultra", "lite", "9.9", "日本"]))
def test_an_unknown_word_is_never_passed_over(parts: list[str], unknown: str) -> None:
    found = read(" ".join([*parts, unknown]))
    assert found.model.startswith("(unmapped")
    assert unknown in found.model


OTHER_WORDS = """
port prop sort log cad spec sec veo vid ant are don dot open assist unt video speech tool assistants base deployment
preview2 plus turbo2 fast cheap eu us apac night spot reserved hourly annual search web code
"""


@pytest.mark.parametrize("word", OTHER_WORDS.split())
def test_a_word_that_is_none_of_the_lists_makes_no_price(word: str) -> None:
    assert read(f"gpt 5 {word} Inp glbl Tokens").unmatched
    assert not read("gpt 5 Inp glbl Tokens").unmatched


def test_a_tool_has_no_model() -> None:
    assert not read("Code-Interpreter-glbl Session", "1").unmatched
    assert read("gpt 5 Code-Interpreter-glbl Session", "1").unmatched
    assert read("code interpreter 4gb session glbl", "1").unmatched


def test_a_megabyte_is_refused_at_once() -> None:
    found = read_meter_name("x" * 10**6, "gpt 5 Inp glbl Tokens " + "a" * 10**6, "1" * 10**6)
    assert found.unmatched
    assert len(found.model) < 300


@cache
def feed_rows(source: str) -> dict[tuple[str, str], list[PriceRow]]:
    """Return the rows that a capture of the feed brought into the sheets, by the product and name of their meter."""
    rows: dict[tuple[str, str], list[PriceRow]] = {}
    for row in PriceBook.bundled().rows():
        if row.source == source and row.product and row.meter_name:
            rows.setdefault((row.product, row.meter_name), []).append(row)
    return rows


def measures(row: PriceRow) -> tuple[str, ...]:
    """Return units of measure that may have stood in the feed; the sheets do not keep them."""
    if row.unit == "1M tokens":
        return ("1M",) if "1M" in row.meter_name else ("1K", "1M")
    return {
        "1M characters": ("1M",),
        "1K calls": ("1K", "1"),
        "1 session": ("1",),
        "1 image": ("100",),
        "1 GB-day": ("1/Day",),
        "1 PTU-hour": ("1/Hour", "1 Hour"),
        "1 PTU-month": ("1/Month",),
        "1 hour": ("1/Hour", "1 Hour"),
        "1 second": ("1",) if row.meter_name.endswith("Second") else ("1 Second",),
    }[row.unit]


def feed_readings(source: str) -> Iterator[tuple[PriceRow, MeterReading]]:
    for (product, name), rows in feed_rows(source).items():
        for row in rows:
            for measure in measures(row):
                yield row, read_meter_name(product, name, measure)


@pytest.mark.parametrize(("source", "names", "unmapped"), [("S1", 1318, 3), ("S3", 132, 0)])
def test_every_name_of_the_sheets_is_read_as_people_read_it(source: str, names: int, unmapped: int) -> None:
    rows = feed_rows(source)
    assert len(rows) == names
    assert sum(of_name[0].model.startswith("(unmapped") for of_name in rows.values()) == unmapped
    words = ("model", "version", "sku", "tier", "band", "fine_tuned", "variant")
    for row, found in feed_readings(source):
        assert [getattr(found, word) for word in words] == [getattr(row, word) for word in words], row.meter_name
        assert (found.modality or "text") == (row.modality or "text"), row.meter_name
        # Such a reason is about the price, and no name says it.
        if not row.unmatched.startswith(("the feed's own value", "the same price as")):
            assert found.unmatched == row.unmatched, row.meter_name
    for row, found in feed_readings(source):
        meters = {one.meter for one in rows[row.product, row.meter_name]}
        assert set(found.meter.split("+")) == meters, row.meter_name


@pytest.mark.parametrize("unknown", ["zorblax", "9.9", "o9", "4x"])
def test_no_word_of_a_known_name_can_become_another(unknown: str) -> None:
    """Whichever word is replaced, those of the model among them, no other model is read in its place."""
    for (product, name), rows in feed_rows("S1").items():
        words = re.split("([ -]+)", name)
        for i in range(0, len(words), 2):
            other = "".join([*words[:i], unknown, *words[i + 1 :]])
            found = read_meter_name(product, other, measures(rows[0])[0])
            assert found.unmatched, other
            assert found.model.startswith("(unmapped"), other
            assert unknown in found.model, other


def test_an_unknown_model_is_never_read_as_a_known_one() -> None:
    """All the words of the model give way at once: what remains of the name says no model."""
    for (product, name), rows in feed_rows("S1").items():
        known = rows[0].model
        if known == ANY_MODEL or known.startswith("("):
            continue
        kept = [word for word in re.split("[ -]+", name) if read(f"{word} gpt-5 Inp glbl Tokens").model == "gpt-5"]
        for unknown in ("qqq", "gpt-9", "zephyr 7b"):
            found = read_meter_name(product, " ".join([unknown, *kept]), measures(rows[0])[0])
            assert found.model.startswith("(unmapped"), (name, kept)
