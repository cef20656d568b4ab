"""Folders of libraries: weights that nobody loaded are errors, and what a folder does not state is said."""

import json

import pytest
import safetensors.torch
import timm
import torch

from visual_summaries.classifiers import load_classifier
from visual_summaries.errors import ClassifierError

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 16}


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers")


def vit(transformers, folder, kind="ViTForImageClassification", labels=3):
    torch.manual_seed(0)
    net = getattr(transformers, kind)(transformers.ViTConfig(image_size=48, num_labels=labels, **SMALL))
    net.save_pretrained(folder)
    return net


def test_a_backbone_without_its_head_is_an_error_that_names_the_weights(transformers, tmp_path):
    vit(transformers, tmp_path, "ViTModel")
    for spec in (f"hf/{tmp_path}", str(tmp_path)):
        with pytest.raises(ClassifierError) as caught:
            load_classifier(spec, mean=0.5, std=0.5)
        message = str(caught.value)
        assert "do not fit the network ViTForImageClassification: 2 of " in message
        assert "weights missing (classifier.bias, classifier.weight)" in message
        assert "2 unexpected (pooler.dense.bias, pooler.dense.weight)" in message
        assert "--checkpoint FILE (checkpoint=FILE)" in message


def test_the_first_of_many_missing_weights_are_named(transformers, tmp_path):
    vit(transformers, tmp_path)
    path = tmp_path / "model.safetensors"
    weights = {name: value for name, value in safetensors.torch.load_file(path).items() if "layer" not in name}
    safetensors.torch.save_file(weights, path, {"format": "pt"})
    with pytest.raises(ClassifierError, match=r"\d\d of \d\d weights missing \([\w.]+, [\w.]+, [\w.]+, \.\.\.\)\. Give"):
        load_classifier(tmp_path)


@pytest.mark.parametrize("change", ["another head", "one weight more"])
def test_other_shapes_and_further_weights_are_errors(transformers, tmp_path, change):
    vit(transformers, tmp_path)
    path = tmp_path / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    match = r"2 of another shape \(classifier.bias: \(7,\) in the file, \(3,\) in the network, classifier.weight"
    if change == "another head":
        weights |= {"classifier.weight": torch.zeros(7, 16), "classifier.bias": torch.zeros(7)}
    else:
        weights["second.weight"], match = torch.zeros(2), r"1 unexpected \(second.weight\)"
    safetensors.torch.save_file(weights, path, {"format": "pt"})
    with pytest.raises(ClassifierError, match=match):
        load_classifier(tmp_path)


def test_a_folder_of_transformers_without_a_preprocessor(transformers, tmp_path, caplog):
    net = vit(transformers, tmp_path).eval()
    for spec in (str(tmp_path), f"hf/{tmp_path}"):
        caplog.clear()
        classifier = load_classifier(spec)
        assert (classifier.input_size, classifier.transform.mean) == ((3, 48, 48), (0.5, 0.5, 0.5))
        assert "a guess, for transformers states the size only" in classifier.guess
        assert "give mean, std (--mean, --std)" in caplog.text
        x = torch.rand(2, 3, 48, 48)
        torch.testing.assert_close(classifier.logits(x), net((x - 0.5) / 0.5).logits)
    assert not load_classifier(tmp_path, mean=0.5, std=0.5).guess


def test_a_preprocessor_without_one_size(transformers, tmp_path):
    vit(transformers, tmp_path)
    transformers.ViTImageProcessor(size={"height": 48, "width": 48}).save_pretrained(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"size": {"longest_edge": 48}}))
    with pytest.raises(ClassifierError, match=r"no one size: give input_size, mean and std \(--input-size, --mean, --std\)"):
        load_classifier(tmp_path)
    classifier = load_classifier(tmp_path, input_size=48, mean=0.1, std=0.2)  # as the message says
    assert (classifier.input_size, classifier.transform.mean, classifier.guess) == ((3, 48, 48), (0.1,) * 3, "")


def of_timm(folder, config, outputs=5, name="test_vit"):
    torch.manual_seed(0)
    net = timm.create_model(name, num_classes=outputs)
    safetensors.torch.save_file(net.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return net.eval()


@pytest.mark.parametrize("config", [{"num_classes": 5}, {}, {"pretrained_cfg": {"num_classes": 5, "std": [0.3] * 3}}])
def test_a_folder_of_timm_without_preprocessing(tmp_path, caplog, config):
    net = of_timm(tmp_path, {"architecture": "test_vit", **config})
    for spec in (str(tmp_path), f"timm/local-dir:{tmp_path}"):
        caplog.clear()
        classifier = load_classifier(spec)
        # the architecture's own: this one is made for 160 pixels
        assert (classifier.input_size, classifier.transform.mean) == ((3, 160, 160), (0.5, 0.5, 0.5))
        lacking = ["input_size", "mean"] if "pretrained_cfg" in config else ["input_size", "mean", "std"]
        assert f"states no {', '.join(lacking)}, which are those of test_vit" in classifier.guess
        assert "(--input-size, --mean" in caplog.text
        x = torch.rand(1, 3, 160, 160)
        mean, std = classifier.transform.mean[0], classifier.transform.std[0]
        assert std == (0.3 if "pretrained_cfg" in config else 0.5)
        torch.testing.assert_close(classifier.logits(x), net((x - mean) / std))


def test_a_folder_of_timm_that_states_all_is_no_guess(tmp_path):
    cfg = {"input_size": [3, 160, 160], "mean": [0.1] * 3, "std": [0.2] * 3, "num_classes": 5}
    of_timm(tmp_path, {"architecture": "test_vit", "pretrained_cfg": cfg})
    classifier = load_classifier(tmp_path)
    assert (classifier.transform.mean, classifier.guess) == ((0.1, 0.1, 0.1), "")


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"architecture": "test_vit", "num_classes": 7}, r"cannot be loaded into its network.*head\.weight.*--checkpoint FILE"),
        ({"architecture": "test_resnet", "num_classes": 5}, "cannot be loaded into its network.*Missing key"),
        ({"architecture": "test_vit", "pretrained_cfg": {}, "model_args": {"num_classes": 5}}, "would have a random head"),
        ({"architecture": "no_such_net", "num_classes": 5}, "no folder of timm"),
        ({"architecture": "test_vit", "nonsense": 1, "num_classes": 5}, "cannot be built"),
    ],
    ids=["outputs", "architecture", "a head that timm leaves out", "unknown", "unknown option"],
)
def test_folders_of_timm_that_do_not_fit(tmp_path, config, match):
    of_timm(tmp_path, config)
    with pytest.raises(ClassifierError, match=f"(?s){match}"):
        load_classifier(tmp_path)


def test_folders_without_weights_or_configuration(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "test_vit", "num_classes": 5}')
    with pytest.raises(ClassifierError, match="cannot be loaded into its network: No suitable checkpoints"):
        load_classifier(tmp_path)
    (tmp_path / "config.json").write_text("[1, 2")
    with pytest.raises(ClassifierError, match=r"names the architecture, .* has none"):
        load_classifier(str(tmp_path))
