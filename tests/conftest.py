"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STRICT = os.environ.get("VISUAL_SUMMARIES_STRICT") == "1"


def missing(what: str) -> None:
    """Skip the test, or fail it where everything must be present (CI)."""
    if STRICT:
        pytest.fail(f"{what}, and VISUAL_SUMMARIES_STRICT=1 allows no skip")
    pytest.skip(what)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real networks and photographs (weights/ and images/)."""
    path = Path(os.environ.get("VISUAL_SUMMARIES_DATA", ROOT.parent / "shared" / "data"))
    if not (path / "weights" / "nets.py").is_file():
        missing(f"no real networks and photographs at {path} (set VISUAL_SUMMARIES_DATA)")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser that pages are tested in."""
    path = os.environ.get("VISUAL_SUMMARIES_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        missing("no chromium on the PATH (Debian: apt-get install chromium)")
    assert path is not None
    return path
