"""The claims benchmark: what it concludes from rows whose answer is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import visual_summaries as vs
from benchmarks.claims import claims
from benchmarks.harness import Finished, demo_classifier
from benchmarks.seeds import seeds
from visual_summaries.birds.pictures import write_images
from visual_summaries.settings import preset


def row(network: str, target: str, rank: int, summaries: int | None, within: float) -> dict[str, Any]:
    shown = {
        "summaries": summaries,
        "within": within,
        "random": 0.2,
        "images": 0.5,
        "entropy_within": 1.0,
        "entropy_random": 2.0,
        "entropy_images": None,
        "p_random": 0.01 if within > 0.3 else 0.5,
        "between": None if summaries == 2 else 0.25,  # as if there were one summary
        "information": None if summaries == 2 else within - 0.3,
        "bits": None if summaries == 2 else 1.0,
        "bits_random": None if summaries == 2 else 0.5,
        "p_information": None if summaries == 2 else 0.01,
        "named": 1,
    }
    return {
        "world": "photographs",
        "network": network,
        "class": target,
        "published": 40.0 + rank,
        "accuracy": 0.5 + 0.1 * rank,
        "images": 10 + rank,
        "with_regions": 10 + rank,
        "regions": 30,
        "published_clusters": 9 - rank,
        "published_regions": 20 - rank,
        "summaries": summaries,
        "stable": {},
        "presence": [4] * (summaries or 0),
        "tags": {"parts": {"box": shown, "masked": shown}} if summaries else {},
    }


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Four classes in each of which the number of summaries rises with accuracy; tags agree by 0.3 more than at random."""
    found = [
        row(network, target, rank, 2 + rank + 3 * shift, 0.4 + 0.1 * rank)
        for shift, target in enumerate("abcd")
        for rank, network in enumerate(("weak", "middling", "strong"))
    ]
    return [*found, {**row("blind", "a", 0, None, 0.0), "images": 1}]


def test_claims_that_hold(rows: list[dict[str, Any]]) -> None:
    tags, counts = claims.claim_a(rows), claims.claim_c(rows, preset("paper").summaries)
    box = next(found for found in tags if found["input"] == "box")
    assert (box["runs"], box["runs_with_p_below_0.05"]) == (12, 12)
    assert box["over_random"]["mean"] == pytest.approx(0.3)
    assert box["over_images"]["mean"] == pytest.approx(0.0)
    # eleven runs have another summary: four agree by .5, four by .6 and three by .4, .25 of it between summaries, too
    assert (box["runs_of_several"], box["runs_with_p_information_below_0.05"]) == (11, 11)
    assert box["over_between"]["mean"] == pytest.approx((4 * 0.5 + 4 * 0.6 + 3 * 0.4) / 11 - 0.25)
    assert box["informed"]["mean"] == pytest.approx((4 * 0.5 + 4 * 0.6 + 3 * 0.4) / 11 - 0.3)
    assert (box["between"], box["bits"], box["bits_random"]) == (0.25, 1, 0.5)
    assert box["within_of_several"] > box["within"]
    assert counts["photographs"]["on_the_images"]["summaries"]["within"]["rho"] == pytest.approx(1)
    assert counts["photographs"]["published"]["at_equal"]["within"]["rho"] == pytest.approx(1)
    assert math.isnan(counts["photographs"]["reasons"]["regions with accuracy, within classes"]["rho"])
    told = claims.told(tags, counts)
    assert {row["over_random"] for row in told if row["claim"] == "a"} == {"0.30 (0.26 to 0.34)"}
    [shown] = [r for r in told if r["claim"] == "c" and (r["measure"], r["accuracy"]) == ("summaries", "published")]
    assert (shown["within"][:4], shown["runs"]) == ("1.00", 12)
    holds = {bar["name"]: bar["holds"] for bar in claims.bars_of(tags, counts)}
    assert holds["a: parts, box: agreement over random regions: lower end of the interval"]
    assert not holds["a: parts, box: agreement over whole images: lower end of the interval"]
    assert holds["a: parts, box: agreement over other summaries of the run: lower end of the interval"]
    assert holds["a: parts, box: information about the summary: lower end of the interval"]
    assert holds["c: photographs: summaries with accuracy (published), within classes: lower end of the interval"]
    # the more accurate, the fewer clusters as published; no two runs of a class have as many images as the largest
    clusters = "published clusters with accuracy, within classes"
    assert not holds[f"c: photographs: {clusters}: lower end of the interval"]
    reasons = counts["photographs"]["reasons"]
    assert reasons[clusters]["rho"] == pytest.approx(-1)
    assert reasons[f"{clusters}, runs of as many images as the largest"]["points"] == 4


def test_claims_that_do_not_hold(rows: list[dict[str, Any]]) -> None:
    turned = [{**one, "accuracy": 1 - one["accuracy"]} for one in rows]
    counts = claims.claim_c(turned, preset("paper").summaries)
    [bar] = [b for b in claims.bars_of([], counts) if b["name"].startswith("c: photographs: summaries with accuracy (on the")]
    assert (bar["holds"], bar["value"], bar["mean"]) == (False, pytest.approx(-1), pytest.approx(-1))
    # the very same rows, read the other way: clusters as published are more for the more accurate
    [bar] = [b for b in claims.bars_of([], counts) if b["name"].startswith("c: photographs: published clusters")]
    assert (bar["holds"], bar["value"]) == (True, pytest.approx(1))


