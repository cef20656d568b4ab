"""Every form of model specification, and what goes wrong with each."""

import builtins
import json
import os
import pickle
import shutil
import sys
import zipfile

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from torch import nn

from visual_summaries.classifiers import classify, load_classifier
from visual_summaries.errors import ClassifierError, MissingExtraError
from visual_summaries.images import gather_images

H, W = 20, 28

NETS = """
from torch import nn
import {neighbor}

class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, {neighbor}.WIDTH, 3)
        self.head = nn.Linear({neighbor}.WIDTH, 2)
        self.pretrained_cfg = {{"input_size": (3, 20, 28), "label_names": ["cat", "dog"]}}

    def forward(self, x):
        return self.head(self.conv(x).mean(dim=(2, 3)))

def tiny():
    import {neighbor}_late
    return Tiny()

def needs(size):
    return Tiny()

def number():
    return 5

def asks():
    import no_such_module_at_all

constant = 3
ready = Tiny()
"""


@pytest.fixture
def nets(tmp_path):
    return write_nets(tmp_path / "nets", 4)


def write_nets(folder, width, neighbor="neighbor_of_tiny"):
    folder.mkdir()
    (folder / f"{neighbor}.py").write_text(f"WIDTH = {width}\n")
    (folder / f"{neighbor}_late.py").write_text("")
    (folder / "nets.py").write_text(NETS.format(neighbor=neighbor))
    return folder / "nets.py"


def test_a_function_in_a_file(nets):
    path_before = list(sys.path)
    classifier = load_classifier(f"{nets}:tiny")
    assert sys.path == path_before
    assert classifier.input_size == (3, H, W)
    assert classifier.class_names == ("cat", "dog")
    assert classifier.spec == f"{nets}:tiny"
    assert load_classifier(f"{nets}:Tiny").num_classes == 2
    assert load_classifier(f"{nets}:ready").num_classes == 2


def test_neighbors_of_two_files_are_not_confused(tmp_path):
    first, second = write_nets(tmp_path / "a", 4), write_nets(tmp_path / "b", 7)
    widths = [load_classifier(f"{path}:tiny").module.head.in_features for path in (first, second, first)]
    assert widths == [4, 7, 4]


@pytest.mark.parametrize(
    ("function", "match"),
    [
        ("missing", r"nets\.py has no 'missing'; it offers Tiny, tiny, needs, number"),
        ("needs", r"needs the argument\(s\) size: give a function that needs none"),
        ("number", r"returned a int, but must return a torch\.nn\.Module"),
        ("constant", "constant in .* is a int, but must be a function"),
    ],
)
def test_functions_that_build_no_network(nets, function, match):
    with pytest.raises(ClassifierError, match=match):
        load_classifier(f"{nets}:{function}")


def test_errors_of_the_users_code_pass_through(nets):
    path_before = list(sys.path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        load_classifier(f"{nets}:asks")
    assert sys.path == path_before


def test_a_function_of_a_module(nets, monkeypatch):
    monkeypatch.chdir(nets.parent)
    (nets.parent / "importable_nets.py").write_text(nets.read_text())
    assert load_classifier("importable_nets:tiny").class_names == ("cat", "dog")
    assert load_classifier("torch.nn:Flatten", input_size=(2, 3)).num_classes == 18
    with pytest.raises(ClassifierError, match="there is no Python module 'no_such_package' to take"):
        load_classifier("no_such_package.sub:net")


def test_a_module_itself(nets):
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    classifier = load_classifier(net, class_names=["r", "g", "b"], input_size=(H, W))
    assert classifier.module is net
    assert net.training
    assert classifier.spec == "Sequential"
    with pytest.raises(ClassifierError, match="load it into the module yourself"):
        load_classifier(net, checkpoint="w.pt")


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("resnet18", r"'resnet18' is not understood, expected timm/NAME.*did you mean timm/resnet18 or torchvision/resnet18\?"),
        ("nets.py", r"name the function that builds the network, nets\.py:function"),
        ("/no/such/nets.py:tiny", r"nets\.py does not exist: give path/to/file\.py:function"),
        ("no/model.pt2", r"model\.pt2 does not exist: give a file written by torch\.export\.save"),
        ("timm/resnet188", r"timm has no model 'resnet188'; did you mean .*resnet18"),
        ("timm/resnet18.nope_in1k", r"timm has no weights 'nope_in1k' for resnet18; did you mean resnet18\."),
        ("timm/resnet10", "did you mean .*resnet10t"),
        ("timm/botnet50ts_256", "has no pretrained weights for 'botnet50ts_256': give a checkpoint"),
        ("torchvision/resnet-50", "torchvision has no classifier 'resnet-50'; did you mean .*resnet50"),
        ("torchvision/fasterrcnn_resnet50_fpn", "torchvision has no classifier"),
        ("torchvision/resnet50.V9", "no weights 'V9' for resnet50; it has IMAGENET1K_V1, IMAGENET1K_V2"),
        ("hf/./nothere", "there is no folder ./nothere"),
    ],
)
def test_unknown_models(spec, match):
    with pytest.raises(ClassifierError, match=match):
        load_classifier(spec)


