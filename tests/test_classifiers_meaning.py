"""What outputs mean: labels that do not exclude each other, one output, scores among other things."""

import logging
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

import visual_summaries as vs
from visual_summaries.classifiers import Classifier, ViewTransform, classify, load_classifier, resolve_target
from visual_summaries.errors import ClassifierError
from visual_summaries.masks.network import log_odds

H, W = 24, 32
PLAIN = ViewTransform((H, W), mean=(0.5,) * 3, std=(0.25,) * 3)


class Colors(nn.Module):
    """Says for itself of each color whether an image has it: a logit of 0 at a mean of one half."""

    def __init__(self, last=None, colors=(0, 1, 2)):
        super().__init__()
        self.last, self.colors = last or nn.Identity(), list(colors)

    def forward(self, x):
        return self.last(5 * x.mean((2, 3))[:, self.colors])


def view(red, green, blue):
    return np.full((H, W, 3), (red, green, blue), np.uint8)


YELLOW = view(255, 255, 0)
NAMES = ["red", "green", "blue"]


def of(module, **options):
    return Classifier(module, transform=PLAIN, **options)


@pytest.mark.parametrize(
    "module",
    [
        Colors(nn.Sigmoid()),
        Colors(lambda y: y.sigmoid().clamp(0, 1)),
        Colors(lambda y: torch.stack([y.sigmoid(), y.sigmoid()]).mean(0)),
        nn.Sequential(Colors(), nn.Hardsigmoid()),
    ],
)
def test_probabilities_of_several_labels_are_taken_as_they_are(module, caplog):
    with caplog.at_level(logging.INFO, "visual_summaries"):
        classifier = of(module, class_names=NAMES)
    assert (classifier.outputs, classifier.score) == ("sigmoid", "sigmoid")
    assert "score: each output is the probability of its own label, as it is" in caplog.text
    expected = module((torch.tensor([[1.0, 1.0, 0.0]]).view(1, 3, 1, 1).expand(1, 3, H, W) - 0.5) / 0.25)
    found = classifier.probabilities(classifier.to_tensor([YELLOW]))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    answer = classify(classifier, [YELLOW, view(0, 0, 255)], "green")
    assert answer.hits.tolist() == [True, False]


@pytest.mark.parametrize("last", [nn.Identity(), nn.ReLU6(), nn.Softmax(dim=1), nn.LogSoftmax(dim=1)])
def test_ordinary_outputs_are_softmaxed(last, caplog):
    with caplog.at_level(logging.INFO, "visual_summaries"):
        classifier = of(Colors(last), class_names=NAMES)
    assert classifier.score == "softmax"
    assert not caplog.records


def test_small_logits_of_a_linear_layer_are_no_probabilities():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(3), nn.Linear(3, 2))
    with torch.no_grad():
        net[3].weight.zero_()
        net[3].bias.fill_(0.3)
    assert of(net).score == "softmax"


def test_several_labels_can_be_asked_for():
    classifier = of(Colors(), class_names=NAMES, score="sigmoid")
    target = resolve_target(classifier, "green")
    assert target.kind == "sigmoid"
    logits = torch.tensor([[3.0, 1.0, -1.0], [9.0, -0.1, 0.0]])
    torch.testing.assert_close(target.score(logits), logits[:, 1].sigmoid())
    assert target.hits(logits).tolist() == [True, False]
    assert log_odds(logits, target).tolist() == logits[:, 1].tolist()
    assert classify(classifier, [YELLOW], "red").hits.tolist() == [True]
    assert classifier.describe()["score_in_words"].startswith("sigmoid of each output")


def test_a_problem_type_of_transformers_is_taken():
    net = Colors()
    net.config = SimpleNamespace(model_type="vit", id2label={}, problem_type="multi_label_classification")
    assert of(nn.Sequential(net)).score == "sigmoid"
    assert of(net, score="softmax").score == "softmax"


def test_the_outputs_themselves():
    classifier = of(Colors(), score="logit")
    target = resolve_target(classifier, 1)
    assert target.kind == "logit"
    assert classify(classifier, [YELLOW], 1).scores.tolist() == pytest.approx([10.0])
    assert of(Colors(), score="as-is").score == "logit"
    assert of(Colors(nn.Sigmoid()), score="as-is").score == "sigmoid"
    assert of(Colors(nn.Softmax(dim=1)), score="as-is").outputs == "probabilities"


