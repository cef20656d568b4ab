"""What looks like a dataset, by what it offers: rows, pairs, batches, names of labels."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, ViewTransform, resolve_target
from visual_summaries.errors import ImageError, NoImagesError, TargetError
from visual_summaries.images import gather_images
from visual_summaries.images.datasets import label_names
from visual_summaries.runs.labels import label_check

SIZE = (40, 24)


def image(value: int) -> PIL.Image.Image:
    return PIL.Image.new("RGB", SIZE, (value, 0, 0))


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    image(value).save(buffer, "PNG")
    return buffer.getvalue()


def tensors(count: int) -> torch.Tensor:
    return torch.stack([torch.from_numpy(np.array(image(value))).permute(2, 0, 1) for value in range(count)])


class Indexed(Dataset):
    """A dataset that is only ever indexed, and counts how often."""

    def __init__(self, count: int = 4) -> None:
        self.count, self.fetched = count, []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        self.fetched.append(index)
        if index == 2:
            raise OSError("the disk is gone")
        return image(index), index % 2


class Table:
    """As a dataset of Hugging Face: rows, columns, and names of labels in its features."""

    column_names = ("image", "label")

    class Names:
        names = ("cat", "dog")

    features = {"image": None, "label": Names()}  # noqa: RUF012

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("rows of a table are fetched one at a time")


def read(source: Any, **options: Any) -> list[tuple[int, Any]]:
    """What is seen of each image (its red), and its label."""
    return [(found.load().getpixel((0, 0))[0], found.label) for found in gather_images(source, **options)]


def given(tmp_path: Path) -> dict[str, tuple[Any, list[tuple[int, Any]]]]:
    """Sources of three images, and what is read of them."""
    paths = [tmp_path / f"{value}.png" for value in range(3)]
    for value, path in enumerate(paths):
        path.write_bytes(png(value))
    labels, plain, labeled = torch.tensor([5, 6, 7]), [(0, None), (1, None), (2, None)], [(0, 5), (1, 6), (2, 7)]
    rows = [{"image": image(value), "label": value + 5} for value in range(3)]
    return {
        "rows": (rows, labeled),
        "rows with bytes": ([{"img": png(value), "fine_label": value + 5} for value in range(3)], labeled),
        "rows with files": (
            [{"image": {"bytes": None, "path": str(path)}, "label": value + 5} for value, path in enumerate(paths)],
            labeled,
        ),
        "rows with file bytes": ([{"image": {"bytes": png(value), "path": "gone"}} for value in range(3)], plain),
        "a table": (Table(rows), labeled),
        "columns": ({"image": [image(value) for value in range(3)], "label": [5, 6, 7]}, labeled),
        "pairs": ([(image(value), value + 5) for value in range(3)], labeled),
        "pairs with names": (
            [(path, f"name {value}") for value, path in enumerate(paths)],
            [(k, f"name {k}") for k in range(3)],
        ),
        "pairs with arrays": ([(np.asarray(image(value)), np.int64(value + 5)) for value in range(3)], labeled),
        "open files": ([io.BytesIO(png(value)) for value in range(3)], plain),
        "an array of paths": (np.array([str(path) for path in paths]), plain),
        "an array of bytes paths": (np.array([str(path).encode() for path in paths]), plain),
        "an array of path objects": (np.array(paths, object), plain),
        "a tensor dataset": (TensorDataset(tensors(3)), plain),
        "a labeled tensor dataset": (TensorDataset(tensors(3), labels), labeled),
        "a subset": (Subset(TensorDataset(tensors(5), torch.arange(5) + 5), [0, 1, 2]), labeled),
        "a loader": (DataLoader(TensorDataset(tensors(3)), batch_size=2), plain),
        "a labeled loader": (DataLoader(TensorDataset(tensors(3), labels), batch_size=2), labeled),
        "batches": ((tensors(3)[k : k + 2] for k in (0, 2)), plain),
        "batches of columns": ([{"pixel_values": tensors(3), "labels": labels}], labeled),
        "images and labels": ((tensors(3), labels), labeled),
    }


def test_every_form_gives_its_images_and_labels(tmp_path: Path) -> None:
    for name, (source, expected) in given(tmp_path).items():
        assert read(source) == expected, name


def test_a_single_row_or_file_is_an_image(tmp_path: Path) -> None:
    assert read({"image": image(9), "label": 3}) == [(9, 3)]
    assert read({"bytes": png(9), "path": None}) == [(9, None)]
    (tmp_path / "a.png").write_bytes(png(9))
    with (tmp_path / "a.png").open("rb") as file:
        assert read(file) == [(9, None)]
    with (tmp_path / "a.png").open() as file, pytest.raises((ImageError, UnicodeDecodeError)):
        read(file)
    with pytest.raises(ImageError, match="open it with mode 'rb'"):
        read(io.StringIO("text"))


def folders(root: Path, **images: int) -> ImageFolder:
    for name, count in images.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            image(index * 9).save(root / name / f"{index}.png")
    return ImageFolder(str(root), transform=lambda _: pytest.fail("the network's own preprocessing counts"))


def test_an_image_folder_gives_its_files(tmp_path: Path) -> None:
    dataset = folders(tmp_path, ant=2, bee=1)
    found = gather_images(Subset(dataset, [2, 0]))
    assert [(source.name, source.label) for source in found] == [("bee/0.png", 1), ("ant/0.png", 0)]
    assert len(found[0].sha256()) == 64
    assert label_names(DataLoader(Subset(dataset, [0]))) == ("ant", "bee")
    assert label_names(Table([])) == ("cat", "dog")
    assert label_names([image(1)]) == ()


def test_rows_are_fetched_when_they_are_asked_for() -> None:
    dataset = Indexed()
    found = gather_images(dataset)
    assert dataset.fetched == []
    assert found[1].label == 1
    assert found[1].load().size == SIZE
    assert found[1].sha256() == found[1].sha256()
    assert dataset.fetched == [1]
    with pytest.raises(ImageError, match="row 2 of Indexed cannot be read: OSError: the disk is gone"):
        found[2].load()
    assert len(gather_images(dataset, max_images=2)) == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (7, r"images is an int \(7\): give a folder, paths, arrays, a tensor or a dataset"),
        (None, r"images is a NoneType \(None\)"),
        ({"train": [], "test": []}, "images is a dict with the keys train, test: give the one that holds images"),
        ([], "the iterable that was given is empty"),
        (np.zeros(5), r"images of shape \(5,\) given"),
    ],
)
def test_what_is_no_dataset_is_named(wrong: Any, says: str) -> None:
    with pytest.raises(NoImagesError, match=says):
        gather_images(wrong)


def test_what_is_no_image_within_is_named() -> None:
    with pytest.raises(ImageError, match=r"int \(5\) is no image: give a path"):
        gather_images([5])[0].load()
    with pytest.raises(ImageError, match="the keys a, b holds no image: name its column 'image'"):
        gather_images([{"a": 1, "b": 2}])
    with pytest.raises(ImageError, match="3 images but 2 labels"):
        gather_images([(tensors(3), torch.zeros(2))])
    with pytest.raises(ImageError, match="undo any normalization"):
        gather_images(DataLoader(TensorDataset(tensors(3) / 50 - 2)))[0].load()


@pytest.fixture(scope="module")
def network() -> Classifier:
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return Classifier(module, transform=ViewTransform((24, 40)), class_names=["tabby cat", "beagle", "golf ball"])


@pytest.mark.parametrize(
    ("names", "label", "taken"),
    [
        ((), 2, True),
        ((), 1, False),
        ((), None, True),
        ((), "Golf_Ball", True),
        ((), "beagle", False),
        (("beagle", "golf ball"), 1, True),  # the dataset's own numbers
        (("beagle", "golf ball"), 2, False),
        (("beagle", "007.golf_ball"), 1, True),
        (("chat", "chien", "balle"), 2, True),  # a name for each output: in their order
        (("balle",), 0, True),  # all images are of one class
    ],
)
def test_labels_choose_the_images_of_the_class(network: Classifier, names: tuple[str, ...], label: Any, taken: bool) -> None:
    said = label_check(names, network, resolve_target(network, 2))(label)
    assert (said == "") == taken
    assert taken or "not 'golf ball' (2)" in said


def test_labels_of_other_classes_and_functions(network: Classifier) -> None:
    with pytest.raises(TargetError, match="labels of these images are 'chat', 'chien', none of which is 'golf ball'"):
        label_check(("chat", "chien"), network, resolve_target(network, 2))
    assert label_check(("chat", "chien"), network, resolve_target(network, lambda logits: logits[:, 0]))(1) == ""


def test_a_run_takes_the_rows_of_its_class(draw_striped_images: Callable[..., Any], stripe_network: torch.nn.Module) -> None:
    drawn = list(draw_striped_images(4).images)
    classifier = vs.load_classifier(stripe_network)
    target = resolve_target(classifier, "marked").index
    rows = [{"image": view, "label": target if position else 1 - target} for position, view in enumerate(drawn)]
    run = vs.summarize(classifier, [*rows, rows[-1]], "marked", preset="quick")
    assert [(item.name, item.reason) for item in run.skipped] == [("image-0000", "other-label"), ("image-0004", "copy")]
    assert [found.name for found in run.images] == ["image-0001", "image-0002", "image-0003"]
    assert len(run.apply(rows[:1], classifier).images) == 1
    with pytest.raises(NoImagesError, match=r"0 usable images.*4 other-label.*its label is 7, not 'marked'"):
        vs.summarize(classifier, [(view, 7) for view in drawn], "marked")
