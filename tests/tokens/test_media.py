"""Audio, files and reasoning items: counted where a header or a text says it, named where nothing does."""

from __future__ import annotations

import base64
import io
import re
import struct
import wave
import zipfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_requests import recorded, with_blobs

from aoai_cost import Count, RequestError, count_request, count_tokens
from aoai_cost.tokens.docx import read_docx
from aoai_cost.tokens.media import count_audio_tokens

AUDIO_MODEL = "gpt-audio-mini"
FRAMING = 4
"""Text tokens beside the audio in the one recording there is."""


def wav(frames: int, *, rate_hz: int = 1_000, channels: int = 1, sample_bytes: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((channels, sample_bytes, rate_hz, 0, "NONE", ""))
        file.writeframesraw(bytes(frames * channels * sample_bytes))
        file.close()
    return out.getvalue()


def riff(*chunks: tuple[bytes, bytes | int], size: int | None = None) -> bytes:
    """A RIFF file of chunks; an int is the size that a chunk claims without having it."""
    body = b"WAVE" + b"".join(
        name + (struct.pack("<L", data) if isinstance(data, int) else struct.pack("<L", len(data)) + data)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<L", len(body) if size is None else size) + body


def fmt(rate_hz: int = 8_000, *, tag: int = 1, channels: int = 1, bits: int = 16) -> tuple[bytes, bytes]:
    return b"fmt ", struct.pack("<HHLLHH", tag, channels, rate_hz, 0, 2, bits)


def audio(data: bytes | str, form: str = "wav") -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"type": "input_audio", "input_audio": {"data": text, "format": form}}


def ask(*parts: dict[str, Any], model: str = AUDIO_MODEL, api: str = "messages") -> Count:
    return count_request({api: [{"role": "user", "content": list(parts)}]}, model=model)


# Headers of frames: 128 and 320 kbit/s at 44.1 kHz, 64 at 24 kHz, 16 at 8 kHz; and how many bytes each is long.
MPEG1, MPEG1_320 = (b"\xff\xfb\x90\xc0", 417), (b"\xff\xfb\xe0\xc0", 1044)
MPEG2, MPEG25 = (b"\xff\xf3\x84\xc0", 192), (b"\xff\xe3\x28\xc0", 144)


def mp3(frames: int, kind: tuple[bytes, int] = MPEG1) -> bytes:
    header, length = kind
    return (header + bytes(length - len(header))) * frames


def file_part(data: bytes, kind: str = "text/plain", name: str = "a.txt") -> dict[str, Any]:
    url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "input_file", "filename": name, "file_data": url}


def ask_file(part: dict[str, Any], model: str = "gpt-4o") -> Count:
    return ask(part, model=model, api="input")


NOTHING = ask().input_tokens


def test_audio_is_ten_tokens_a_second_in_and_twenty_out() -> None:
    assert (count_audio_tokens(3_700), count_audio_tokens(3_700, spoken=True)) == (37, 74)
    assert (count_audio_tokens(0), count_audio_tokens(1), count_audio_tokens(101)) == (0, 1, 2)


@pytest.mark.parametrize("api", ["messages", "input"])
def test_a_recording_costs_by_its_length(api: str) -> None:
    count = ask(audio(wav(3_700)), api=api)
    assert count.input_tokens == NOTHING + 37 + FRAMING
    assert count.bounds == (NOTHING + 37, NOTHING + 37 + 2 * FRAMING)
    assert count.certainty == "estimated"
    assert any("10 tokens a second" in note for note in count.notes)


@pytest.mark.parametrize(
    ("data", "tokens"),
    [
        pytest.param(wav(44_100, rate_hz=44_100, channels=2, sample_bytes=3), 10, id="two channels of 24 bits"),
        pytest.param(wav(1, rate_hz=768_000, sample_bytes=1), 1, id="one frame"),
        pytest.param(wav(1_001), 11, id="a begun tenth of a second"),
        pytest.param(riff((b"LIST", bytes(100_000)), fmt(), (b"data", bytes(16_000))), 10, id="a chunk in front"),
        pytest.param(riff(fmt(), (b"data", bytes(16_000)), (b"LIST", bytes(64))), 10, id="a chunk behind"),
        pytest.param(
            riff(fmt(), (b"data", 0xFFFF_FFFF), size=0xFFFF_FFFF) + bytes(16_000), 10, id="a stream of no length"
        ),
        pytest.param(
            riff(fmt(), (b"data", 0x7FFF_FFFF - 36), size=0x7FFF_FFFF) + bytes(16_000), 10, id="a stream as sox has it"
        ),
    ],
)
def test_the_length_of_a_wav_file_is_that_of_its_frames(data: bytes, tokens: int) -> None:
    assert ask(audio(data)).input_tokens == NOTHING + tokens + FRAMING