def test_scores_that_do_not_go_together():
    with pytest.raises(ClassifierError, match="score is 'tanh', but must be one of softmax, sigmoid, logit, as-is"):
        of(Colors(), score="tanh")
    with pytest.raises(ClassifierError, match="single output, whose softmax is always 1: use score='sigmoid'"):
        of(Colors(colors=[0]), score="softmax")


@pytest.mark.parametrize("last", [nn.Identity(), nn.Sigmoid(), nn.Flatten(0)])
def test_one_output_is_a_yes_or_no(last):
    classifier = of(Colors(last, colors=[1]))
    assert classifier.class_names == ("not", "yes")
    answer = classify(classifier, [YELLOW, view(255, 0, 0)], "yes")
    assert answer.hits.tolist() == [True, False]
    np.testing.assert_allclose(answer.scores, 1 / (1 + np.exp([-10, 10])), atol=1e-4)
    assert classify(classifier, [view(255, 0, 0)], "not").hits.tolist() == [True]


def test_names_of_one_output():
    assert of(Colors(colors=[1]), class_names=["green"]).class_names == ("not green", "green")
    assert of(Colors(colors=[1]), class_names=["other", "green"]).class_names == ("other", "green")
    with pytest.raises(ClassifierError, match="3 names"):
        of(Colors(colors=[1]), class_names=NAMES)


def test_a_function_of_one_output_gets_that_output():
    classifier = of(Colors(colors=[1]))
    target = resolve_target(classifier, lambda logits: logits[:, 0])
    assert classify(classifier, [YELLOW], target).scores.tolist() == pytest.approx([10.0])
    masks = vs.optimize_masks(classifier, [YELLOW], lambda logits: logits.sigmoid()[:, 0], preset="quick")
    assert masks[0].score_before > 0.99


def test_a_value_can_be_explained():
    classifier = of(Colors(colors=[1]), score="logit")
    assert classifier.num_classes == 1
    target = resolve_target(classifier, 0)
    assert classify(classifier, [YELLOW], target).scores.tolist() == pytest.approx([10.0])
    blob = view(0, 0, 0)
    blob[8:16, 10:20, 1] = 255
    masks = vs.optimize_masks(classifier, [blob], target, preset="quick")
    assert masks[0].score_after < masks[0].score_before


def noisy(*base, count=5):
    random = np.random.default_rng(0)
    return [
        np.clip(np.array(base) + random.normal(0, 20, (H, W, 3)), 0, 255).astype(np.uint8) * (i != count) for i in range(count)
    ]


@pytest.mark.parametrize("last", [nn.Identity(), nn.Sigmoid()])
def test_a_run_for_one_of_several_labels(last, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 3, 3, stride=2, padding=1, bias=False), Colors(last))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 3, 3) / 9)
    classifier = of(net, class_names=NAMES, score="sigmoid")
    run = vs.summarize(classifier, noisy(220, 250, 20), "red", tmp_path / "run", preset="quick")
    assert run.info.accuracy.share == 1
    assert run.info.classifier.score == "sigmoid"
    assert vs.load_run(tmp_path / "run").info.classifier.score_in_words == classifier.score_in_words
    with pytest.raises(ClassifierError, match=r"the run explains scores by sigmoid.*--score sigmoid"):
        vs.load_run(tmp_path / "run").apply(noisy(220, 250, 20), of(net, class_names=NAMES, score="logit"))


Pair = namedtuple("Pair", ["features", "scores"])


@pytest.mark.parametrize(
    "answer",
    [
        lambda f, y: (f, y),
        lambda f, y: [f, y],
        lambda f, y: {"features": f, "class_token": y},
        lambda f, y: Pair(f, y),
        lambda f, y: SimpleNamespace(features=f, out=y),
    ],
)
def test_logits_are_found_among_other_things(answer):
    module = Colors(lambda y: answer(y.repeat(1, 5), y))
    classifier = of(module, class_names=NAMES)
    assert classifier.num_classes == 3
    assert classifier.logits(classifier.to_tensor([YELLOW]))[0].tolist() == pytest.approx([10, 10, -10])


@pytest.mark.parametrize(
    "answer", [lambda f, y: (f, y), lambda f, y: {"features": f, "class_token": y}, lambda f, y: (f, None, y)]
)
def test_features_are_never_taken_for_classes(answer):
    module = Colors(lambda y: answer(y.repeat(1, 5), y))
    with pytest.raises(
        ClassifierError, match=r"several things for 2 image\(s\), \(2, 15\), \(2, 3\), and none is called logits"
    ):
        of(module)


