"""What every test shares: fixed Hypothesis profiles and the folder of test data that a clone may lack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("quick", max_examples=100, deadline=None, derandomize=True, print_blob=True)
settings.register_profile(
    "deep", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own: what the machine's user has refreshed plays no part."""
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("AOAI_COST_DATA", str(folder))
    return folder


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of corpora, samples and hostile inputs; absent in a user's clone, required in CI."""
    folder = Path(os.environ.get("AOAI_COST_TEST_DATA", ROOT.parent / "shared"))
    if not (folder / "corpora").is_dir():
        message = f"no test data in {folder}: set AOAI_COST_TEST_DATA to the folder that holds corpora/ and samples/"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