@pytest.mark.parametrize(
    ("data", "samples", "rate_hz"),
    [
        pytest.param(mp3(100), 115_200, 44_100, id="constant"),
        pytest.param(mp3(50) + mp3(50, MPEG1_320) + mp3(1), 116_352, 44_100, id="variable"),
        pytest.param(mp3(100, MPEG2), 57_600, 24_000, id="MPEG 2"),
        pytest.param(mp3(100, MPEG25), 57_600, 8_000, id="MPEG 2.5"),
        pytest.param(b"ID3\4\0\0\0\0\1\2" + bytes(130) + mp3(100), 115_200, 44_100, id="behind a tag"),
        pytest.param(mp3(100) + b"TAG" + bytes(125), 115_200, 44_100, id="before a tag"),
        pytest.param(mp3(100)[:-1], 115_200, 44_100, id="its last byte is missing"),
    ],
)
def test_the_length_of_an_mp3_file_is_that_of_its_frames(data: bytes, samples: int, rate_hz: int) -> None:
    count = ask(audio(data, "mp3"))
    assert count.input_tokens == NOTHING + -(-samples * 10 // rate_hz) + FRAMING
    assert count.certainty == "estimated"
    assert count.bounds == (
        NOTHING + (samples - 3 * (1152 if rate_hz > 24_000 else 576)) * 10 // rate_hz,
        count.input_tokens + FRAMING,
    )


@given(st.integers(1, 3_000), st.integers(1, 3_000), st.sampled_from([1_000, 8_000, 44_100]))
def test_longer_audio_never_costs_less(one: int, other: int, rate_hz: int) -> None:
    shorter, longer = (ask(audio(wav(n, rate_hz=rate_hz, sample_bytes=1))) for n in sorted((one, other)))
    assert shorter.input_tokens <= longer.input_tokens
    assert shorter.bounds[0] <= longer.bounds[0]
    for count in (shorter, longer):
        least, most = count.bounds
        assert most is not None
        assert least <= count.input_tokens <= most


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        pytest.param(audio(b""), "must be base64", id="nothing"),
        pytest.param(audio("data:audio/wav;base64,UklGRg=="), "the base64 alone", id="a data URL"),
        pytest.param(audio("!" * 400), "is not base64", id="no base64"),
        pytest.param(audio("é" * 400), "is not base64", id="other letters"),
        pytest.param(audio(b"RIFF"), "ends before", id="four bytes"),
        pytest.param(audio(b"ID3" + bytes(400)), "RIFF", id="an mp3 that says it is wav"),
        pytest.param(audio(wav(3_700)), "must be wav or mp3", id="no format"),
        pytest.param(audio(wav(0)), "without audio", id="no frames"),
        pytest.param(audio(wav(3_700)[:20]), "ends before", id="a header cut short"),
        pytest.param(audio(wav(3_700)[:-2]), "cut short", id="one frame too few"),
        pytest.param(audio(wav(3_700)[:44]), "cut short", id="a header alone"),
        pytest.param(audio(riff(fmt(), (b"data", 1 << 30), size=(1 << 30) + 36)), "cut short", id="claims a gigabyte"),
        pytest.param(audio(riff(fmt(), (b"data", 0xFFFF_FFFF))), "without audio", id="a stream that never came"),
        pytest.param(audio(riff((b"data", bytes(100)), fmt())), "before fmt", id="data before its format"),
        pytest.param(audio(riff(fmt())), "missing", id="no data"),
        pytest.param(audio(riff(fmt(0), (b"data", bytes(100)))), "samples a second", id="no samples a second"),
        pytest.param(audio(riff(fmt(1), (b"data", bytes(100)))), "samples a second", id="one sample a second"),
        pytest.param(audio(riff(fmt(0xFFFF_FFFF), (b"data", bytes(100)))), "samples a second", id="billions a second"),
        pytest.param(audio(riff(fmt(channels=0), (b"data", bytes(100)))), "channels", id="no channels"),
        pytest.param(audio(riff(fmt(bits=0), (b"data", bytes(100)))), "sample width", id="no bits"),
        pytest.param(
            audio(riff((b"LIST", 0xFFFF_FFF0), fmt())), "cannot|can be read|ends before", id="a chunk too far"
        ),
        pytest.param(audio(b"", "mp3"), "must be base64", id="an empty mp3"),
        pytest.param(audio(b"RIFF", "mp3"), "no mp3", id="a wav that says it is mp3"),
    ],
)
def test_damaged_audio_is_an_error_that_names_its_part_and_no_length(part: dict[str, Any], reason: str) -> None:
    if reason == "must be wav or mp3":
        del part["input_audio"]["format"]
    with pytest.raises(RequestError, match=reason) as caught:
        ask(part)
    assert caught.value.field.startswith("messages[0].content[0].input_audio.")
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_bytes_are_counted_or_refused(data: bytes, at: int) -> None:
    good = wav(100)
    for body in (data, good[:at] + data, good[:at] + data + good[at + len(data) :]):
        try:
            count = ask(audio(body))
        except RequestError:
            continue
        # 10 tokens a second of at least 1,000 samples a second of at least one byte.
        assert count.input_tokens <= NOTHING + FRAMING + 1 + len(body) // 100


