"""Fixtures that several test modules share."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import visual_summaries as vs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
STRICT = os.environ.get("VISUAL_SUMMARIES_STRICT") == "1"


def missing(what: str) -> None:
    """Skip the test, or fail it where everything must be present (CI)."""
    if STRICT:
        pytest.fail(f"{what}, and VISUAL_SUMMARIES_STRICT=1 allows no skip")
    pytest.skip(what)


def pytest_configure() -> None:
    """Share the cores out where several processes run tests, here and in the processes that tests start."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that fork their process first: a child cannot compute gradients once its parent has threads for them."""
    items.sort(key=lambda item: item.path.name != "test_faults.py")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make any skip a failure where everything must be present, whatever test it comes from."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if STRICT and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """The browser, started once for the tests of a module."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install visual-summaries[test])"
    )
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages from disk; at the end no console message, error, dialog or request may have been seen on any."""
    contexts, seen = [], []

    def open_page(
        path: Path, hash_: str = "", *, width: int = 1280, height: int = 800, script: str = "", **options: Any
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.on("console", lambda message: seen.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: seen.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (seen.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        inside = ("file:", "data:", "blob:")
        page.on("request", lambda request: None if request.url.startswith(inside) else seen.append(request.url))
        page.goto(path.as_uri() + hash_)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script, which finds what keeps people from using a page."""
    if importlib.util.find_spec("axe_playwright_python") is None:
        missing("axe-core is not installed (pip install visual-summaries[test])")
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def faults(axe: str) -> Callable[[Page], list[str]]:
    """Returns what axe-core finds wrong with a page, in light and in dark colors, with all panels open: rule and element."""

    def find(page: Page) -> list[str]:
        page.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
        page.evaluate(axe)
        found: list[str] = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found += page.evaluate(
                "axe.run().then(r => r.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html.slice(0, 150)}`)))"
            )
        return found

    return find


#: Side of the striped patches, in pixels.
PATCH = 20


class StripeNetwork(torch.nn.Module):
    """A network whose evidence is known: red vertical stripes and blue horizontal stripes, and nothing else.

    Class 0, "marked", needs both (either alone leaves its probability at about one half); class 1, "plain", is the rest.
    Stripes are destroyed by the published blur, plain colors are not evidence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.tensor(-6.0))
        self.norm = torch.nn.BatchNorm2d(3)  # has buffers that must not change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x)
        red = (x[:, 0, :, 1:] - x[:, 0, :, :-1]).abs()
        blue = (x[:, 2, 1:, :] - x[:, 2, :-1, :]).abs()
        found = [maps.sum(dim=(1, 2)) / PATCH**2 for maps in (red, blue)]
        marked = 12 * (found[0].clamp(max=0.5) + found[1].clamp(max=0.5)) + self.bias
        return torch.stack([marked, torch.zeros_like(marked)], dim=1)


@dataclass(frozen=True)
class StripedImages:
    """Images (N, H, W, 3) with a patch of red vertical and one of blue horizontal stripes, and the patches' boxes."""

    images: np.ndarray
    red: list[tuple[int, int, int, int]]
    blue: list[tuple[int, int, int, int]]


def striped_images(count: int, size: tuple[int, int] = (64, 112), random_state: int = 0) -> StripedImages:
    """Draw a red striped patch in the left third and a blue striped one in the right third of each image."""
    rng = np.random.default_rng(random_state)
    height, width = size
    side = PATCH
    images = np.full((count, height, width, 3), 120, np.uint8)
    red, blue = [], []
    for image in images:
        y, x = rng.integers(2, height - side - 2), rng.integers(2, width // 3 - side + 2)
        image[y : y + side, x : x + side] = (40, 40, 40)
        image[y : y + side, x : x + side, 0] = np.where(np.arange(side) % 4 < 2, 250, 10)[None, :]
        red.append((int(x), int(y), int(x) + side, int(y) + side))
        y, x = rng.integers(2, height - side - 2), rng.integers(2 * width // 3 - 2, width - side - 2)
        image[y : y + side, x : x + side] = (40, 40, 40)
        image[y : y + side, x : x + side, 2] = np.where(np.arange(side) % 4 < 2, 250, 10)[:, None]
        blue.append((int(x), int(y), int(x) + side, int(y) + side))
    return StripedImages(images, red, blue)


@pytest.fixture(scope="session")
def draw_striped_images() -> Callable[..., StripedImages]:
    """The function that draws them."""
    return striped_images


def make_stripe_network() -> StripeNetwork:
    """Return the network, in evaluation mode, with the transform's configuration in timm's form."""
    module = StripeNetwork().eval()
    module.pretrained_cfg = {
        "input_size": (3, 64, 112),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "num_classes": 2,
        "label_names": ("marked", "plain"),
    }
    return module


@pytest.fixture(scope="session")
def shared_stripe_network() -> StripeNetwork:
    """The network for fixtures of a whole module; tests that change it take `stripe_network`."""
    return make_stripe_network()


@pytest.fixture
def stripe_network() -> StripeNetwork:
    """A network of the test's own."""
    return make_stripe_network()


@pytest.fixture(scope="session")
def striped_run(tmp_path_factory: pytest.TempPathFactory) -> vs.Run:
    """A stored run of the stripe network on six striped images; not to be changed."""
    folder = tmp_path_factory.mktemp("striped") / "run"
    settings = vs.preset("default")
    settings = replace(settings, regions=replace(settings.regions, boxes=120))
    return vs.summarize(make_stripe_network(), striped_images(6).images, "marked", folder, settings=settings)