BUILDER = (
    "from torch import nn\n\n\ndef build():\n    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))\n"
)


def weights(value):
    return {"2.weight": torch.full((2, 3), value), "2.bias": torch.zeros(2)}


CHECKPOINTS = {
    "timm": {"epoch": 1, "state_dict": weights(1.0), "state_dict_ema": weights(2.0)},
    "detr": {"model": weights(1.0), "model_ema": {"module": weights(2.0)}},
    "flat": {"state_dict": weights(1.0) | {f"ema.module.{name}": value for name, value in weights(2.0).items()}},
    "restoration": {"params": weights(1.0), "params_ema": weights(2.0)},
}


@pytest.mark.parametrize("form", CHECKPOINTS)
def test_averaged_weights_beside_raw_ones(form, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "visual_summaries")  # a command that ran before may have left another
    (tmp_path / "net.py").write_text(BUILDER)
    torch.save(CHECKPOINTS[form], tmp_path / "w.pth")

    def load(**options):
        classifier = load_classifier(f"{tmp_path}/net.py:build", tmp_path / "w.pth", input_size=8, mean=0, std=1, **options)
        return float(classifier.module[2].weight[0, 0]), classifier.describe()["weights"]

    assert load() == (1.0, "raw")
    assert "holds averaged and raw weights: raw were taken" in caplog.text
    assert "--weights ema" in caplog.text
    caplog.clear()
    assert load(weights="ema") == (2.0, "ema")
    assert load(weights="raw") == (1.0, "raw")
    assert not caplog.records


def test_weights_of_one_kind(tmp_path):
    (tmp_path / "net.py").write_text(BUILDER)
    torch.save(weights(1.0), tmp_path / "raw.pth")
    torch.save({"ema": weights(2.0)}, tmp_path / "ema.pth")
    spec = f"{tmp_path}/net.py:build"
    assert load_classifier(spec, tmp_path / "raw.pth", weights="raw").weights == ""
    assert load_classifier(spec, tmp_path / "ema.pth").weights == "ema"
    with pytest.raises(ClassifierError, match="holds no averaged weights"):
        load_classifier(spec, tmp_path / "raw.pth", weights="ema")
    with pytest.raises(ClassifierError, match="holds averaged weights only"):
        load_classifier(spec, tmp_path / "ema.pth", weights="raw")
    with pytest.raises(ClassifierError, match="give the checkpoint, too"):
        load_classifier(spec, weights="ema")
    with pytest.raises(ClassifierError, match="weights is 'best', but must be 'ema'"):
        load_classifier(spec, tmp_path / "raw.pth", weights="best")


def test_one_output_and_averaged_weights_from_the_command_line(tmp_path, capsys):
    from visual_summaries.cli import main
    from visual_summaries.cli.applying import network_of

    (tmp_path / "net.py").write_text(BUILDER.replace("nn.Linear(3, 2)", "nn.Linear(3, 1)"))
    averaged = {"2.weight": torch.tensor([[9.0, -9.0, 0.0]]), "2.bias": torch.zeros(1)}
    torch.save({"state_dict": {name: -value for name, value in averaged.items()}, "ema": averaged}, tmp_path / "w.pth")
    (tmp_path / "images").mkdir()
    for number, image in enumerate(noisy(250, 20, 20)):
        PIL.Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    command = ["run", f"{tmp_path}/net.py:build", str(tmp_path / "images"), "--checkpoint", str(tmp_path / "w.pth")]
    command += ["--target", "yes", "--preset", "quick", "--quiet"]
    assert main([*command, "--out", str(tmp_path / "a"), "--weights", "raw"]) == 4  # these say no
    assert main([*command, "--out", str(tmp_path / "b"), "--weights", "ema", "--score", "sigmoid"]) == 0
    found = vs.load_run(tmp_path / "b").info.classifier
    assert (found.weights, found.score) == ("ema", "sigmoid")
    page = (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert "sigmoid of the one output" in page
    assert "a guess, for the network states no preprocessing" in page
    again = network_of(vs.load_run(tmp_path / "b"), command[1], tmp_path / "w.pth", None)
    assert (again.weights, again.score) == ("ema", "sigmoid")  # the run's, where nothing else is said
    assert main([*command, "--out", str(tmp_path / "d"), "--score", "softmax"]) == 3
