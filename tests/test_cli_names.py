"""The commands that name summaries: tag and rename, and where names show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage

from visual_summaries.cli import main

NETWORK = f"{Path(__file__).parent / 'conftest.py'}:make_stripe_network"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, draw_striped_images: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("images")
    drawn = draw_striped_images(5)
    for index, image in enumerate(drawn.images):
        PillowImage.fromarray(image).save(folder / f"{index}.png")
    points = {
        f"{index}.png": {"parts": {"red patch": [red[0] + 10, red[1] + 10], "blue patch": [blue[0] + 10, blue[1] + 10]}}
        for index, (red, blue) in enumerate(zip(drawn.red, drawn.blue, strict=True))
    }
    (folder / "parts.json").write_text(json.dumps({"images": points}))
    path = tmp_path_factory.mktemp("runs") / "marked"
    assert main(["run", NETWORK, str(folder), "--target", "marked", "--out", str(path), "--quiet"]) == 0
    (path / "parts.json").write_text((folder / "parts.json").read_text())
    return path


def printed(capfd: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capfd.readouterr().out)


def test_tag_by_annotated_parts_then_rename_then_tag_again(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parts = ["tag", str(out), "--parts", str(out / "parts.json"), "--level", "1", "--quiet"]
    assert main([*parts, "--json"]) == 0
    found = printed(capfd)
    names = [entry["name"] for entry in found["names"]]
    assert set(names) == {"red patch", "blue patch"}  # what the network looks for, and nothing else
    agreement = found["measured"]["box"]["agreement"]
    assert agreement["within"] > agreement["random"]

    assert main(["rename", str(out), "1", "the stripes"]) == 0
    assert "summary 1: the stripes" in capfd.readouterr().out
    assert main(parts) == 0
    text = capfd.readouterr().out
    assert "1. the stripes (by hand)" in text
    assert "agreement of the top 1 tags, masked" in text
    assert "tags tell summaries apart, masked: agreement of 0.00 between summaries" in text
    assert "the stripes" in (out / "report.html").read_text(encoding="utf-8")

    assert main(["report", str(out), "--json"]) == 0
    assert printed(capfd)["summaries"][0]["name"] == "the stripes"
    assert main(["report", str(out)]) == 0
    assert "1. the stripes (by hand): " in capfd.readouterr().out

    assert main(["rename", str(out), "1", "--automatic"]) == 0
    assert f"summary 1: {names[0]}" in capfd.readouterr().out
    assert main(["rename", str(out), "1", "--no-name"]) == 0
    assert "summary 1: no name" in capfd.readouterr().out


def test_tag_by_a_classifier(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["tag", str(out), "--classifier", NETWORK, "--top", "1", "--quiet", "--json"]) == 0
    found = printed(capfd)
    assert found["tagger"]["kind"] == "classifier"
    assert found["top"] == 1
    # either patch alone is "marked" or "plain" about as often in one summary as elsewhere
    assert {tag["tag"] for s in found["measured"]["box"]["summaries"] for tag in s["tags"]} <= {"marked", "plain"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tag", "--clip", "a/b", "--parts", "p.json"], 2, "give one of them"),
        (["tag", "--parts", "nowhere.json"], 6, "nowhere.json"),
        (["tag", "--classifier", "nowhere.py:net"], 3, "nowhere.py"),
        (["tag", "--clip", "ViT-B-32"], 3, "names no weights"),
        (["tag", "--classifier", NETWORK, "--input", "hull"], 2, "input is 'hull'"),
        (["rename", "1"], 2, "--no-name"),
        (["rename", "9", "x"], 2, "there is no summary 9"),
    ],
)
def test_wrong_input(out: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str) -> None:
    pytest.importorskip("open_clip", reason="open_clip is not installed (extra clip)")
    command, *rest = arguments
    assert main([command, str(out), *rest]) == code
    assert message in capfd.readouterr().err


def test_the_shipped_words_can_be_printed_and_edited(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["tag", "--print-vocabulary"]) == 0
    assert "\nbeak\n" in capfd.readouterr().out