@pytest.mark.parametrize("spec", ["timm/resnet18.a1_in1k", "torchvision/resnet18", "hf/someone/some-model"])
def test_a_failed_download_says_so(spec, monkeypatch, tmp_path):
    def no_network(*args, **options):
        raise OSError("no route to host\nand more")

    monkeypatch.setattr("visual_summaries.classifiers.hub.resolves", lambda host: True)
    monkeypatch.setattr(timm, "create_model", no_network)
    monkeypatch.setattr(torchvision.models, "get_model", no_network)
    if spec.startswith("hf/"):
        transformers = pytest.importorskip("transformers")
        monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", no_network)
    with pytest.raises(
        ClassifierError, match=rf"{spec} are not here and could not be downloaded \(no route to host\).*--checkpoint FILE"
    ):
        load_classifier(spec)


def test_timm_with_a_checkpoint_takes_its_outputs_and_channels(tmp_path):
    trained = timm.create_model("test_resnet", num_classes=7, in_chans=1)
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(trained.state_dict(), path)
    classifier = load_classifier("timm/test_resnet", checkpoint=path, input_size=(1, 60, 84))
    assert classifier.num_classes == 7
    assert classifier.input_size == (1, 60, 84)
    x = torch.rand(2, 1, 60, 84)
    mean, std = classifier.transform.mean[0], classifier.transform.std[0]
    torch.testing.assert_close(classifier.logits(x), trained.eval()((x - mean) / std))
    assert classifier.weights_sha256 == load_classifier("timm/test_resnet", checkpoint=path).weights_sha256


def test_timm_vision_transformer_of_another_size_is_not_square(tmp_path):
    path = tmp_path / "w.pt"
    trained = timm.create_model("test_vit", num_classes=3, img_size=(96, 128))
    torch.save(trained.state_dict(), path)
    classifier = load_classifier("timm/test_vit", checkpoint=path, input_size=(96, 128))
    with classifier.frozen():
        x = torch.rand(2, 3, 96, 128, requires_grad=True)
        classifier.logits(x)[:, 0].sum().backward()
    assert x.grad.abs().amax() > 0


def test_torchvision_with_a_checkpoint(tmp_path):
    trained = torchvision.models.squeezenet1_1(num_classes=5)
    path = tmp_path / "w.pth"
    torch.save({"epoch": 3, "model": {f"module.{name}": value for name, value in trained.state_dict().items()}}, path)
    classifier = load_classifier("torchvision/squeezenet1_1", checkpoint=path)
    assert classifier.num_classes == 5
    assert classifier.transform.resize == 256
    x = torch.rand(1, 3, 224, 224)
    expected = trained.eval()(
        torchvision.transforms.functional.normalize(x, classifier.transform.mean, classifier.transform.std)
    )
    torch.testing.assert_close(classifier.logits(x), expected)


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": {"state_dict": s}, "optimizer": {}}]
)
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.module.", "model._orig_mod."])
def test_wrapped_checkpoints_are_understood(nets, tmp_path, wrap, prefix):
    reference = load_classifier(f"{nets}:tiny")
    path = tmp_path / "w.pt"
    torch.save(wrap({prefix + name: value for name, value in reference.module.state_dict().items()}), path)
    assert load_classifier(f"{nets}:tiny", checkpoint=path).weights_sha256 == reference.weights_sha256


