"""Finding the class that is meant."""

import json
import string

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from visual_summaries.classifiers import (
    Classifier,
    Target,
    ViewTransform,
    find_class,
    imagenet_names,
    resolve_class_names,
    resolve_target,
)
from visual_summaries.errors import ClassifierError, SettingsError, TargetError


class Constant(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x):
        return torch.arange(self.outputs, device=x.device).float().expand(len(x), -1)


@pytest.fixture(scope="module")
def imagenet():
    return Classifier(Constant(1000), transform=ViewTransform((6, 8)))


@pytest.mark.parametrize(
    ("given_name", "index"),
    [
        (229, 229),
        (np.int64(229), 229),
        ("229", 229),
        ("Old English sheepdog", 229),
        ("old_english-SHEEPDOG", 229),
        ("OldEnglishSheepdog", 229),
        ("bobtail", 229),
        ("n02105641", 229),
        ("robin", 15),
        ("bald eagle", 22),
        ("german shepherd", 235),
        ("jean", 608),
        ("sax", 776),
        ("police van", 734),
        ("Windsor tie", 906),
        ("steam", 820),
        ("crane (517)", 517),
        ("sunglass", 836),
    ],
)
def test_imagenet_classes_are_found(imagenet, given_name, index):
    target = resolve_target(imagenet, given_name)
    assert target.index == index
    assert target.name == imagenet.class_names[index]


@pytest.mark.data
def test_imagenet_names_are_in_the_usual_order(data_dir):
    listed = json.loads((data_dir / "weights" / "imagenet_class_index.json").read_text())
    resolved = resolve_class_names(data_dir / "weights" / "imagenet_class_index.json", 1000)
    own = imagenet_names()
    for index in (0, 15, 229, 608, 770, 841, 999):
        assert resolved[index] == listed[str(index)][1]
        assert find_class(own, resolved[index]) == index


@pytest.mark.parametrize(
    ("given_name", "match"),
    [
        ("crane", r"fits 2 classes: 134 'crane \(134\)', 517 'crane \(517\)'; give the index"),
        ("terrier", r"fits \d+ classes: .*; give the index"),
        ("old englsh sheepdog", "is none of the 1000 classes; did you mean 229 'Old English sheepdog'"),
        ("qqqqqq", "is none of the 1000 classes; give the index of a class"),
        ("1000", "target is 1000, but the network has 1000 classes: 0 to 999"),
        (1000, "target is 1000, but the network has 1000 classes: 0 to 999"),
        (-1, "target is -1, but the network has 1000 classes"),
        ("", "target is '', which names no class"),
        ("  ", "which names no class"),
        (True, "target is True, but must be the index"),
        (1.5, "target is 1.5, but must be the index"),
        (None, "target is None, but must be the index"),
    ],
)
def test_what_fits_no_class_is_an_error(imagenet, given_name, match):
    with pytest.raises(TargetError, match=match):
        resolve_target(imagenet, given_name)


def test_names_that_are_numbers_come_before_indices():
    assert find_class(["5", "0", "4"], "5") == 0
    assert find_class(["a", "b", "c"], " 2 ") == 2


def test_names_that_only_separators_tell_apart_are_found_to_the_letter():
    assert find_class(["running shoe", "running-shoe"], "running-shoe") == 1
    with pytest.raises(TargetError, match="fits 2 classes"):
        find_class(["running shoe", "running-shoe"], "RUNNING SHOE")


def test_a_part_of_a_word_is_no_match():
    with pytest.raises(TargetError, match="is none of the 2 classes"):
        find_class(["concatenate", "dog"], "cat")


names_lists = st.lists(
    st.text(string.ascii_letters + " _-éß", min_size=1, max_size=12).filter(lambda name: any(c.isalpha() for c in name)),
    min_size=1,
    max_size=8,
    unique_by=lambda name: name.casefold().replace(" ", "").replace("_", "").replace("-", ""),
)


@given(names_lists, st.data())
def test_any_spelling_of_a_name_finds_it(names, data):
    index = data.draw(st.integers(0, len(names) - 1))
    spelled = "".join(
        data.draw(st.sampled_from([" ", "_", "-", "", "  "]))
        if c in " _-"
        else data.draw(st.sampled_from([c.upper(), c.lower(), c]))
        for c in names[index]
    )
    assume(spelled.strip())
    assert find_class(names, spelled) == index


@given(names_lists, st.text(max_size=12))
def test_any_text_finds_a_class_or_is_a_target_error(names, text):
    try:
        assert 0 <= find_class(names, text) < len(names)
    except TargetError as error:
        assert repr(text) in str(error) or text.strip() in str(error)  # noqa: PT017 - either outcome is right


def test_functions_have_a_name_and_no_index():
    def margin(logits):
        return logits[:, 2] - logits[:, 1]

    classifier = Classifier(Constant(3), transform=ViewTransform((6, 8)))
    target = resolve_target(classifier, margin)
    assert (target.index, target.name) == (None, "margin")
    assert target.score(torch.tensor([[0.0, 1.0, 3.0]])).tolist() == [2.0]
    assert target.hits(torch.zeros(2, 3)).tolist() == [True, True]


