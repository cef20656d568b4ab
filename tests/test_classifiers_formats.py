"""What is given as weights and holds none is named for what it is."""

import zipfile

import pytest
import torch
from torch import nn

from visual_summaries.classifiers import load_classifier
from visual_summaries.classifiers.formats import what_it_is
from visual_summaries.errors import ClassifierError

BYTES = {
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
    "page.pth": (b"\n<!DOCTYPE html><title>Sign in</title>", "a web page, not the file behind it"),
    "weights.h5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file, as Keras"),
    "net.tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "a program of TensorFlow Lite"),
}
BUILDER = (
    "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))\n"
)


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "net.py").write_text(BUILDER)
    return f"{tmp_path}/net.py:build"


@pytest.mark.parametrize("name", BYTES)
def test_files_that_hold_no_weights(name, spec, tmp_path):
    content, match = BYTES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClassifierError, match=f"checkpoint .* is {match}"):
        load_classifier(spec, tmp_path / name)
    with pytest.raises(ClassifierError, match=f"model .* is {match}"):
        load_classifier(str(tmp_path / name))


def test_programs_given_as_weights(spec, tmp_path):
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    torch.jit.trace(net, torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "script.pt"))
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 8, 8),)), tmp_path / "program.pt2")
    (tmp_path / "program.pt2").rename(tmp_path / "program.pth")
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\n")
    for name, match in [
        ("script.pt", "a TorchScript program"),
        ("program.pth", "saved by torch.export"),
        ("net.keras", "a model of Keras"),
    ]:
        with pytest.raises(ClassifierError, match=match):
            load_classifier(spec, tmp_path / name)
        with pytest.raises(ClassifierError, match=match):
            load_classifier(str(tmp_path / name))


def test_weights_and_folders_given_as_models_say_the_form_that_works(spec, tmp_path):
    torch.save(nn.Linear(2, 1).state_dict(), tmp_path / "w.pth")
    assert what_it_is(tmp_path / "w.pth") == ""
    with pytest.raises(ClassifierError, match=r"holds weights only.*FILE.py:FUNCTION --checkpoint"):
        load_classifier(str(tmp_path / "w.pth"))
    with pytest.raises(ClassifierError, match=r"has a config\.json that names the architecture, .* has none"):
        load_classifier(str(tmp_path))