def test_checkpoints_that_do_not_fit_name_what_differs(nets, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(
        {
            "conv.weight": torch.zeros(4, 3, 3, 3),
            "conv.bias": torch.zeros(9),
            "extra.a": torch.zeros(1),
            "extra.b": torch.zeros(1),
        },
        path,
    )
    with pytest.raises(ClassifierError) as caught:
        load_classifier(f"{nets}:tiny", checkpoint=path)
    message = str(caught.value)
    assert "2 of 4 weights missing (head.weight, head.bias)" in message
    assert "2 unexpected (extra.a, extra.b)" in message
    assert "1 of another shape (conv.bias: (9,) in the file, (4,) in the network)" in message
    assert "Give the checkpoint of this very architecture" in message


def test_wrong_architecture(tmp_path):
    path = tmp_path / "w.pt"
    torch.save(timm.create_model("test_vit").state_dict(), path)
    with pytest.raises(ClassifierError, match=r"w\.pt does not fit the network ResNet: .* weights missing \(conv1\.0\.weight,"):
        load_classifier("timm/test_resnet", checkpoint=path)


class Malicious:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_would_execute_is_refused(nets, tmp_path, protocol, zipped):
    path, trace = tmp_path / "w.pt", tmp_path / "executed"
    content = {"state_dict": {"conv.weight": torch.zeros(4, 3, 3, 3)}, "bad": Malicious(trace)}
    if zipped:
        torch.save(content, path, pickle_protocol=protocol)
    else:
        path.write_bytes(pickle.dumps(content["bad"], protocol=protocol))
    with pytest.raises(
        ClassifierError, match=r"reading it would execute code, which is refused.*safetensors\.torch\.save_file|cannot be read"
    ):
        load_classifier(f"{nets}:tiny", checkpoint=path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"garbage that is no checkpoint"])
def test_damaged_checkpoints(nets, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClassifierError, match=r"is not a valid safetensors file|cannot be read|would execute code"):
        load_classifier(f"{nets}:tiny", checkpoint=tmp_path / name)


def test_missing_and_empty_checkpoints(nets, tmp_path):
    with pytest.raises(ClassifierError, match=r"w\.pt does not exist or is no file"):
        load_classifier(f"{nets}:tiny", checkpoint=tmp_path / "w.pt")
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "w.pt")
    with pytest.raises(ClassifierError, match=r"holds a mapping with 'epoch', 'lr', but no weights: save model\.state_dict"):
        load_classifier(f"{nets}:tiny", checkpoint=tmp_path / "w.pt")
    torch.save([1, 2], tmp_path / "w.pt")
    with pytest.raises(ClassifierError, match="holds a list, but no weights"):
        load_classifier(f"{nets}:tiny", checkpoint=tmp_path / "w.pt")


class Exportable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)
        self.drop = nn.Dropout(0.5)
        self.weights_of_channels = torch.tensor([0.5, 1.0, 2.0]).view(3, 1, 1)  # a constant, neither parameter nor buffer

    def forward(self, x):
        return self.head(self.drop(self.norm(self.conv(x * self.weights_of_channels)).mean(dim=(2, 3))))


def export(path, batch: int, dim=None, *, train=False):
    net = Exportable().train(train)
    shapes = None if dim is None else ({0: dim},)
    torch.export.save(torch.export.export(net, (torch.zeros(batch, 3, H, W),), dynamic_shapes=shapes), path)
    return net.eval()


@pytest.mark.parametrize(
    ("batch", "dim"), [(2, torch.export.Dim("n")), (1, None), (3, None), (2, torch.export.Dim("n", min=2, max=4))]
)
def test_exported_programs_take_any_batch_and_are_differentiable(tmp_path, batch, dim):
    path = tmp_path / "model.pt2"
    net = export(path, batch, dim)
    classifier = load_classifier(str(path), class_names=list("abcde"))
    assert classifier.input_size == (3, H, W)
    for count in (1, 2, 5):
        x = torch.rand(count, 3, H, W)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (classifier.transform.mean, classifier.transform.std))
        with torch.no_grad(), classifier.frozen():
            a = x.clone().requires_grad_(True)
            logits = classifier.logits(a)
            logits[:, 1].sum().backward()
        b = x.clone().requires_grad_(True)
        expected = net((b - mean) / std)
        expected[:, 1].sum().backward()
        torch.testing.assert_close(logits, expected)
        torch.testing.assert_close(a.grad, b.grad)


