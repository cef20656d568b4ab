"""Several classes and networks in one call: which folder is which class, what fails, what is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as PillowImage

from visual_summaries.batch.jobs import class_folders, network_folders, plan_jobs, read_targets, target_of_folder
from visual_summaries.classifiers import Classifier, ViewTransform, imagenet_names
from visual_summaries.cli import main
from visual_summaries.errors import NoImagesError, SettingsError, TargetError

NETWORK = f"{Path(__file__).parent / 'conftest.py'}:make_stripe_network"


class Thousand(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(1, 2, 3))[:, None] * torch.arange(1000.0)


@pytest.fixture(scope="module")
def imagenet() -> Classifier:
    return Classifier(Thousand(), transform=ViewTransform((6, 8)))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("155_Shih-Tzu", 155),
        ("229_Old_English_sheepdog", 229),
        ("569_garbage_truck", 569),
        ("011_European_Goldfinch", 11),  # the network says "goldfinch"
        ("017_Blue_Jay", 17),
        ("000_tench", 0),
        ("n02086240", 155),
        ("n02086240-Shih-Tzu", 155),
        ("beagle", 162),
        ("garbage truck", 569),
        ("574", 574),
    ],
)
def test_names_of_folders_mean_classes(name: str, index: int, imagenet: Classifier) -> None:
    assert imagenet.class_names == imagenet_names()
    assert target_of_folder(name, imagenet) == index


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("001_beagle", "means two classes: number 1 is 'goldfish', but 'beagle' is number 162"),
        ("husky_on_grass", "none of the 1000 classes"),
        ("1001_thing", "0 to 999"),
    ],
)
def test_names_that_mean_no_class_or_two(name: str, message: str, imagenet: Classifier) -> None:
    with pytest.raises(TargetError, match=message):
        target_of_folder(name, imagenet)


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.new("RGB", (40, 30)).save(path)


def test_class_folders_are_those_with_images(tmp_path: Path) -> None:
    for name in ("10_b/x.png", "2_a/deep/y.JPG", ".hidden/z.png"):
        touch(tmp_path / name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "parts.json").write_text("{}")
    assert [path.name for path in class_folders(tmp_path)] == ["2_a", "10_b"]
    assert class_folders(tmp_path / "10_b") == ()
    touch(tmp_path / "loose.png")
    with pytest.raises(NoImagesError, match=r"loose\.png.*beside folders"):
        class_folders(tmp_path)
    with pytest.raises(NoImagesError, match="is not a folder"):
        class_folders(tmp_path / "nowhere")


def test_plans(tmp_path: Path) -> None:
    images = tmp_path / "images"
    touch(images / "1_a/x.png")
    touch(images / "2_b/x.png")
    jobs = plan_jobs(["timm/r18", "nets.py:small"], images, tmp_path / "out", checkpoints=["a.pt", Path("b.pt")], max_images=7)
    assert [(job.model, job.images, job.target, job.out, job.checkpoint, job.max_images) for job in jobs] == [
        ("timm/r18", str(images / "1_a"), None, str(tmp_path / "out/r18/1_a"), "a.pt", 7),
        ("timm/r18", str(images / "2_b"), None, str(tmp_path / "out/r18/2_b"), "a.pt", 7),
        ("nets.py:small", str(images / "1_a"), None, str(tmp_path / "out/small/1_a"), "b.pt", 7),
        ("nets.py:small", str(images / "2_b"), None, str(tmp_path / "out/small/2_b"), "b.pt", 7),
    ]
    [job] = plan_jobs(["m"], images, tmp_path / "out", targets={"2_b": "cat"})
    assert (job.images, job.target) == (str(images / "2_b"), "cat")
    [job] = plan_jobs(["m"], images, tmp_path / "out", target="cat")
    assert (job.images, job.target, job.out) == (str(images), "cat", str(tmp_path / "out"))
    assert [job.images for job in plan_jobs(["m"], images / "2_b", tmp_path / "out")] == [str(images / "2_b")]
    assert network_folders(["a/n.py:x", "b/n.py:x", "c/n.py:x", "hf/o/x-2"]) == ["x", "x-2", "x-3", "x-2-2"]


def test_plans_that_cannot_be(tmp_path: Path) -> None:
    touch(tmp_path / "images/1_a/x.png")
    (tmp_path / "empty/folder").mkdir(parents=True)
    with pytest.raises(SettingsError, match="at least one network"):
        plan_jobs([], tmp_path / "images", tmp_path)
    with pytest.raises(SettingsError, match="1 checkpoints are given for 2 models"):
        plan_jobs(["a", "b"], tmp_path / "images", tmp_path, checkpoints=["x"])
    with pytest.raises(NoImagesError, match="is not a folder"):
        plan_jobs(["m"], tmp_path / "none", tmp_path)
    with pytest.raises(NoImagesError, match="holds no images"):
        plan_jobs(["m"], tmp_path / "empty", tmp_path)
    with pytest.raises(NoImagesError, match="of the map of targets"):
        plan_jobs(["m"], tmp_path / "images", tmp_path / "out", targets={"3_c": "cat"})


def test_maps_of_targets(tmp_path: Path) -> None:
    file = tmp_path / "map.csv"
    file.write_text("# folder,class\nhusky_on_grass, 250\nwolf_on_snow,timber wolf\n", encoding="utf-8")
    assert read_targets(file) == {"husky_on_grass": "250", "wolf_on_snow": "timber wolf"}
    file.write_text("a,b\tc, d\n", encoding="utf-8")
    assert read_targets(file) == {"a,b": "c, d"}
    as_json = tmp_path / "map.json"
    as_json.write_text('{"a": 3}')
    assert read_targets(as_json) == {"a": "3"}
    for path, content in ((file, "a b c"), (as_json, "[]"), (as_json, "{")):
        path.write_text(content)
        with pytest.raises(SettingsError, match="cannot be read"):
            read_targets(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw_striped_images: Callable[..., Any]) -> Path:
    path = tmp_path_factory.mktemp("several")
    for name, seed in (("0_marked", 0), ("again", 1), ("1_plain", 2)):
        (path / name).mkdir()
        for index, image in enumerate(draw_striped_images(4, random_state=seed).images):
            PillowImage.fromarray(image).save(path / name / f"{index}.png")
    return path


def test_a_class_that_fails_does_not_stop_the_others(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # "again" is no class; nothing in 1_plain is classified as "plain"
    arguments = ["run", NETWORK, str(folder), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(arguments) == 10
    printed = capfd.readouterr()
    assert "target 'again' is none of the 2 classes" in printed.err
    assert "none of the 4 images is classified as plain" in printed.err
    assert "2 of 3 runs failed" in printed.err
    assert "marked" in printed.out.splitlines()[1]
    assert printed.out.count("failed") == 2
    done = tmp_path / "out" / "make_stripe_network" / "0_marked"
    assert (done / "report.html").is_file()
    before = (done / "run.json").read_bytes()

    map_file = tmp_path / "targets.csv"
    map_file.write_text("0_marked,marked\nagain,marked\n")
    assert main([*arguments, "--resume", "--targets", str(map_file), "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)["runs"]
    assert [row["target"]["name"] for row in rows] == ["marked", "marked"]
    assert [row["state"] for row in rows] == ["kept", "done"]
    assert all(row["error"] is None and Path(row["report"]).is_file() for row in rows)
    assert (done / "run.json").read_bytes() == before


def test_one_folder_without_a_target_takes_its_class_from_its_name(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", NETWORK, str(folder / "0_marked"), "--out", str(tmp_path / "out"), "--quiet", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["target"] == {"index": 0, "name": "marked"}
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_a_network_that_cannot_be_loaded_fails_once_and_the_others_go_on(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "nowhere.py:net", NETWORK, str(folder / "0_marked"), "--target", "0", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--quiet", "--json"]) == 10
    rows = json.loads(capfd.readouterr().out)["runs"]
    assert ["nowhere.py" in (rows[0]["error"] or ""), rows[1]["error"]] == [True, None]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--target", "0", "--targets", "map.csv"], "give one of them"),
        (["--checkpoint", "weights.safetensors"], "1 checkpoints are given for 2 models"),
    ],
)
def test_options_that_do_not_go_together(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(["run", NETWORK, NETWORK, str(folder), "--out", str(tmp_path / "out"), *more]) == 2
    assert message in capfd.readouterr().err
