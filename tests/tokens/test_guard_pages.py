"""No kernel reads a byte beyond a text, before it or after its NUL: the next one would end the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import guard_pages
import pytest


def run(what: str) -> subprocess.CompletedProcess[str]:
    # The address sanitizer, if this runs under it, would turn the signal into an exit code.
    env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"}
    command = [sys.executable, Path(guard_pages.__file__), what]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


@pytest.mark.parametrize("what", ["overread", "underread"])
def test_one_byte_outside_a_guarded_text_ends_the_process(what: str) -> None:
    done = run(what)
    # The text and its NUL were read; the byte beside them was not.
    assert done.stdout == "b'abc\\x00'\n"
    assert done.returncode == -signal.SIGSEGV, done.stderr


@pytest.mark.parametrize("text", ["x", "\xe9", "\u6f22", "\U0001f600"], ids=["ASCII", "Latin-1", "UCS-2", "UCS-4"])
def test_a_kernel_that_reads_beyond_a_guarded_text_ends_the_process(text: str) -> None:
    # The text itself is counted; then it claims two characters more than there are, and the kernel believes it.
    done = run(f"o200k_base:{text}")
    assert done.stdout == "1\n"
    assert done.returncode == -signal.SIGSEGV, done.stderr


def test_guarded_texts_of_every_length_and_width_have_the_answers_of_others() -> None:
    done = run("check")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(guard_pages.PATTERNS) * len(guard_pages.LENGTHS) * 2