def test_exported_programs_in_training_mode_are_refused(tmp_path):
    export(tmp_path / "model.pt2", 2, train=True)
    with pytest.raises(ClassifierError, match=r"exported in training mode.*export model\.eval\(\)"):
        load_classifier(tmp_path / "model.pt2")


def test_exported_programs_with_pickled_objects_are_refused(tmp_path):
    path, trace = tmp_path / "model.pt2", tmp_path / "executed"
    export(path, 1)
    bad = pickle.dumps(Malicious(trace))
    for number, member in enumerate(("constants/opaque_obj_0", "constants/custom_obj_0")):
        other = tmp_path / f"{number}.pt2"
        other.write_bytes(path.read_bytes())
        with zipfile.ZipFile(other, "a") as archive:
            archive.writestr(f"model/data/{member}", bad)
        with pytest.raises(ClassifierError, match=r"pickled objects or compiled code.*which is refused"):
            load_classifier(other)
    # the example inputs, which torch.export.load reads with weights_only=False when they are not tensors
    other = tmp_path / "inputs.pt2"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for member in source.namelist():
            content = source.read(member)
            if "sample_inputs" in member:
                torch.save(Malicious(trace), tmp_path / "bad.pt")
                content = (tmp_path / "bad.pt").read_bytes()
            target.writestr(member, content)
    with pytest.raises(ClassifierError, match=r"is not a program|pickled code"):
        load_classifier(other)
    assert not trace.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.ops.aten.conv2d.default", "torch.os.mkdir"),
        ("torch.ops.aten.conv2d.default", "torch.ops.aten.from_file.default"),
        ("torch.ops.aten.conv2d.default", "_operator.attrgetter"),
        ("torch.ops.aten.conv2d.default", "#extension:anything"),
        ('"expr_str": "', "\"expr_str\": \"__import__('os').mkdir('TRACE')+"),
        ('"expr_str": "', '"expr_str": "exit()+'),
        ('"name": "conv2d"', '"name": "x = 1; import os; os.mkdir(\'TRACE\')"'),
    ],
)
def test_exported_programs_that_would_execute_are_refused(tmp_path, old, new):
    path, trace = tmp_path / "model.pt2", tmp_path / "executed"
    export(path, 2, torch.export.Dim("n"))
    other, changed = tmp_path / "other.pt2", 0
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for member in source.namelist():
            content = source.read(member)
            if member.endswith("model.json"):
                changed += content.decode().count(old)
                content = content.decode().replace(old, new.replace("TRACE", str(trace))).encode()
            target.writestr(member, content)
    assert changed
    with pytest.raises(ClassifierError, match=r"would execute code: its graph has the (operator|expression|name) .*refused"):
        load_classifier(other)
    assert not trace.exists()


def test_libraries_do_not_unpickle_either(tmp_path, vit_folder):
    trace = tmp_path / "executed"
    timm_folder, hf_folder = tmp_path / "timm", tmp_path / "hf"
    timm_folder.mkdir()
    (timm_folder / "config.json").write_text('{"architecture": "resnet18", "num_classes": 3}')
    torch.save({"bad": Malicious(trace)}, timm_folder / "pytorch_model.bin")
    shutil.copytree(vit_folder, hf_folder)
    (hf_folder / "model.safetensors").unlink()
    torch.save({"bad": Malicious(trace)}, hf_folder / "pytorch_model.bin")
    for spec in (f"timm/local-dir:{timm_folder}", f"hf/{hf_folder}"):
        with pytest.raises(ClassifierError, match=r"reading it would execute code, which is refused: take a model whose"):
            load_classifier(spec)
    assert not trace.exists()


