"""What audio, files and reasoning items add to a request, where that can be known before it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..catalog import Model
from ..errors import RequestError, shorten
from .audio import Duration, mp3_duration, wav_duration
from .base64_file import Base64File
from .body import field
from .docx import read_docx
from .encoding import get_encoding
from .tools import Counted

__all__ = [
    "MEDIA_PARTS",
    "MediaCount",
    "count_audio_tokens",
    "count_media",
    "dropped_reasoning",
    "dropping_note",
    "reasoning_note",
]

MEDIA_PARTS = frozenset({"input_audio", "file", "input_file"})
"""The types of content parts that `count_media` counts."""

# developers.openai.com/api/docs/guides/realtime-costs: what users say is 1 token per 100 ms, what the model says 1 per
# 50 ms. Recorded on gpt-audio-mini in Chat Completions: 3.70 s are 37 audio tokens.
_HEARD_MS = 100
_SPOKEN_MS = 50
# The same recording has 4 text tokens more than its texts; one alone does not show what else they may be.
_FRAME_TOKENS = 4
_FRAME_LEAST, _FRAME_MOST = 0, 8
# Some files carry a picture or a text before their audio, none of them hundreds.
_HEADER_READS = 64
# What layer III allows for a frame.
_MP3_LEAST_BPS, _MP3_MOST_BPS = 8_000, 320_000

# Text files go into the prompt as they are (developers.openai.com/api/docs/guides/file-inputs: "the API extracts text
# only"), in a wrapper, in which the name of the file does not stand: 13 to 18 tokens on gpt-5-nano, gpt-5.4 and
# gpt-4.1-nano around the text of a docx or a PDF; 4 on older models, and 22 on gpt-4o, where 18 may be the hidden
# prompt of that spring.
_WRAPPER_TOKENS = 17
_WRAPPER_BOUNDS = 0, 32
_WRAPPER_RECORDED = ("gpt-5", "gpt-4.1")
_WRAPPER_BOUNDS_RECORDED = 8, 24
# PDFs of one page each; more than their text and a wrapper only in Chat Completions: 219 (gpt-4o), 950 to 954
# (gpt-5-mini, 737 of them text) and 1,033 (gpt-5.4, 37 of them text).
_PDF_NOTE = (
    "a PDF is not countable here: it adds its text, and may add an image of each page. Recorded on Responses: 4 to 754 "
    "tokens for one page, hardly more than those of its text",
    "a PDF is not countable here: it adds its text and an image of each page. Recorded in Chat Completions: 219 to "
    "1,033 tokens for one page, most of them beside its text",
)
# The guide above: of a spreadsheet up to so many rows are read, and a summary written by a model is added.
_SHEET_ROWS = 1_000
_MORE_IN_SHEET = f"of at most {_SHEET_ROWS:,} rows, and the service adds a summary that a model writes"
# Two recordings of plain paragraphs: 25 tokens of text added 43 on gpt-5-nano, 39 added 51 on gpt-5.4.
_DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MORE_IN_DOCX = "what its tables, lists, pictures, notes or changes add is not known"

# Kinds of files whose text is the file, by media type (beside text/...) and, where that says nothing, by name.
_TEXT_TYPES = frozenset(
    """
    application/json application/jsonl application/x-ndjson application/x-yaml application/yaml application/toml
    application/javascript application/x-javascript application/typescript application/x-typescript
    application/x-sh application/sql application/x-sql
    """.split()  # noqa: SIM905
)
# Of these a reader of documents takes the text out, and how much is left is not known.
_MARKED_UP_TYPES = frozenset({"text/html", "text/xml", "text/rtf", "text/calendar", "text/vcard", "text/x-vcard"})
_SHEET_TYPES = frozenset({"text/csv", "text/tsv", "text/tab-separated-values", "application/csv", "text/x-csv"})
_UNSAID_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_TEXT_ENDINGS = frozenset(
    """
    txt text md markdown json jsonl ndjson log yaml yml toml ini cfg py js mjs ts java c h cc cpp cs go rs rb sh sql css
    """.split()  # noqa: SIM905
)
_SHEET_ENDINGS = frozenset({"csv", "tsv"})

# Reasoning items before the last user message cost nothing: 6 recorded requests of these models are exact without them,
# 3 more are what their PDF or image costs elsewhere, and one with an image is 3 tokens above that.
_DROPPING_MODELS = frozenset({"gpt-5", "gpt-5-mini", "gpt-5-nano"})
# Those after it were 4 to 6 bytes a token in 12 of 12 recorded requests, with 650 bytes for the envelope and up to 16
# tokens more on short ones (openai/codex, codex-rs/core/src/context_manager/history.rs, guesses 3/4 of the length less
# 650 bytes, and 4 bytes a token). Text in other scripts may be denser, so the range is told and not counted.
_ENVELOPE_BYTES = 650
_DENSEST_BYTES, _LOOSEST_BYTES = 4, 6
_SHORT_TOKENS = 16


class MediaCount(NamedTuple):
    """Tokens of one content part; where `countable` is False something in it is not counted, and the note says what."""

    counted: tuple[Counted, ...] = ()
    note: str = ""
    countable: bool = True
    audio: tuple[int, int] = (0, 0)
    """Of the tokens the fewest and the most that are audio, which has prices of its own."""


def count_audio_tokens(duration_ms: int, *, spoken: bool = False) -> int:
    """Count the audio tokens of a recording: 10 a second of what the model hears, 20 of what it has `spoken`.

    Examples
    --------
    >>> count_audio_tokens(3_700)
    37
    """
    return -(-duration_ms // (_SPOKEN_MS if spoken else _HEARD_MS))


def count_media(model: Model, path: str, part: Any) -> MediaCount:
    """Count an ``input_audio``, ``file`` or ``input_file`` part of a message or result.

    Raises
    ------
    RequestError
        For a part that the service would not take, and for audio whose header does not fit its bytes; a duration is
        never invented.
    """
    if field(part, "type") == "input_audio":
        return _count_audio(model, path, field(part, "input_audio"))
    if field(part, "type") == "file":
        return _count_file(model, f"{path}.file", field(part, "file"), chat=True)
    return _count_file(model, path, part, chat=False)


def _count_audio(model: Model, path: str, audio: Any) -> MediaCount:
    if "audio" not in model.input_modalities:
        return MediaCount(note=f"{path}: no cost of audio is known for {model.name}", countable=False)
    path = f"{path}.input_audio"
    data, form = field(audio, "data"), field(audio, "format")
    if not isinstance(data, str) or not data:
        raise RequestError(f"{path}.data", f"must be base64 text, found {shorten(data, 40)}")
    if data[:5].lower() == "data:":
        raise RequestError(f"{path}.data", "is a data: URL; the service takes the base64 alone")
    if not isinstance(form, str):
        raise RequestError(f"{path}.format", f"must be wav or mp3, found {shorten(form)}")
    refusal = RequestError(f"{path}.data", "is not base64")
    if form == "wav":
        wav = wav_duration(f"{path}.data", Base64File(data, 0, refusal, most_reads=_HEADER_READS))
        if wav is None:
            return MediaCount(note=f"{path}.data: WAV audio that is not PCM is not counted", countable=False)
        return _count_length(f"{path}.data", wav)
    if form == "mp3":
        file = Base64File(data, 0, refusal)
        mp3 = mp3_duration(f"{path}.data", file)
        return _count_length(f"{path}.data", mp3) if mp3 else _note_mp3(f"{path}.data", file.size_bytes)
    return MediaCount(note=f"{path}: audio in the format {shorten(form)} is not counted", countable=False)


def _count_length(path: str, length: Duration) -> MediaCount:
    samples, rate_hz, padding = length
    whole = (samples - padding) * 1000 // (rate_hz * _HEARD_MS)
    tokens = -(-samples * 1000 // (rate_hz * _HEARD_MS))
    line = Counted(
        f"{path} ({samples / rate_hz:.2f} s)",
        tokens + _FRAME_TOKENS,
        below=tokens - whole + _FRAME_TOKENS - _FRAME_LEAST,
        above=_FRAME_MOST - _FRAME_TOKENS,
    )
    note = f"{path}: audio is counted as 10 tokens a second and {_FRAME_TOKENS} of framing"
    return MediaCount((line,), note, audio=(whole, tokens))


def _note_mp3(path: str, size_bytes: int) -> MediaCount:
    bits = 8 * size_bytes
    least, most = (count_audio_tokens(bits * 1000 // rate) for rate in (_MP3_MOST_BPS, _MP3_LEAST_BPS))
    note = (
        f"{path}: the frames of this mp3 cannot be told; its {size_bytes:,} bytes are {least:,} to {most:,} tokens at "
        "320 to 8 kbit/s. Not counted; as wav it would be"
    )
    return MediaCount(note=note, countable=False)


def _count_file(model: Model, path: str, file: Any, *, chat: bool) -> MediaCount:
    data, name = field(file, "file_data"), field(file, "filename")
    if data is None:
        for key, what in (("file_id", "a stored file"), ("file_url", "a remote file")):
            if isinstance(field(file, key), str):
                return MediaCount(note=f"{path}: what is in {what} is not known here", countable=False)
        raise RequestError(path, "must have file_data, a file_id or a file_url")
    if not isinstance(data, str):
        raise RequestError(f"{path}.file_data", f"must be a text, not {type(data).__name__}")
    comma = data.find(",", 0, 1000)
    head = data[: max(comma, 0)].lower().rstrip()
    if not (head.startswith("data:") and head.endswith(";base64")):
        raise RequestError(f"{path}.file_data", "must begin with data:, a media type and ;base64,")
    kind = head[5:].split(";", 1)[0].strip()
    ending = name.rsplit(".", 1)[-1].lower() if isinstance(name, str) and "." in name else ""
    raw = Base64File(data, comma + 1, RequestError(f"{path}.file_data", "is not base64"))
    return _count_content(model, path, raw, kind, ending, chat)


def _count_content(model: Model, path: str, raw: Base64File, kind: str, ending: str, chat: bool) -> MediaCount:
    unsaid = kind in _UNSAID_TYPES
    if kind == "application/pdf" or (unsaid and ending == "pdf"):
        return MediaCount(note=f"{path}: {_PDF_NOTE[chat]}", countable=False)
    if chat:
        return MediaCount(note=f"{path}: Chat Completions takes no files but PDFs; not counted", countable=False)
    if kind == _DOCX_TYPE or (unsaid and ending == "docx"):
        found = read_docx(raw)
        if found is None:
            return MediaCount(note=f"{path}: a Word document that cannot be read here is not counted", countable=False)
        return _count_text(model, path, "Word document", found[0], "" if found[1] else _MORE_IN_DOCX)
    sheet = kind in _SHEET_TYPES or (unsaid and ending in _SHEET_ENDINGS)
    plain = kind.startswith("text/") and kind not in _MARKED_UP_TYPES
    if not (sheet or plain or kind in _TEXT_TYPES or (unsaid and ending in _TEXT_ENDINGS)):
        what = shorten(kind or ending, 60)
        return MediaCount(note=f"{path}: the text in a file of type {what} is not read here", countable=False)
    try:
        text = (raw.read(raw.size_bytes) or b"").decode("utf-8")
    except UnicodeDecodeError:
        return MediaCount(note=f"{path}: a text file that is not UTF-8 is not counted", countable=False)
    if not sheet:
        return _count_text(model, path, "text file", text)
    # One recording: 44 tokens of CSV added 76, on gpt-5.4. What the summary of another adds is up to a model.
    rows = "".join(text.splitlines(keepends=True)[:_SHEET_ROWS])
    return _count_text(model, path, "spreadsheet", rows, _MORE_IN_SHEET)


def _count_text(model: Model, path: str, what: str, text: str, more: str = "") -> MediaCount:
    """Count the text of a file and what stands around it; `more` says what else is in it that is not counted."""
    if model.encoding is None:
        return MediaCount(
            note=f"{path}: no encoding is known for {model.name}; its text is not counted", countable=False
        )
    encoding = get_encoding(model.encoding)
    tokens = encoding.count(text)
    if more:
        line = Counted(f"{path} ({what})", tokens + _WRAPPER_TOKENS, below=tokens + _WRAPPER_TOKENS)
        return MediaCount((line,), f"{path}: the text of this {what} is counted; {more}", countable=False)
    recorded = model.name.startswith(_WRAPPER_RECORDED)
    least, most = _WRAPPER_BOUNDS_RECORDED if recorded else _WRAPPER_BOUNDS
    # What stands around the text may be cut off.
    trimmed = min(tokens, encoding.count(text.strip()))
    line = Counted(
        f"{path} ({what})",
        tokens + _WRAPPER_TOKENS,
        below=tokens - trimmed + _WRAPPER_TOKENS - least,
        above=most - _WRAPPER_TOKENS,
    )
    return MediaCount((line,), f"{path}: a {what} is counted by its text and {least} to {most} tokens around it")


def dropped_reasoning(items: Sequence[tuple[str, Mapping[str, Any]]]) -> frozenset[str]:
    """Return the paths of the reasoning items that a later user message makes the service drop."""
    last = max((i for i, (_, item) in enumerate(items) if field(item, "role") == "user"), default=0)
    return frozenset(path for path, item in items[:last] if field(item, "type") == "reasoning")


def dropping_note(model: Model, path: str) -> str:
    """Say what is assumed where a reasoning item counts as dropped; empty for models that recordings show to do so."""
    if model.name in _DROPPING_MODELS:
        return ""
    return f"{path}: {model.name} is assumed to drop reasoning from before the last user message, as gpt-5 does"


def reasoning_note(path: str, item: Any) -> str:
    """Say what a reasoning item after the last user message may cost; it is billed, and not counted."""
    sealed = field(item, "encrypted_content")
    if not isinstance(sealed, str) or not sealed:
        return f"{path}: what stored reasoning adds is known to the service alone"
    size_bytes = max(0, len(sealed) * 3 // 4 - _ENVELOPE_BYTES)
    least, most = size_bytes // _LOOSEST_BYTES, size_bytes // _DENSEST_BYTES + _SHORT_TOKENS
    return (
        f"{path}: encrypted reasoning is billed as input and not counted; by its length {least:,} to {most:,} tokens. "
        "The reasoning_tokens of the answer that made it say more"
    )