@given(st.binary(max_size=200), st.integers(0, 900), st.sampled_from([MPEG1, MPEG2, MPEG25]))
def test_any_frames_are_counted_or_named(data: bytes, at: int, kind: tuple[bytes, int]) -> None:
    good = mp3(5, kind)
    count = ask(audio(good[: 2 + at] + data + good[2 + at :], "mp3"))
    # 10 tokens a second of at least 8 kbit/s; the last frame may be cut short.
    assert count.input_tokens <= NOTHING + FRAMING + 2 + (len(good) + len(data)) // 100
    assert count.certainty in ("estimated", "lower_bound")


def test_a_header_in_a_million_pieces_is_not_followed_to_its_end() -> None:
    part = audio(riff(fmt(), *[(b"junk", b"")] * 1_000_000, (b"data", bytes(2_000))))
    # Its audio stands behind them all, and is not looked for that long.
    with pytest.raises(RequestError, match="missing"):
        ask(part)


@pytest.mark.parametrize(
    ("part", "model", "named"),
    [
        pytest.param(audio(wav(100)), "gpt-4o", "no cost of audio", id="a model that does not listen"),
        pytest.param(audio(riff(fmt(tag=3), (b"data", b"1"))), AUDIO_MODEL, "not PCM", id="floating point samples"),
        pytest.param(audio(b"OggS", "opus"), AUDIO_MODEL, "'opus'", id="a format of another kind"),
        # 40 kB are a second at 320 kbit/s and 40 s at 8 kbit/s.
        pytest.param(audio(b"ID3" + bytes(39_997), "mp3"), AUDIO_MODEL, "10 to 400 tokens", id="a tag alone"),
        pytest.param(audio(b"\xff\xfb" + bytes(39_998), "mp3"), AUDIO_MODEL, "10 to 400 tokens", id="no rate of bits"),
        pytest.param(audio(mp3(9)[:3_000] + b"?" * 999, "mp3"), AUDIO_MODEL, "cannot be told", id="damaged frames"),
        pytest.param(audio(mp3(9) + mp3(9, MPEG2), "mp3"), AUDIO_MODEL, "cannot be told", id="two rates of samples"),
    ],
)
def test_audio_that_is_not_counted_is_named(part: dict[str, Any], model: str, named: str) -> None:
    count = ask(part, model=model)
    assert (count.certainty, count.bounds) == ("lower_bound", (NOTHING, None))
    assert any("messages[0].content[0]" in note and named in note for note in count.notes)


def test_asking_for_an_answer_in_audio_costs_nothing() -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "modalities": ["text", "audio"]}
    plain = count_request(body, model="gpt-4o-audio-preview")
    spoken = count_request({**body, "audio": {"voice": "alloy", "format": "wav"}}, model="gpt-4o-audio-preview")
    assert spoken == plain
    assert spoken.bounds == (8, 8)