def test_code_that_a_model_brings_along_is_not_run(tmp_path, vit_folder):
    folder, trace = tmp_path / "hf", tmp_path / "executed"
    shutil.copytree(vit_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForImageClassification": "own.Net"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"import os; os.mkdir({str(trace)!r})")
    with pytest.raises(ClassifierError, match="is not an image classifier"):
        load_classifier(f"hf/{folder}")
    assert not trace.exists()


def test_bad_exported_programs(tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"no archive")
    with pytest.raises(ClassifierError, match=r"is not a program that torch\.export of PyTorch .* can load"):
        load_classifier(path)
    path.write_bytes(b"")
    with pytest.raises(ClassifierError, match="is not a program"):
        load_classifier(path)
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.zeros(4, 3),)), path)
    with pytest.raises(ClassifierError, match=r"takes 1 input\(s\) of shape \(4, 3\), but must take one tensor \(N, C, H, W\)"):
        load_classifier(path)
    with pytest.raises(ClassifierError, match="holds its weights"):
        load_classifier(path, checkpoint="w.pt")


@pytest.fixture(scope="module")
def vit_folder(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=(32, 48),
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=3,
    )
    config.id2label = {0: "cat", 1: "dog", 2: "Old English sheepdog, bobtail"}
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessor(
        size={"height": 32, "width": 48}, image_mean=[0.5] * 3, image_std=[0.25] * 3
    ).save_pretrained(folder)
    return folder


def test_transformers_from_a_folder(vit_folder, tmp_path):
    classifier = load_classifier(f"hf/{vit_folder}")
    assert classifier.input_size == (3, 32, 48)
    assert classifier.class_names == ("cat", "dog", "Old English sheepdog, bobtail")
    assert classifier.transform.std == (0.25,) * 3
    with classifier.frozen():
        x = torch.rand(2, 3, 32, 48, requires_grad=True)
        logits = classifier.logits(x)
        logits.sum().backward()
    torch.testing.assert_close(logits, classifier.module.eval()((x.detach() - 0.5) / 0.25).logits)
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(classifier.module.state_dict(), path)
    assert load_classifier(f"hf/{vit_folder}", checkpoint=path).weights_sha256 == classifier.weights_sha256


def test_transformers_that_classify_no_images_are_refused(tmp_path):
    transformers = pytest.importorskip("transformers")
    transformers.BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(ClassifierError, match=r"hf/.*(is not an image classifier|could not be downloaded)"):
        load_classifier(f"hf/{tmp_path}", input_size=(8, 8), mean=0.5, std=0.5)


def test_transformers_is_an_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name == "transformers":
            raise ImportError("No module named 'transformers'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'visual-summaries\[hf\]'"):
        load_classifier("hf/someone/some-model")


def test_wrong_class_names(nets):
    with pytest.raises(ClassifierError, match="class_names holds 3 names, but the network has 2 outputs"):
        load_classifier(f"{nets}:tiny", class_names=["a", "b", "c"])


def test_networks_loaded_under_inference_mode_can_be_differentiated(nets):
    with torch.inference_mode():
        classifier = load_classifier(f"{nets}:tiny")
        with classifier.frozen():
            x = torch.zeros(1, 3, H, W).requires_grad_(True)
            classifier.logits(x).sum().backward()
    assert x.grad is not None


@pytest.mark.data
@pytest.mark.parametrize(
    ("network", "folder", "least"),
    [
        ("mobilenetv2_100", "imagewoof320/229_Old_English_sheepdog", 0.8),
        ("mobilenetv1_025", "imagewoof320/229_Old_English_sheepdog", 0.4),
        ("bvlc_googlenet", "clothing/770_running_shoe", 0.5),
        ("squeezenet1_1", "imagenette224/569_garbage_truck", 0.5),
    ],
)
def test_real_networks_recognize_real_photographs(data_dir, network, folder, least):
    classifier = load_classifier(f"{data_dir / 'weights' / 'nets.py'}:{network}")
    sources = gather_images(data_dir / "images" / folder, max_images=20)
    views = [classifier.view(source.load()) for source in sources]
    index = int(folder.split("/")[1][:3])
    by_index = classify(classifier, views, index, batch_size=7)
    by_name = classify(classifier, views, folder.split("/")[1][4:])
    assert by_index.accuracy >= least
    np.testing.assert_allclose(by_name.scores, by_index.scores, rtol=1e-3, atol=1e-5)
