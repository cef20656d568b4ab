"""ONNX programs give the logits and gradients of the network that they were made from; nothing in them is executed."""

import builtins
import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import visual_summaries as vs
from visual_summaries.classifiers import load_classifier
from visual_summaries.errors import ClassifierError, MissingExtraError

onnx = pytest.importorskip("onnx")

H, W = 12, 16
RNG = np.random.default_rng(0)
WEIGHTS = {
    "w": RNG.normal(size=(4, 3, 3, 3)),
    "b": RNG.normal(size=4),
    "scale": RNG.uniform(0.5, 2, 4),
    "mean": RNG.normal(size=4),
    "var": RNG.uniform(0.5, 2, 4),
    "head": RNG.normal(size=(5, 4)),
    "bias": RNG.normal(size=5),
}


def reference():
    """The network that the programs of this page compute, by torch."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    names = ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "5.weight", "5.bias")
    values = ("w", "b", "scale", "b", "mean", "var", "head", "bias")
    net.load_state_dict({name: torch.tensor(WEIGHTS[v]) for name, v in zip(names, values, strict=True)}, strict=False)
    return net.eval()


def program(path, count="n", layout="first", shared=True, constants=False, change=None, opset=18, external=False):
    """Write the network as exporters do: with weights as constants or under two names, for one batch size or any."""
    make = onnx.helper.make_node
    first = (count, 3, H, W) if layout == "first" else (count, H, W, 3)
    nodes = [make("Identity", ["b"], ["b2"])] if shared else []
    x = "x"
    if layout == "last":
        nodes.append(make("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]))
        x = "t"
    nodes += [
        make("Conv", [x, "w", "b"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        make("BatchNormalization", ["c", "scale", "b2" if shared else "b", "mean", "var"], ["n"], training_mode=0),
        make("Relu", ["n"], ["r"]),
        make("GlobalAveragePool", ["r"], ["p"]),
        make("Flatten", ["p"], ["f"]),
        make("Gemm", ["f", "head", "bias"], ["logits"], transB=1),
    ]
    tensors = [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in WEIGHTS.items()]
    if constants:
        nodes = [*(make("Constant", [], [tensor.name], value=tensor) for tensor in tensors), *nodes]
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, first)],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, (count, 5))],
        [] if constants else tensors,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=9)
    if change is not None:
        change(model)
    onnx.save(model, path, save_as_external_data=external, size_threshold=0)
    return path


def unlike(classifier, x):
    """The largest differences of logits and of gradients to the reference."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (classifier.transform.mean, classifier.transform.std))
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    with classifier.frozen():
        logits = classifier.logits(a)
        logits[:, 1].sum().backward()
    expected = reference()((b - mean) / std)
    expected[:, 1].sum().backward()
    assert b.grad.abs().max() > 1e-3
    return float((logits - expected).abs().max()), float((a.grad - b.grad).abs().max())


@pytest.mark.parametrize(
    "form",
    [{}, {"count": 1}, {"count": 4}, {"layout": "last"}, {"constants": True}, {"external": True}, {"opset": 14}],
    ids=["any batch", "one image", "four images", "channels last", "constants", "weights beside it", "older"],
)
def test_logits_and_gradients_are_those_of_the_network(tmp_path, form):
    classifier = load_classifier(program(tmp_path / "net.onnx", **form), mean=(0.4, 0.5, 0.6), std=0.25)
    assert (classifier.input_size, classifier.num_classes, classifier.guess) == ((3, H, W), 5, "")
    for count in (1, 3, 5):
        logits, gradient = unlike(classifier, torch.rand(count, 3, H, W, generator=torch.Generator().manual_seed(count)))
        assert logits < 1e-4
        assert gradient < 1e-5


def test_the_network_is_one_like_others(tmp_path):
    path = program(tmp_path / "net.onnx")
    classifier = load_classifier(path, mean=0.5, std=0.25)
    again = pickle.loads(pickle.dumps(copy.deepcopy(classifier.module)))  # noqa: S301 - our own
    x = torch.rand(2, 3, H, W)
    assert torch.equal(again(x), classifier.module(x))
    assert classifier.weights_sha256 == load_classifier(path, mean=0.5, std=0.25).weights_sha256
    classifier.module.train()
    assert torch.equal(again(x), classifier.module(x))  # batch statistics are never taken
    views = RNG.integers(0, 256, (2, H, W, 3), np.uint8)
    assert len(vs.optimize_masks(classifier, list(views), 0)) == 2


def test_what_it_does_not_state_is_said(tmp_path, caplog):
    classifier = load_classifier(program(tmp_path / "net.onnx"))
    assert "a program states no preprocessing" in classifier.guess
    assert "give mean, std (--mean, --std)" in caplog.text

    def any_size(model):
        for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
            side.dim_param = f"side{side.dim_value}"

    path = program(tmp_path / "any.onnx", change=any_size)
    with pytest.raises(ClassifierError, match=r"images of any size.*--input-size H,W"):
        load_classifier(path)
    assert load_classifier(path, input_size=(20, 24)).input_size == (3, 20, 24)


def other_operator(name, domain=""):
    def change(model):
        node = next(node for node in model.graph.node if node.op_type == "Relu")
        node.op_type, node.domain = name, domain
        if domain:
            model.opset_import.append(onnx.helper.make_opsetid(domain, 1))

    return change


def two_inputs(model):
    model.graph.input.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 3, H, W)))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (other_operator("Save"), "No Op registered for Save"),  # would be torch.save, by its name
        (other_operator("Relu", "somebody"), "No Op registered for Relu"),
        (other_operator("Mish"), "Mish"),
        (two_inputs, "of one input"),
    ],
    ids=["a function of torch", "another domain", "newer than its opset or without a conversion", "two inputs"],
)
def test_programs_that_cannot_be_brought_to_torch(tmp_path, change, match):
    path = program(tmp_path / "net.onnx", change=change, opset=17)
    with pytest.raises(ClassifierError, match=rf"net\.onnx is not an ONNX program.*{match}.*torch\.export"):
        load_classifier(path)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(ClassifierError, match=r"net\.onnx does not exist"):
        load_classifier(path)
    path.write_bytes(b"\x08\x08\x12\x07pytorch\x1a" + bytes(64))
    with pytest.raises(ClassifierError, match="is not an ONNX program of one input"):
        load_classifier(path)
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ClassifierError, match="is a pointer of Git LFS"):
        load_classifier(path)
    with pytest.raises(ClassifierError, match="holds its weights: leave the checkpoint out"):
        load_classifier(path, checkpoint=path)
    with pytest.raises(ClassifierError, match="an ONNX program, which holds its own network"):
        load_classifier("timm/test_resnet", checkpoint=program(path))


def test_weights_beside_a_program_are_taken_from_its_folder_alone(tmp_path):
    (tmp_path / "model").mkdir()
    path = program(tmp_path / "model" / "net.onnx", external=True)
    model = onnx.load(path, load_external_data=False)
    place = next(entry for entry in model.graph.initializer[0].external_data if entry.key == "location")
    (path.parent / place.value).rename(tmp_path / "weights")
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = "../weights"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ClassifierError, match="is not an ONNX program"):
        load_classifier(path)


def test_the_converter_is_an_extra(tmp_path, monkeypatch):
    path, real = program(tmp_path / "net.onnx"), builtins.__import__

    def without(name, *args, **options):
        if name == "onnx2pytorch":
            raise ImportError("No module named 'onnx2pytorch'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'visual-summaries\[onnx\]'"):
        load_classifier(path)
