"""The packaged vocabularies are the official ones, load anywhere, and say so when they are not whole."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from reference_tokens import BYTE_RANKS, official_file, packaged_ranks
from tiktoken_ext import openai_public

from aoai_cost._fast.bpe import Vocabulary
from aoai_cost._fast.split import FAMILIES
from aoai_cost.errors import VocabularyError
from aoai_cost.tokens import build_vocabularies
from aoai_cost.tokens.build_vocabularies import list_merges, official_name, pack_official, read_official
from aoai_cost.tokens.encoding import ENCODING_NAMES
from aoai_cost.tokens.vocabulary import OFFICIAL_DIGESTS, load_merges, packaged_path

NAMES = sorted(OFFICIAL_DIGESTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_packaged_vocabulary_gives_back_the_official_file(name: str) -> None:
    assert hashlib.sha256(official_file(name)).hexdigest() == OFFICIAL_DIGESTS[name]


def test_the_digests_are_those_in_tiktokens_source() -> None:
    source = Path(openai_public.__file__).read_text("utf-8")
    assert all(digest in source for digest in OFFICIAL_DIGESTS.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_official_files_hold_the_same_tokens(name: str, test_data: Path) -> None:
    assert read_official(name, test_data / "vocab" / f"{name}.tiktoken") == packaged_ranks(name)


def test_the_build_writes_every_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.tiktoken").write_bytes(official_file(name))
    monkeypatch.setattr(build_vocabularies, "packaged_path", lambda name: tmp_path / f"{name}.bin")
    build_vocabularies.main(tmp_path)
    for name in NAMES:
        assert (tmp_path / f"{name}.bin").read_bytes() == packaged_path(name).read_bytes()


def test_the_build_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(official_file("r50k_base") + b"\n")
    with pytest.raises(VocabularyError, match="SHA-256 differs"):
        pack_official("r50k_base", tmp_path / "file")
    with pytest.raises(VocabularyError, match="cannot be read"):
        pack_official("r50k_base", tmp_path / "absent")


@pytest.mark.parametrize("name", NAMES)
def test_the_tokens_tell_their_vocabulary(name: str) -> None:
    ranks = packaged_ranks(name)
    assert official_name(dict(sorted(ranks.items()))) == name
    assert official_name({**ranks, b"one more token": 260_000}) is None


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        pytest.param({b"ab": 1 << 18}, "up to 262144", id="an id too great"),
        pytest.param({b"ab": 255}, "257 tokens with 256 ids", id="two tokens of one id"),
        pytest.param({b"abc": 256}, "not made by its own merges", id="a token that is never merged"),
        pytest.param({b"a" * 129: 256}, "more than 128 bytes", id="a token too long"),
        pytest.param({b"": 256}, "a token is empty", id="an empty token"),
        pytest.param({b"a": 300}, "the single bytes", id="a byte elsewhere"),
    ],
)
def test_tokens_that_merges_alone_do_not_tell(tokens: dict[bytes, int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        list_merges({**BYTE_RANKS, **tokens})


def damaged(change: str, content: bytes) -> bytes:
    if change == "cut":
        return content[:-1]
    if change == "header only":
        return content[:20]
    if change == "another file":
        return b"<html>" + content[6:]
    if change == "one bit":
        return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]
    return packaged_path("p50k_base").read_bytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("cut", "damaged"),
        ("header only", "cut short"),
        ("another file", "not a packaged vocabulary"),
        ("one bit", "damaged"),
        ("of another encoding", "another file than the official one"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(change: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "r50k_base.bin"
    path.write_bytes(damaged(change, packaged_path("r50k_base").read_bytes()))
    with pytest.raises(VocabularyError, match=reason) as caught:
        load_merges("r50k_base", path)
    assert caught.value.encoding == "r50k_base"
    assert str(path) in str(caught.value)


def test_an_absent_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="install the package again") as caught:
        load_merges("r50k_base", tmp_path / "absent.bin")
    assert caught.value.looked_in == str(tmp_path / "absent.bin")


@pytest.mark.parametrize(
    ("merges", "reason"),
    [
        pytest.param(bytes(range(255)), "no list of merges", id="less than the 256 bytes"),
        pytest.param(bytes(range(256)) + bytes(5), "no list of merges", id="half a merge"),
        pytest.param(bytes(256), "given twice", id="a byte twice"),
        pytest.param(bytes(range(256)) + b"\x00\x01\x00\x00\x00\x00", "not earlier", id="merged from itself"),
        pytest.param(bytes(range(256)) + b"aa\0\0\0\0bb\0\0\0\0", "spelled like an earlier one", id="a token twice"),
    ],
)
def test_a_list_of_merges_that_is_none(merges: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Vocabulary(merges, FAMILIES["o200k"])
    with pytest.raises(ValueError, match="no family"):
        Vocabulary(bytes(range(256)), 7)


def test_every_encoding_loads_in_any_folder_without_the_network(tmp_path: Path) -> None:
    program = f"""
import socket
def refuse(*args, **options): raise AssertionError("the network was asked for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import sys
from aoai_cost import get_encoding
print([get_encoding(name).count("hello world") for name in {ENCODING_NAMES!r}])
print([name for name in ("numpy", "pandas", "tiktoken", "PIL", "rich", "click") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[2, 2, 2, 2, 2, 2, 2]", "[]"]
