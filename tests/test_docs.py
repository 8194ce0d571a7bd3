"""Every claim runs: the README's examples, the commands it names, the examples in docstrings and help texts."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import aoai_cost
from aoai_cost.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = README + "".join(
    (ROOT / "docs" / name).read_text("utf-8")
    for name in (
        "prices.md",
        "log-formats.md",
        "reconcile.md",
        "what-if.md",
        "forecast.md",
        "reports.md",
        "notebooks.md",
    )
)
BLOCKS = re.findall(r"```python\n(.*?)```", PAGES, re.DOTALL)
# Fetching prices is tested against a server of this machine's own; here nothing goes to the network.
FETCHING = "aoai-cost prices refresh"
PAGE_COMMANDS = [one for one in re.findall(r"`(aoai-cost [^`]+)`", PAGES) if "MODEL" not in one and one != FETCHING]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(aoai_cost.__path__, "aoai_cost.")
    if not module.name.endswith(".__main__")
)


@pytest.fixture
def beside_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, where examples/ is what it is at the top of the repository."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_has_an_example_for_each_journey() -> None:
    assert len(re.findall(r"```python", README)) == 5
    assert len(PAGE_COMMANDS) >= 6


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[3])
@pytest.mark.usefixtures("beside_examples")
def test_an_example_of_the_pages_prints_what_it_says(block: str) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(block, "a page", "exec"), {})
    said = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
    printed = out.getvalue().splitlines()
    assert printed
    if said:
        assert printed == said


def run(command: str) -> int:
    command, _, file = command.partition(" > ")
    printed = None
    for part in command.split(" | "):
        words = shlex.split(part)
        assert words[0] == "aoai-cost"
        result = CliRunner().invoke(main, words[1:], input=printed)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        printed = result.stdout
    if file:
        assert file == Path(file).name, "an example writes beside examples/, not into it"
        Path(file).write_text(printed or "", "utf-8")
    return result.exit_code


@pytest.mark.parametrize("command", PAGE_COMMANDS)
@pytest.mark.usefixtures("beside_examples")
def test_a_command_of_the_pages_runs(command: str) -> None:
    # 3: the example log has rows on purpose that cannot be priced or read.
    assert run(command) in (0, 3)


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = {name: command for name, command in commands(main) if f"aoai-cost {name}" != FETCHING}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("beside_examples")
def test_the_help_of_a_command_has_an_example_that_runs(name: str) -> None:
    command = COMMANDS[name]
    examples = re.findall(r"^\s*(aoai-cost .*)$", command.help or "", re.MULTILINE)
    assert examples
    for example in examples:
        assert run(example) in (0, 3)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    module = importlib.import_module(name)
    names = {**vars(aoai_cost), **{key: getattr(aoai_cost, key) for key in aoai_cost.__all__}, **vars(module)}
    result = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
