"""The panel of sliders in a real JupyterLab, moved by the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_lab import browser_page, jupyter_lab

from aoai_cost import ContractDiscount, ScaleVolume, SwapModel, markup, read_usage, what_if

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LOG, DEPLOYMENTS = EXAMPLES / "logs", EXAMPLES / "deployments.toml"
CELL = f"""
from aoai_cost import read_usage, whatif_panel
whatif_panel(read_usage({str(LOG)!r}), deployments={str(DEPLOYMENTS)!r})
""".strip()
HERE = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
PATIENT_MS = 60_000


def a_notebook(path: Path) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(CELL)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def run_the_cell(page: Any) -> None:
    from playwright.sync_api import TimeoutError as TooLate

    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(timeout=PATIENT_MS)
    shown = page.locator(".aoai-cost .headline")
    for _ in range(6):
        # A cell that is run while the kernel is still connecting is forgotten.
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Control+Enter")
        try:
            shown.wait_for(timeout=PATIENT_MS / 6)
        except TooLate:
            continue
        return
    raise AssertionError("the cell shows no panel: " + page.locator(".jp-Notebook").inner_text())


def test_the_total_follows_the_sliders_and_nothing_goes_out(tmp_path: Path) -> None:
    from playwright.sync_api import expect  # only here is it needed

    folder, home = tmp_path / "notebooks", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    a_notebook(folder / "panel.ipynb")
    log = read_usage(LOG)

    def total(*changes: object) -> str:
        found = what_if(log, *changes, deployments=DEPLOYMENTS)  # type: ignore[arg-type]
        return f"{markup.amount(found.after.total)} USD, at least"

    with jupyter_lab(folder, home) as address, browser_page() as (page, asked):
        page.goto(address.format("panel.ipynb"), timeout=PATIENT_MS)
        run_the_cell(page)
        headline = page.locator(".aoai-cost .headline")
        expect(headline).to_have_text(total())

        volume, _, _, discount = page.locator(".noUi-handle").all()
        discount.focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        expect(headline).to_have_text(total(ContractDiscount("0.03")))
        volume.focus()
        page.keyboard.press("ArrowLeft")
        expect(headline).to_have_text(total(ScaleVolume("0.95"), ContractDiscount("0.03")))

        page.get_by_label("In place of").select_option("gpt-4o")
        page.get_by_label("ask", exact=True).select_option("gpt-4.1-mini")
        swapped = total(SwapModel("gpt-4o", "gpt-4.1-mini"), ScaleVolume("0.95"), ContractDiscount("0.03"))
        expect(headline).to_have_text(swapped)
        expect(page.locator(".aoai-cost table.panel svg rect.less").first).to_be_visible()
        assert len(asked) > 50
        assert [one for one in asked if not one.startswith(HERE)] == []