@given(st.text())
def test_a_text_file_costs_its_text_and_a_wrapper(text: str) -> None:
    data = text.encode("utf-8", "replace")
    own = count_tokens(data.decode(), model="gpt-4o")
    count = ask_file(file_part(data))
    least, most = count.bounds
    assert most == NOTHING + own + 32
    assert NOTHING <= least <= NOTHING + own <= count.input_tokens == NOTHING + own + 17
    assert count.certainty == "estimated"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("text/markdown", "a.md", id="markdown"),
        pytest.param("application/json", "a.json", id="json"),
        pytest.param("TEXT/PLAIN; charset=utf-8", "a", id="a type with parameters"),
        pytest.param("application/octet-stream", "A.PY", id="a type that its name says"),
        pytest.param("", "a.log", id="no type"),
    ],
)
def test_files_of_text_are_text(kind: str, name: str) -> None:
    assert ask_file(file_part(b"Hello", kind, name)).bounds == (NOTHING + 1, NOTHING + 1 + 32)


def test_a_spreadsheet_counts_its_first_rows_and_stays_a_lower_bound() -> None:
    rows = b"a,b\n" * 1_000
    counts = [ask_file(file_part(data, "text/csv", "a.csv")) for data in (rows, rows + b"more,and,more\n" * 9)]
    assert counts[0].input_tokens == counts[1].input_tokens > NOTHING + 1_000
    for count in counts:
        assert (count.certainty, count.bounds) == ("lower_bound", (NOTHING, None))
        assert any("spreadsheet" in note for note in count.notes)


