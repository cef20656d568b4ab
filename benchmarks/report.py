"""The page that people look at: how large it is, and how soon it can be used.

Run with ``python benchmarks/report.py --json FILE [--data DIR]``. Reports of 100 images are opened in headless Chromium, in a
fresh profile each time: of images of noise, which compress worse than any photograph (nothing is computed for them), of drawn
birds explained by the demo's network and, with ``--data``, of photographs explained by a network of ImageNet. *Usable* is
counted from the start of the navigation until a click on the second summary has been answered and drawn: that needs the page
read, laid out, its script run and its pictures decoded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Browser, sync_playwright

import visual_summaries as vs
from visual_summaries.birds.pictures import write_images
from visual_summaries.demo import demo_network
from visual_summaries.pages.report import write_report
from visual_summaries.runs.manifest import hardware, versions

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from drawn_runs import make_run

#: Seed of the first drawn image; neither training, accuracy, effects nor the demo use these.
SEED = 50_000_000
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


def drawn_run(images: int, folder: Path) -> vs.Run:
    """Return a run of drawn birds."""
    if not (folder / "images").exists():
        write_images(folder / "images", 0, images, seed=SEED)
    return vs.summarize(demo_network(), folder / "images", 0, folder / "run", resume=(folder / "run").exists())


def photo_run(images: int, folder: Path, data: Path) -> vs.Run:
    """Return a run of photographs."""
    network, folder_name, index = PHOTOS
    return vs.summarize(
        f"{data / 'weights' / 'nets.py'}:{network}",
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


def bars_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was asked for, beside what was found."""
    bars = []
    for name, key, bound, unit in (("size", "megabytes", 15, "MB"), ("usable after", "usable_ms", 1000, "ms")):
        for row in rows:
            title = f"report of {row['images']} {row['run']}: {name}, {unit}"
            bars.append({"name": title, "value": row[key], "bound": bound, "sense": "<", "holds": row[key] < bound})
    return bars


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with weights/nets.py and images/; without, drawn images only")
    parser.add_argument("--json", type=Path, required=True, help="where the results go")
    parser.add_argument(
        "--size", choices=("quick", "full"), default="full", help="quick: 10 images, opened 2 times; full: 100, 9"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("build/benchmark-report"), help="folder of the runs; kept, and gone on with"
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="which reports")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    arguments = parser.parse_args()
    quick = arguments.size == "quick"
    count, times = (10, 2) if quick else (100, 9)
    runs = {}
    if "noise" in arguments.part:
        runs["images of noise"] = make_run(100, (224, 250), texture=60)
    if "drawn" in arguments.part:
        runs["drawn images"] = drawn_run(count, arguments.work / f"drawn-{count}")
    if "photographs" in arguments.part and arguments.data is not None:
        runs["photographs"] = photo_run(count, arguments.work / f"photos-{count}", arguments.data)
    arguments.work.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=flags)
        rows = [
            row_of(name, run, arguments.work.resolve() / f"{name.replace(' ', '-')}.html", browser, times)
            for name, run in runs.items()
        ]
        chromium = browser.version
        browser.close()
    result = {
        "benchmark": "report",
        "size": arguments.size,
        "hardware": hardware(torch.device("cpu")),
        "versions": versions() | {"chromium": chromium},
        "settings": {"opened": times, "photographs": list(PHOTOS)},
        "rows": rows,
        "bars": bars_of(rows),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