def test_published_steps_group_the_evidence_of_the_default(tmp_path: Path) -> None:
    case = claims.Case("planted", "tiny", 0, tmp_path / "images", tmp_path / "tiny" / "run")
    write_images(case.images, 0, 6, seed=seeds("claims", 0, 6, 900).start)
    classifier = demo_classifier("tiny")
    run = vs.summarize(classifier, case.images, 0, case.folder, settings=claims.SETTINGS, max_images=6, resume=True)
    counts = claims.published_counts(case, classifier, 6)
    published = vs.load_run(tmp_path / "published" / "run")
    assert [mask.area for mask in published.masks] == [mask.area for mask in run.masks]
    assert published.parts is None
    assert counts["published_regions"] == len(published.regions) > 0
    clusters = {summary.index: {published.regions[i].image for i in summary.cluster} for summary in published.summaries}
    assert all(len(images) >= 2 for images in clusters.values())
    assert counts["published_clusters"] >= len(clusters)


def test_rows_of_this_size_are_not_measured_again() -> None:
    run = {"kind": "run", "world": "planted", "network": "tiny", "target": 3, "summaries": 2}
    found = {"size": "full", "rows": [run, {"claim": "a"}]}
    assert claims.rows_of_size(found, "full") == {("planted", "tiny", 3): run}
    assert claims.rows_of_size(found, "quick") == {}
    assert claims.rows_of_size(None, "full") == {}


def test_a_tag_of_the_class_wins_over_random_regions_and_tells_nothing_of_parts(rows: list[dict[str, Any]]) -> None:
    for one in rows:
        for shown in one["tags"].get("parts", {}).values():
            if shown["between"] is not None:
                shown |= {"between": shown["within"], "information": 0.0}
    tags = claims.claim_a(rows)
    holds = {bar["name"]: bar["holds"] for bar in claims.bars_of(tags, {})}
    assert holds["a: parts, box: agreement over random regions: lower end of the interval"]
    assert not holds["a: parts, box: agreement over other summaries of the run: lower end of the interval"]
    assert not holds["a: parts, box: information about the summary: lower end of the interval"]
    assert {row["over_between"] for row in claims.told(tags, {})} == {"0.00 (0.00 to 0.00)"}


def test_runs_of_one_summary_conclude_nothing_of_parts(rows: list[dict[str, Any]]) -> None:
    for one in rows:
        for shown in one["tags"].get("parts", {}).values():
            shown["between"] = None
    box = claims.claim_a(rows)[0]
    assert (box["runs"], box["runs_of_several"]) == (12, 0)
    assert math.isnan(box["informed"]["mean"])


def test_too_few_runs_conclude_nothing(rows: list[dict[str, Any]]) -> None:
    divided = [{**one, "published_clusters": None} for one in rows[:2]]  # runs that compare no pairs of regions
    for few in (rows[:2], divided):
        bars = claims.bars_of(claims.claim_a(few), claims.claim_c(few, preset("paper").summaries))
        assert bars
        assert not any(bar["holds"] for bar in bars)


def test_what_lies_beside_images_is_no_image(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (40, 40)).save(tmp_path / "bird.png")
    np.savez(tmp_path / "truth.npz", labels=np.zeros(3))
    assert [image.size for image in claims.readable(tmp_path)] == [(40, 40)]


def test_what_is_planned(tmp_path: Path) -> None:
    full = claims.planned(claims.SIZES["full"], tmp_path, tmp_path / "runs")
    photographs = [case for case in full if case.world == "photographs"]
    assert len(photographs) == 7 * 8
    assert len({case.folder for case in full}) == len(full)
    assert {case.world for case in claims.planned(claims.SIZES["quick"], None, tmp_path)} == {"planted"}


def test_a_row_is_made_again_only_when_what_it_came_from_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = claims.Case("photographs", "net", 0, tmp_path / "images", tmp_path / "runs" / "net" / "class")
    done: list[str] = []
    content = "first"

    def summarize(classifier: Any, images: Path, target: int, out: Path, **options: Any) -> None:
        done.append("run")
        out.mkdir(parents=True, exist_ok=True)
        (out / "manifest.json").write_text(json.dumps({"files": {"run.json": content}}))

    def measure(*_: Any) -> dict[str, Any]:
        done.append("measured")
        return {"content": content}

    def row(late: bool = False) -> Any:
        return claims.row_of(case, {"images": 8}, None, {}, Finished(Path(), 0 if late else math.inf))

    monkeypatch.setattr(claims.vs, "summarize", summarize)
    monkeypatch.setattr(claims, "measure", measure)
    monkeypatch.setattr(claims, "classifier_of", lambda *_: None)
    assert row(late=True) is None
    assert row() == row() == row(late=True) == {"content": "first"}
    assert done == ["run", "measured"]
    # other code that gives the same run: it is gone through, and not measured again
    monkeypatch.setattr(claims, "code_of", lambda *parts: "measuring" if parts == claims.MEASURING_CODE else "other")
    assert row(late=True) == {"content": "first"}
    row()
    done.clear()
    monkeypatch.setattr(claims, "code_of", lambda *parts: "measuring" if parts == claims.MEASURING_CODE else "newest")
    assert row() == {"content": "first"}
    assert done == ["run"]
    # other settings: what is there does not count any more
    changed = replace(vs.preset("default"), summaries=preset("paper").summaries)
    monkeypatch.setattr(claims, "SETTINGS", changed)
    content = "second"
    assert row(late=True) is None
    assert row() == {"content": "second"}