def docx(body: str, *, part: str = "word/document.xml", head: str = "") -> bytes:
    """Write the least Word document with such a body; `w:` is its namespace."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        names = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
        archive.writestr(part, f'{head}<w:document xmlns:w="{names}"><w:body>{body}</w:body></w:document>')
    return out.getvalue()


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p>{properties}<w:r><w:t>{escape(text)}</w:t></w:r></w:p>"


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
FROM_XML = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")))


@given(st.lists(FROM_XML, min_size=1))
def test_a_word_document_costs_its_paragraphs_and_a_wrapper(paragraphs: list[str]) -> None:
    text = "".join(one + "\n" for one in paragraphs)
    data = docx("".join(map(paragraph, paragraphs)))
    as_text = ask_file(file_part(text.encode()), model="gpt-5-nano")
    count = ask_file(file_part(data, DOCX, "a.docx"), model="gpt-5-nano")
    assert (count.bounds, count.input_tokens) == (as_text.bounds, as_text.input_tokens)
    assert count.bounds[1] == ask(model="gpt-5-nano", api="input").input_tokens + count_tokens(text, model="gpt-5") + 24


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/></w:r></w:p>", "a\tb\n\n", id="a tab and a break"
        ),
        pytest.param("<w:p><w:r>a<w:t>b</w:t></w:r>\n</w:p>\n", "b\n", id="blanks between elements"),
        pytest.param(paragraph("a", "<w:pPr><w:tabs><w:tab/></w:tabs><w:jc/></w:pPr>"), "a\n", id="a look"),
        pytest.param("<w:p/><w:p/><w:sectPr><w:pgSz/></w:sectPr>", "\n\n", id="empty paragraphs and a page"),
        pytest.param('<w:p><w:r><w:t xml:space="preserve"> a &amp; b </w:t></w:r></w:p>', " a & b \n", id="blanks"),
    ],
)
def test_the_text_of_a_word_document(body: str, text: str) -> None:
    assert read_docx(io.BytesIO(docx(body))) == (text, True)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(f"<w:tbl><w:tr><w:tc>{paragraph('cell')}</w:tc></w:tr></w:tbl>", id="a table"),
        pytest.param(paragraph("item", "<w:pPr><w:numPr/></w:pPr>"), id="a list"),
        pytest.param("<w:p><w:r><w:drawing/></w:r></w:p>", id="a picture"),
        pytest.param("<w:p><w:r><w:footnoteReference/></w:r></w:p>", id="a note"),
        pytest.param("<w:p><w:del><w:r><w:delText>x</w:delText></w:r></w:del></w:p>", id="a change"),
        pytest.param("<w:sectPr><w:headerReference/></w:sectPr>", id="a header"),
        pytest.param("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>x</w:t></w:r></w:p>", id="hidden text"),
        pytest.param('<m:p xmlns:m="urn:other"/>', id="an element of another language"),
    ],
)
def test_what_else_is_in_a_word_document_leaves_a_lower_bound(more: str) -> None:
    count = ask_file(file_part(docx(paragraph("Hello") + more), DOCX, "a.docx"))
    assert (count.certainty, count.bounds) == ("lower_bound", (NOTHING, None))
    assert count.input_tokens > NOTHING
    assert any("Word document" in note and "not known" in note for note in count.notes)


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"PK", id="no archive"),
        pytest.param(docx(paragraph("a"))[:-30], id="a damaged archive"),
        pytest.param(docx(paragraph("a"), part="word/other.xml"), id="an archive of something else"),
        pytest.param(docx("<w:p>"), id="broken XML"),
        pytest.param(docx(paragraph("a"), head=BOMB), id="declared entities"),
        pytest.param(docx(" " * ((1 << 26) + 1)), id="64 MB of blanks"),
    ],
)
def test_a_word_document_that_cannot_be_read_is_named(data: bytes) -> None:
    assert read_docx(io.BytesIO(data)) is None
    count = ask_file(file_part(data, "", "a.docx"))
    assert (count.certainty, count.bounds) == ("lower_bound", (NOTHING, None))
    assert any("Word document" in note for note in count.notes)


@given(st.binary(max_size=8), st.integers(0, 400))
def test_any_bytes_are_a_word_document_or_none(data: bytes, at: int) -> None:
    whole = docx(paragraph("Hello"))
    found = read_docx(io.BytesIO(whole[:at] + data + whole[at + len(data) :]))
    assert found is None or isinstance(found[0], str)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        pytest.param(file_part(b"%PDF-1.4", "application/pdf", "a.pdf"), "a PDF", id="a PDF"),
        pytest.param(file_part(b"%PDF-1.4", "", "a.pdf"), "a PDF", id="a PDF by its name"),
        pytest.param(file_part(b"PK", "application/vnd.ms-excel", "a.xls"), "vnd.ms-excel", id="a workbook"),
        pytest.param(file_part(b"<p>", "text/html", "a.html"), "text/html", id="marked-up text"),
        pytest.param(file_part(b"\xff\xfea", "text/plain"), "UTF-8", id="text in another encoding"),
        pytest.param({"type": "input_file", "file_id": "file-1"}, "a stored file", id="a stored file"),
        pytest.param(
            {"type": "input_file", "file_url": "https://example.invalid/a"}, "a remote file", id="a remote file"
        ),
    ],
)
def test_a_file_that_is_not_counted_is_named(part: dict[str, Any], named: str) -> None:
    count = ask_file(part)
    assert (count.certainty, count.bounds) == ("lower_bound", (NOTHING, None))
    assert any("input[0].content[0]" in note and named in note for note in count.notes)


def test_chat_takes_no_files_but_pdfs() -> None:
    inner = {key: value for key, value in file_part(b"Hello").items() if key != "type"}
    count = ask({"type": "file", "file": inner}, model="gpt-4o")
    assert count.bounds == (NOTHING, None)
    assert any("no files but PDFs" in note for note in count.notes)


def test_a_file_in_the_result_of_a_tool_is_counted() -> None:
    def body(content: Any) -> dict[str, Any]:
        call = {"type": "function_call", "call_id": "1", "name": "get", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": "1", "output": content}
        return {"input": [{"role": "user", "content": "Hello"}, call, result]}

    without, with_file = (count_request(body(content), model="gpt-4o") for content in ([], [file_part(b"Hello")]))
    assert with_file.input_tokens - without.input_tokens == 1 + 17


@pytest.mark.parametrize(
    ("part", "field"),
    [
        pytest.param({"type": "input_file"}, "", id="no file"),
        pytest.param({"type": "file"}, ".file", id="no file in chat"),
        pytest.param({"type": "file", "file": "a.pdf"}, ".file", id="a text for a file"),
        pytest.param({"type": "input_file", "file_data": 7}, ".file_data", id="data as a number"),
        pytest.param({"type": "input_file", "file_data": "SGVsbG8="}, ".file_data", id="base64 without its type"),
        pytest.param({"type": "input_file", "file_data": "data:text/plain,Hello"}, ".file_data", id="text as it is"),
        pytest.param(
            {"type": "input_file", "file_data": "data:text/plain;base64,SGVs!G8="}, ".file_data", id="damaged base64"
        ),
    ],
)
def test_a_file_that_is_no_file_names_its_field(part: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        ask_file(part)
    assert caught.value.field == f"input[0].content[0]{field}"


def reasoning(sealed: str | None = "x" * 4_000) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}


HELLO = {"role": "user", "content": "Hello"}
ANSWER = {"role": "assistant", "content": "Hello"}


def test_reasoning_before_the_last_user_message_costs_nothing() -> None:
    plain = count_request({"input": [HELLO, ANSWER, HELLO]}, model="gpt-5")
    count = count_request({"input": [HELLO, reasoning(), ANSWER, HELLO]}, model="gpt-5")
    assert (count.bounds, count.certainty, count.notes) == (plain.bounds, "exact", ())


def test_models_that_were_not_recorded_are_assumed_to_drop_reasoning() -> None:
    count = count_request({"input": [HELLO, reasoning(), ANSWER, HELLO]}, model="gpt-5.4")
    assert count.certainty == "estimated"
    assert any("assumed to drop reasoning" in note for note in count.notes)


@pytest.mark.parametrize(
    ("item", "named"),
    [
        # 3,000 bytes less 650 are 2,350: 6 to 4 bytes a token, and 16 tokens more.
        pytest.param(reasoning(), "391 to 603 tokens", id="encrypted"),
        pytest.param(reasoning(""), "known to the service alone", id="stored"),
        pytest.param(reasoning(None), "known to the service alone", id="none"),
    ],
)
def test_reasoning_after_it_is_named_and_not_counted(item: dict[str, Any], named: str) -> None:
    count = count_request({"input": [HELLO, item, ANSWER]}, model="gpt-5")
    assert count.bounds == (count_request({"input": [HELLO, ANSWER]}, model="gpt-5").input_tokens, None)
    assert any("input[1]" in note and named in note for note in count.notes)


def test_recorded_reasoning_is_free_or_within_the_range_of_its_note(test_data: Path) -> None:
    """Of requests with nothing else that is hidden: calls of functions only, and plain texts."""
    free = ranged = 0
    for category in ("tool_history", "reasoning_items"):
        for vector in recorded(test_data, category, self_contained=False):
            if "opaque_reasoning" not in vector["features"]:
                continue
            count = count_request(vector["request_body"], model=vector["response_model"], api=vector["api"])
            least, most = count.bounds
            if most is not None:
                assert least <= vector["prompt_tokens"] <= most, vector["id"]
                free += 1
                continue
            [(low, high)] = [re.findall(r"([\d,]+) to ([\d,]+) tokens", n)[0] for n in count.notes if "encrypted" in n]
            rest = vector["prompt_tokens"] - count.input_tokens
            assert int(low.replace(",", "")) <= rest <= int(high.replace(",", "")), vector["id"]
            ranged += 1
    assert free >= 6
    assert ranged >= 8


@pytest.mark.parametrize(("category", "least"), [("file", 15), ("audio", 1)])
def test_recorded_files_and_audio_lie_within_their_bounds(test_data: Path, category: str, least: int) -> None:
    vectors = recorded(test_data, category)
    assert len(vectors) >= least
    for vector in vectors:
        body = with_blobs(vector["request_body"], test_data)
        lower, upper = count_request(body, model=vector["response_model"], api=vector["api"]).bounds
        assert lower <= vector["prompt_tokens"] <= (upper or vector["prompt_tokens"]), vector["id"]


def test_recorded_text_and_audio_have_an_upper_bound(test_data: Path) -> None:
    bounded = {}
    for vector in recorded(test_data, "file") + recorded(test_data, "audio"):
        body = with_blobs(vector["request_body"], test_data)
        count = count_request(body, model=vector["response_model"], api=vector["api"])
        if count.bounds[1] is not None:
            bounded[vector["id"]] = count.input_tokens - vector["prompt_tokens"]
    # One text file, five tokens short of what it cost; two Word documents; one recording of 3.70 s.
    assert bounded["82c04aafb050cab5"] == -5
    assert bounded["464a346c539fd324"] == -1
    assert bounded["ac57955a05cc0b94"] == 4
    assert bounded["1c92ce12f99d7eae"] == 0
