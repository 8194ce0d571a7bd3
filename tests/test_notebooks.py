"""The notebooks: run from top to bottom, committed without what came out, and written with public names alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import aoai_cost

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OUTSIDE = {*sys.stdlib_module_names, "altair", "pandas"}
LONGEST_CELL_LINES = 25
SHOWN = {
    "01-before-you-send.ipynb": "tokens for gpt-4.1-mini",
    "02-last-month.ipynb": "1,608.09 USD billed",
    "03-what-if.ipynb": "1,607.91 USD would be 168.07 USD: -1,439.84",
    "04-fine-tune-or-not.ipynb": "in place of gpt-4o, with examples: from 1,0",
    "05-ptu-or-pay-as-you-go.ipynb": "210 PTUs for gpt-4.1",
}
"""What comes out of a cell of each; the example data is fixed, and so are the days."""


def code_of(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def without_magics(source: str) -> str:
    if source.startswith("%%"):
        return ""
    return "\n".join(line for line in source.splitlines() if not line.startswith("%"))


def test_there_is_a_notebook_for_each_story() -> None:
    assert [path.name for path in NOTEBOOKS] == sorted(SHOWN)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_what_came_out(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].source.startswith("# ")
    assert "**The decision.**" in notebook.cells[-1].source
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not cell.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_uses_public_names(path: Path) -> None:
    for source in code_of(path):
        assert len(source.splitlines()) <= LONGEST_CELL_LINES
        for node in ast.walk(ast.parse(without_magics(source))):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= OUTSIDE
            elif isinstance(node, ast.ImportFrom):
                if node.module == "aoai_cost":
                    assert {alias.name for alias in node.names} <= set(aoai_cost.__all__)
                else:
                    assert (node.module or "").split(".")[0] in OUTSIDE
            elif isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")


@pytest.mark.notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(home))
    notebook: Any = nbformat.read(path, as_version=4)
    # Where JupyterLab starts it.
    there = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, kernel_name="python3", timeout=120, resources=there).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [one for one in outputs if one.output_type == "error" or one.get("name") == "stderr"]
    said = "".join(str(one.get("text", "")) + str(one.get("data", "")) for one in outputs)
    assert SHOWN[path.name] in said
    assert "image/png" in said
    assert "<script" not in said
    assert "https://" not in said
