"""The wheel and the sdist hold what they should, and work installed from clean. Run by `make dist`."""

from __future__ import annotations

import os
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.dist

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "aoai_cost"
KERNELS = sorted(path.stem for path in (SOURCES / "_fast").glob("*.pyx"))


def only(pattern: str) -> Path:
    found = sorted((ROOT / "dist").glob(pattern))
    assert len(found) == 1, f"expected one dist/{pattern}, found {found}; run `make dist`"
    return found[0]


def test_the_wheel_holds_the_package_and_nothing_else() -> None:
    with zipfile.ZipFile(only("*.whl")) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"aoai_cost"}
    for kernel in KERNELS:
        assert any(name.startswith(f"aoai_cost/_fast/{kernel}.") and name.endswith(".so") for name in names), kernel
        assert f"aoai_cost/_fast/{kernel}.pyi" in names
    expected = {
        path.relative_to(SOURCES.parent).as_posix()
        for path in SOURCES.rglob("*")
        if path.suffix in (".py", ".pyi", ".toml", ".json", ".bin", ".css", ".js") or path.name == "py.typed"
    }
    assert expected <= set(names)
    assert not [name for name in names if name.endswith((".c", ".tiktoken")) or "/tests/" in name]


def test_the_sdist_holds_all_that_a_build_needs() -> None:
    with tarfile.open(only("*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "setup.py", "README.md", "LICENSE", "src/aoai_cost/py.typed"}
    needed |= {path.relative_to(ROOT).as_posix() for path in (SOURCES / "_fast").iterdir() if path.suffix in
               (".pyx", ".pxd", ".pyi", ".pxi", ".h")}  # fmt: skip
    assert needed <= names
    assert not [name for name in names if name.endswith((".so", ".c", ".tiktoken"))]


PROGRAM = """
import socket
def refuse(*args, **options): raise AssertionError("the network was asked for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import datetime
import aoai_cost
assert "site-packages" in aoai_cost.__file__, aoai_cost.__file__
for name in ("cl100k_base", "o200k_base", "o200k_harmony", "p50k_base", "p50k_edit", "r50k_base", "gpt2"):
    encoding = aoai_cost.get_encoding(name)
    assert encoding.decode(encoding.encode("hello world")) == "hello world"
chat = aoai_cost.Deployment("account", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
print(aoai_cost.estimate_request(body, chat, on=datetime.date(2026, 10, 1)).input_tokens)
"""


@pytest.mark.parametrize("form", ["*.whl", "*.tar.gz"])
def test_a_clean_install_counts_and_prices_offline(form: str, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "AOAI"))}
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", only(form)]
    subprocess.run(install, check=True, cwd=tmp_path, env=env)
    done = subprocess.run([python, "-c", PROGRAM], check=True, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "8"
    command = [python.with_name("aoai-cost"), "count", "--model", "gpt-4o", "--text", "hello world"]
    assert subprocess.run(command, check=True, cwd="/", env=env, capture_output=True, text=True).stdout == "2\n"
