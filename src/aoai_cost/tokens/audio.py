"""How long a recording plays, as the headers in it say; its sound is never decoded."""

from __future__ import annotations

import io
import wave
from typing import NamedTuple

from ..errors import RequestError, shorten
from .base64_file import PIECE_BYTES, Base64File

__all__ = ["Duration", "mp3_duration", "wav_duration"]

# Rates of samples that anything is recorded in; outside of them a header is no header of audio.
_LEAST_HZ, _MOST_HZ = 1_000, 768_000
# What stands for a length in a WAV file that was written as a stream, as services of speech do: this or a little less,
# and 0xFFFFFFFF in the recording. It is billed for the audio that follows.
_STREAM_BYTES = 0x7FFF_0000

# ISO/IEC 11172-3 and 13818-3, layer III: kbit/s by the index in a frame's header, for MPEG 1 and for its lower rates.
_MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# Samples a second by the two bits of the version (2.5, none, 2, 1) and by index.
_RATES_HZ = ((11_025, 12_000, 8_000), (), (22_050, 24_000, 16_000), (44_100, 48_000, 32_000))
# A frame that only describes the others (Xing, Info), what an encoder puts in front, and the rest of the last frame.
_PADDING_FRAMES = 3
_ID3_BYTES = 10
# Tags behind the last frame, and the zeros that some writers leave there.
_TAILS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"\0")


class Duration(NamedTuple):
    """How long audio plays: so many samples at so many a second."""

    samples: int
    rate_hz: int
    padding: int = 0
    """How many of the samples may be silence that the encoder added, which a decoder may or may not take away."""


def wav_duration(path: str, file: Base64File) -> Duration | None:
    """Read the length of a WAV file from its header; None where its samples are not PCM.

    Raises
    ------
    RequestError
        If it is no WAV file, holds no audio, or less audio than it says.
    """
    buffered = io.BufferedReader(file, PIECE_BYTES)
    try:
        with wave.open(buffered, "rb") as audio:
            frames, rate_hz = audio.getnframes(), audio.getframerate()
            frame_bytes = audio.getnchannels() * audio.getsampwidth()
        held = (file.size_bytes - buffered.tell()) // frame_bytes
    except EOFError:
        raise RequestError(path, "is a WAV file that ends before its audio begins") from None
    except (wave.Error, RuntimeError) as error:
        # A RuntimeError is a chunk that reaches out of the one around it.
        if str(error).startswith("unknown"):
            return None
        raise RequestError(path, f"is no WAV file that can be read: {shorten(str(error), 80)}") from None
    if not _LEAST_HZ <= rate_hz <= _MOST_HZ:
        raise RequestError(path, f"says it has {rate_hz:,} samples a second; {_LEAST_HZ:,} to {_MOST_HZ:,} are audio")
    if frames * frame_bytes + frame_bytes > _STREAM_BYTES and held < frames:
        frames = held
    if frames <= 0:
        raise RequestError(path, "is a WAV file without audio")
    if frames > held:
        reason = f"says it plays for {frames / rate_hz:,.2f} s and is cut short after {max(0, held) / rate_hz:,.2f} s"
        raise RequestError(path, reason)
    return Duration(frames, rate_hz)


def mp3_duration(path: str, file: Base64File) -> Duration | None:
    """Add up the frames of an mp3 file; None where something else stands between them.

    Raises
    ------
    RequestError
        If it does not begin as an mp3 file does.
    """
    data = file.read(file.size_bytes) or b""
    if not data.startswith(b"ID3") and not (data[:1] == b"\xff" and data[1:2] >= b"\xe0"):
        raise RequestError(path, "is no mp3 file")
    at, samples = _behind_id3(data), 0
    frame = first = _frame(data, at)
    while frame is not None:
        length, one, rate_hz = frame
        at, samples = at + length, samples + one
        frame = _frame(data, at)
        if frame is not None and frame[2] != rate_hz:
            return None
    if first is None or not (at >= len(data) or data.startswith(_TAILS, at)):
        return None
    return Duration(samples, first[2], min(samples, _PADDING_FRAMES * first[1]))


def _behind_id3(data: bytes) -> int:
    """Return where the frames begin: behind a tag, whose size is written in seven bits a byte."""
    if not data.startswith(b"ID3") or len(data) < _ID3_BYTES:
        return 0
    size = 0
    for byte in data[6:_ID3_BYTES]:
        size = size << 7 | byte & 0x7F
    return _ID3_BYTES + size


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Read the header of a frame: its bytes, its samples, and samples a second."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, rates = data[at + 1] >> 3 & 3, data[at + 2]
    if rates >> 4 in (0, 15) or rates >> 2 & 3 == 3 or version == 1:
        return None
    rate_hz = _RATES_HZ[version][rates >> 2 & 3]
    kbps, samples = (_MPEG1_KBPS[rates >> 4], 1152) if version == 3 else (_MPEG2_KBPS[rates >> 4], 576)
    return samples * kbps * 125 // rate_hz + (rates >> 1 & 1), samples, rate_hz
