"""Static figures: what is drawn is what the run holds, in files that are the same each time."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import visual_summaries as vs
from visual_summaries.cli import main
from visual_summaries.errors import MissingExtraError, SettingsError
from visual_summaries.pages.figures import plot_importance, plot_summaries, plot_summary, write_figure
from visual_summaries.pages.report import render_strip
from visual_summaries.results import TargetInfo


def test_a_row_shows_each_member_in_its_place(striped_run: vs.Run) -> None:
    summary = striped_run.summaries[0]
    ax = plot_summary(striped_run, summary, columns=10)
    pictures = ax.get_images()
    assert len(pictures) == min(10, len(summary.members))
    for place, picture in enumerate(pictures):
        left, right, bottom, top = picture.get_extent()
        assert place < left < right < place + 1
        assert 0 < bottom < top < 1
    few = summary.plot(columns=1, style="warped")
    (only,) = few.get_images()
    assert np.array_equal(only.get_array(), summary.members[0].warped)
    left, right, bottom, top = only.get_extent()
    height, width = summary.members[0].warped.shape[:2]
    assert (right - left) / (top - bottom) == pytest.approx(width / height)  # not distorted


def test_the_layout_has_a_row_for_each_summary(striped_run: vs.Run) -> None:
    figure = striped_run.plot(most=1)
    assert len(figure.axes) == 1
    assert len(plot_summaries(striped_run).axes) == len(striped_run.summaries)
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "marked" in texts
    assert "6 of 6 images right" in texts


def test_the_chart_has_the_importances(striped_run: vs.Run) -> None:
    ax = plot_importance(striped_run)
    hidden, controls = ([bar.get_width() for bar in bars.patches] for bars in ax.containers[:2])
    analyses = [summary.analysis for summary in striped_run.summaries]
    assert hidden == [summary.importance for summary in striped_run.summaries]
    assert controls == [one.control for one in analyses if one]
    [lines] = ax.containers[2].lines[2]
    ends = [segment[:, 0].tolist() for segment in lines.get_segments()]
    assert ends == [pytest.approx([one.control + bound for bound in one.interval]) for one in analyses if one]


def test_the_chart_is_not_cut(striped_run: vs.Run) -> None:
    figure = plot_importance(striped_run).figure
    figure.draw_without_rendering()
    around = figure.get_tightbbox()
    assert around.x0 >= 0
    assert around.y0 >= 0
    assert (around.x1, around.y1) <= tuple(figure.get_size_inches())


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
@pytest.mark.parametrize("kind", ["summaries", "importance"])
def test_files_of_each_kind_are_the_same_each_time(
    striped_run: vs.Run, tmp_path: Path, suffix: str, start: bytes, kind: str
) -> None:
    first = write_figure(striped_run, tmp_path / f"a{suffix}", kind).read_bytes()
    assert first.startswith(start)
    assert write_figure(striped_run, tmp_path / f"b{suffix}", kind).read_bytes() == first


def test_names_with_dollar_signs_are_no_formulas(striped_run: vs.Run) -> None:
    info = replace(striped_run.info, target=TargetInfo(0, "a $\\frac{$ b"))
    figure = plot_summaries(replace(striped_run, info=info))
    figure.draw_without_rendering()  # a formula that cannot be parsed would raise


def test_what_cannot_be_drawn_is_named(striped_run: vs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"ends in '\.bmp', but a figure is written as \.png, \.svg, \.pdf"):
        write_figure(striped_run, tmp_path / "a.bmp")
    with pytest.raises(SettingsError, match="no summaries"):
        plot_summaries(replace(striped_run, summaries=()))
    with pytest.raises(SettingsError, match="style is 'x'"):
        plot_summary(striped_run, striped_run.summaries[0], style="x")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"visual-summaries\[plot\]"):
        plot_summaries(striped_run)


def test_the_command(striped_run: vs.Run, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    assert main(["figure", str(striped_run.path), "--out", str(path)]) == 0
    assert PIL.Image.open(path).width > 1000
    assert main(["figure", str(striped_run.path), "--out", str(path), "--kind", "x"]) == 2


def test_notebooks_show_the_summaries(striped_run: vs.Run) -> None:
    name = "<script>alert(1)</script>"
    html = replace(striped_run, info=replace(striped_run.info, target=TargetInfo(0, name)))._repr_html_()
    assert "<script" not in html
    assert html.count("<tr>") == len(striped_run.summaries)
    shown = sum(min(6, len(summary.members)) for summary in striped_run.summaries)
    assert len(re.findall(r'src="data:image/webp;base64,', html)) == html.count("<img") == shown
    assert striped_run._repr_html_() == render_strip(striped_run)


def test_a_run_is_shown_as_a_line(striped_run: vs.Run) -> None:
    assert repr(striped_run) == (
        f"<Run of {striped_run.info.classifier.spec} on 'marked' (0): {len(striped_run.images)} images, "
        f"{len(striped_run.summaries)} summaries, in {str(striped_run.path)!r}>"
    )
    target = replace(striped_run.info, target=TargetInfo(None, "line\nbreak"))
    assert repr(replace(striped_run, path=None, info=target)).count("\n") == 0
