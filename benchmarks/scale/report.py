"""The page that people look at: how large it is, and how soon it can be used.

Run with ``python benchmarks/scale/report.py --json FILE [--data DIR] [--size quick|full]``. Reports of 100 images are opened in
headless Chromium, in a fresh profile each time: of images of noise, which compress worse than any photograph (nothing is
computed for them), of drawn birds explained by the demo's network and, with ``--data``, of photographs explained by a network
of ImageNet. *Usable* is counted from the start of the navigation until a click on the second summary has been answered and
drawn: that needs the page read, laid out, its script run and its pictures decoded.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import visual_summaries as vs
from benchmarks.harness import bar, finish, parser, results, spec_of
from benchmarks.made_runs import make_run
from benchmarks.seeds import seeds
from visual_summaries.birds.pictures import write_images
from visual_summaries.demo import demo_network
from visual_summaries.pages.report import write_report

#: What is reported on.
PARTS = ("noise", "drawn", "photographs")
#: Network and folder of photographs with their class: 100 of 224 x 224 pixels.
PHOTOS = ("mobilenetv1_050", "imagenette224/000_tench", 0)
#: Answers a click on the second summary: gives milliseconds since the start of the navigation when it has been drawn.
USABLE = """() => new Promise((done) => {
  const act = () => {
    (document.querySelectorAll(".card")[1] ?? document.querySelector(".gallery a")).click();
    requestAnimationFrame(() => setTimeout(() => done(performance.now())));
  };
  if (document.readyState === "complete") act();
  else addEventListener("load", act);
})"""
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Open a headless Chromium: that of ``VISUAL_SUMMARIES_CHROMIUM``, or the one on the path."""
    name = os.environ.get("VISUAL_SUMMARIES_CHROMIUM", "chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which(name) or name, args=flags)
        yield browser
        browser.close()


def drawn_run(images: int, folder: Path) -> vs.Run:
    """Return a run of drawn birds."""
    if not (folder / "images").exists():
        write_images(folder / "images", 0, images, seed=seeds("report", 0, images).start)
    return vs.summarize(demo_network(), folder / "images", 0, folder / "run", resume=(folder / "run").exists())


def photo_run(images: int, folder: Path, data: Path) -> vs.Run:
    """Return a run of photographs."""
    network, folder_name, index = PHOTOS
    return vs.summarize(
        spec_of(network, data),
        data / "images" / folder_name,
        index,
        folder,
        max_images=images,
        include_misclassified=True,
        resume=folder.exists(),
    )


def opened(browser: Browser, page: Path, width: int) -> tuple[float, float]:
    """Return the milliseconds until a page is loaded, and until it can be used."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    tab = context.new_page()
    tab.goto(page.as_uri(), wait_until="commit")
    usable = float(tab.evaluate(USABLE))
    loaded = float(tab.evaluate(LOADED))
    context.close()
    return loaded, usable


def row_of(name: str, run: vs.Run, page: Path, browser: Browser, times: int) -> dict[str, Any]:
    """Return the row of one run."""
    start = time.perf_counter()
    write_report(run, page)
    written = time.perf_counter() - start
    opened(browser, page, 1280)  # the first start of a tab warms the browser, not the page
    found = [opened(browser, page, 1280) for _ in range(times)]
    narrow = [opened(browser, page, 360) for _ in range(times)]
    row = {
        "run": name,
        "images": len(run.images),
        "pixels": "x".join(map(str, run.images[0].view.shape[1::-1])),
        "regions": len(run.regions),
        "summaries": len(run.summaries),
        "megabytes": page.stat().st_size / 1e6,
        "seconds_to_write": written,
        "loaded_ms": statistics.median(loaded for loaded, _ in found),
        "usable_ms": statistics.median(usable for _, usable in found),
        "usable_ms_worst": max(usable for _, usable in found),
        "usable_ms_360_px_wide": statistics.median(usable for _, usable in narrow),
    }
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    """Measure and write."""
    arguments = parser(__doc__, "10 images, opened 2 times", "100, 9 times")
    add = arguments.add_argument
    add("--work", type=Path, default=Path("build/benchmark-report"), help="folder of the runs; kept, and gone on with")
    add("--part", nargs="+", choices=PARTS, default=PARTS, help="which reports")
    options = arguments.parse_args()
    count, times = (10, 2) if options.size == "quick" else (100, 9)
    runs = {}
    if "noise" in options.part:
        runs["images of noise"] = make_run(100, (224, 250), texture=60)
    if "drawn" in options.part:
        runs["drawn images"] = drawn_run(count, options.work / f"drawn-{count}")
    if "photographs" in options.part and options.data is not None:
        runs["photographs"] = photo_run(count, options.work / f"photos-{count}", options.data)
    options.work.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        rows = [
            row_of(name, run, options.work.resolve() / f"{name.replace(' ', '-')}.html", browser, times)
            for name, run in runs.items()
        ]
        version = browser.version
    bars = [
        bar(f"report of {row['images']} {row['run']}: {name}, {unit}", row[key], bound, "<")
        for name, key, bound, unit in (("size", "megabytes", 15, "MB"), ("usable after", "usable_ms", 1000, "ms"))
        for row in rows
    ]
    found = results("report", options.size, {"opened": times, "photographs": list(PHOTOS)}, rows, bars)
    found["versions"]["chromium"] = version
    finish(found, options.json)


if __name__ == "__main__":
    main()