def test_impossible_targets():
    with pytest.raises(TargetError, match="either the index of a class or a function"):
        Target(None, "nothing")
    with pytest.raises(SettingsError, match="kind is 'odds'"):
        Target(0, "a", kind="odds")


def test_class_names_from_files(tmp_path):
    text = tmp_path / "names.txt"
    text.write_text("cat\nbig dog\n", encoding="utf-8")
    assert resolve_class_names(text, 2) == ("cat", "big dog")
    for number, content in enumerate(
        ('["cat", "big dog"]', '{"0": "cat", "1": "big dog"}', '{"1": ["n2", "big dog"], "0": ["n1", "cat"]}')
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(content)
        assert resolve_class_names(str(path), 2) == ("cat", "big dog")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('["cat"]', r"holds 1 name, but the network has 2 outputs"),
        ('["a", "b", "c"]', r"holds 3 names, but the network has 2 outputs"),
        ('{"0": "cat", "2": "dog"}', "index 1 is missing"),
        ('{"cat": 0, "dog": 1}', "must map indices to names, got keys such as 'cat'"),
        ("{broken", "is not valid JSON"),
        ('"cat"', "is a str, but must be a list of names"),
    ],
)
def test_bad_class_name_files(tmp_path, content, match):
    path = tmp_path / "names.json"
    path.write_text(content)
    with pytest.raises(ClassifierError, match=match):
        resolve_class_names(path, 2)
    with pytest.raises(ClassifierError, match="cannot be read"):
        resolve_class_names(tmp_path / "none.txt", 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("n.csv", "2,big dog\n0,cat\n1,eel\n"),
        ("n.csv", "id,name\n2,big dog\n0,cat\n1,eel\n"),
        ("n.csv", "Class Name;Index\nbig dog;3\ncat;1\neel;2\n"),
        ("n.csv", "name\ncat\neel\nbig dog\n"),
        ("n.csv", "cat\neel\nbig dog\n"),
        ("n.csv", '0,n01,cat\n2,n03,"big dog"\n1,n02,eel\n'),
        ("n.tsv", "label\tid\nbig dog\t2\ncat\t0\neel\t1\n"),
        ("n.txt", "2 big dog\n0 cat\n1 eel\n"),
        ("n.txt", "2: big dog\n0: cat\n1: eel"),
        ("n.txt", "cat\neel\nbig dog\n"),
        ("n.yaml", "names:\n  2: big dog\n  0: cat\n  1: eel\n"),
        ("n.yml", "- cat\n- eel\n- big dog\n"),
        ("n.json", '[{"id": 2, "name": "big dog"}, {"id": 0, "name": "cat"}, {"id": 1, "name": "eel"}]'),
        ("n.json", '{"categories": [{"id": 3, "name": "big dog"}, {"id": 1, "name": "cat"}, {"id": 2, "name": "eel"}]}'),
        ("n.json", '{"id2label": {"2": "big dog", "0": "cat", "1": "eel"}}'),
        ("n.json", '[{"label": "cat"}, {"label": "eel"}, {"label": "big dog"}]'),
    ],
)
def test_ids_in_a_names_file_are_its_order(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    assert resolve_class_names(tmp_path / name, 3) == ("cat", "eel", "big dog")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("n.csv", "0,cat\n2,dog\n", "each id from 0"),
        ("n.csv", "cat,felis\ndog,canis\n", r"say in a first row which is the id and which the name \(id,name\)"),
        ("n.csv", "id,name\n0,cat\n1,dog,canis\n", "rows of different lengths"),
        ("n.csv", "id,name\nn01,cat\nn02,dog\n", "ids that are no numbers"),
        ("n.json", '[{"id": 0, "word": "cat"}, {"id": 1, "word": "dog"}]', "call the fields 'id' and 'name'"),
        ("n.yaml", "a: [b", "is not valid YAML"),
    ],
)
def test_names_files_that_do_not_say_their_order(name, content, match, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ClassifierError, match=match):
        resolve_class_names(tmp_path / name, 2)


def test_names_that_begin_with_numbers_stay_names(tmp_path):
    (tmp_path / "n.txt").write_text("4 wheels\n2 wheels\n")
    assert resolve_class_names(tmp_path / "n.txt", 2) == ("4 wheels", "2 wheels")


def test_a_name_that_is_also_one_of_another_class(imagenet):
    with pytest.raises(TargetError, match=r"target 'maillot' fits 2 classes: 638 'maillot .638.', 639 'maillot, tank suit'"):
        resolve_target(imagenet, "maillot")
    with pytest.raises(TargetError, match="fits 2 classes: 1 'seal', 0 'seal, stamp'"):
        find_class(["seal, stamp", "seal"], "Seal")


def test_names_of_the_model_itself():
    net = Constant(2)
    assert resolve_class_names(None, 2, [net]) == ("0", "1")
    net.pretrained_cfg = {"label_names": ["cat", "dog"]}
    assert Classifier(net, transform=ViewTransform((6, 8))).class_names == ("cat", "dog")
    assert resolve_class_names(["x", "y"], 2, [net]) == ("x", "y")
