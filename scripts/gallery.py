"""Draw the gallery of docs/how-to/interpreting-results.md: summaries of drawn birds and of photographs.

The birds are those of ``visual-summaries demo``; photographs and networks are those of docs/tutorials/finding-a-shortcut.md,
whose Python is run as it stands (its photographs come with scikit-image). Both take some minutes. Runs that are already in the
folder are used.

    python scripts/gallery.py FOLDER
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from pathlib import Path

from matplotlib.figure import Figure

import visual_summaries as vs
from visual_summaries.demo import run_demo
from visual_summaries.pages.figures import plot_summary

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL = ROOT / "docs" / "tutorials" / "finding-a-shortcut.md"
IMAGES = ROOT / "docs" / "images"
#: Picture -> folder of the run, and the position of the summary.
GALLERY = {
    "gallery-part": ("demo-run/run", 0),
    "gallery-mixed": ("demo-run/run", 2),
    "gallery-shortcut": ("shop-run", 1),
    "gallery-chance": ("shop-run", 2),
    "gallery-removed": ("fair-run", 0),
}


def make_runs() -> None:
    """Make the runs that are not in the working folder."""
    if not Path("demo-run/run/manifest.json").is_file():
        run_demo(Path("demo-run"))
    if not Path("fair-run/manifest.json").is_file():
        blocks = re.findall(r"^```python\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        exec(compile("\n".join(blocks), TUTORIAL.name, "exec"), {"__name__": "tutorial"})  # noqa: S102 - the page is ours


def draw(name: str, run: vs.Run, position: int) -> None:
    """Write the picture of a summary: six members, exemplar first, as images and as evidence."""
    figure = Figure(figsize=(7.2, 2.5), dpi=100)
    upper, lower = figure.subplots(2, 1)
    summary = run.summaries[position]
    plot_summary(run, summary, upper, columns=6, style="image")
    plot_summary(run, summary, lower, columns=6)
    for axes in (upper, lower):
        axes.set_title("")
    figure.subplots_adjust(0, 0, 1, 1, hspace=0.02)
    figure.savefig(IMAGES / f"{name}.jpg", pil_kwargs={"quality": 85, "optimize": True})
    print(name, summary.analysis and (summary.analysis.importance, summary.analysis.control, summary.analysis.interval))


def main() -> None:
    """Make the runs and draw all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder for the runs")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        make_runs()
        for name, (path, position) in GALLERY.items():
            draw(name, vs.load_run(Path(path)), position)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    main()
