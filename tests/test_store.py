"""Runs on disk: what is loaded equals what was saved, and damage is a typed error."""

from __future__ import annotations

import contextlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.made_runs import made_mask, small_parts
from visual_summaries.errors import RunError
from visual_summaries.files import lock
from visual_summaries.files.arrays import load_arrays, pack, unpack
from visual_summaries.files.atomic import atomic_file
from visual_summaries.files.journal import Journal
from visual_summaries.results import (
    Chance,
    Component,
    Faithfulness,
    Image,
    JointEffects,
    Member,
    Region,
    Run,
    RunAnalysis,
    RunInfo,
    Skipped,
    Summary,
    SummaryAnalysis,
    Together,
    same,
)
from visual_summaries.runs.directory import load_run, require_free, save_run
from visual_summaries.runs.pieces import Pieces, digest
from visual_summaries.settings import preset
from visual_summaries.settings.masks import infills_of

H, W = 12, 20


def analysis(rng: np.random.Generator, images: int) -> SummaryAnalysis:
    return SummaryAnalysis(np.arange(images), *rng.random((2, images)).astype(np.float32), (-0.1, float("nan")), 0.5)


def run_analysis(rng: np.random.Generator) -> RunAnalysis:
    one, other, many, more = (rng.random(shape).astype(np.float32) for shape in (3, 3, (5, 3), (5, 3)))
    joint = JointEffects((1, 0), one, other, many, more, (0.1, 0.8), (1,), ())
    together = Together(0.6, 0.8, (0.5, float("nan")), 0.1, 0.05, 0.2)
    return RunAnalysis(joint, Chance(3, 2, 0.4, 0.1, np.arange(4), *rng.random((2, 4)).astype(np.float32)), together)


def small_run(superpixel: bool = False, seed: int = 0) -> Run:
    rng = np.random.default_rng(seed)

    def evidence() -> np.ndarray:
        return rng.random((H, W)).astype(np.float16)

    images = tuple(
        Image(i, f"a/{i}.jpg", "ab" * 32, rng.integers(0, 256, (H, W, 3), dtype=np.uint8), 0.1 + 0.2, 7) for i in range(3)
    )
    masks = tuple(
        made_mask(
            evidence(),
            0.9,
            1e-7,
            0.3,
            infills=1,
            smooth=evidence(),
            superpixel=evidence() if superpixel else None,
            losses=rng.random(4 + i).astype(np.float32),
        )
        for i in range(3)
    )
    regions = tuple(Region(i, i, (i, 2, i + 5, 8), rng.random((6, 5)) < 0.5, 0.8, 0.5, 0.4, float("nan")) for i in range(3))
    members = tuple(Member(i, 0.5, float("nan"), rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)) for i in range(3))
    return Run(
        images=images,
        masks=masks,
        components=(Component(0, (0, 0, 3, 2), np.ones((2, 3), bool), 0.4, 0.2),),
        regions=regions,
        descriptors=np.zeros((3, 0), np.float32),
        similarity=rng.random((3, 3)).astype(np.float32),
        summaries=(Summary(0, 0, members[:2], (0, 1), 1.1, 0.3, analysis(rng, 2)), Summary(1, 1, members[:1], (1,), 1.0, 0.2)),
        rejected=(Summary(2, 2, members[2:], (2,), float("nan"), 0.3, analysis(rng, 1)),),
        skipped=(Skipped("b.txt", "unreadable", "no image"),),
        settings=preset("paper"),
        info=RunInfo(source="café 🐦"),
        analysis=run_analysis(rng),
        faithfulness=Faithfulness(
            *(
                rng.random(shape).astype(np.float32)
                for shape in ((3, 2, 4), (3, 2, 4), (3, 1), (3, 1), (3, 2), (3, 3), (3,), (3,))
            )
        ),
    )


def divided(run: Run) -> Run:
    """The same run as the default makes it: with parts, and no pairs."""
    rng = np.random.default_rng(1)
    descriptors = rng.random((len(run.regions), 5)).astype(np.float32)
    own = {"summaries": (0, 1), "rejected": (1,)}
    placed = {name: tuple(replace(s, part=k) for s, k in zip(getattr(run, name), own[name], strict=True)) for name in own}
    return replace(run, parts=small_parts(rng), descriptors=descriptors, similarity=np.zeros((0, 0), np.float32), **placed)


def test_a_loaded_run_with_parts_equals_the_saved_one(tmp_path: Path) -> None:
    run = divided(small_run())
    save_run(run, tmp_path / "run")
    assert load_run(tmp_path / "run") == run
    assert run.parts is not None
    for parts in (replace(run.parts, reach=run.parts.reach + 1), replace(run.parts, numbers=())):
        assert run != replace(run, parts=parts)


@pytest.mark.parametrize(
    "name", ["mean", "directions", "references", "reference_images", "centers", "reach", "tree", "descriptors", "similarity"]
)
def test_parts_that_do_not_fit_together_are_named(tmp_path: Path, name: str) -> None:
    run = divided(small_run())
    assert run.parts is not None
    if name in ("descriptors", "similarity"):
        wrong = replace(run, **{name: np.zeros((7, 9), np.float32)})
    else:
        own = getattr(run.parts, name)
        wrong = replace(
            run, parts=replace(run.parts, **{name: np.concatenate([own, own[:1]]) if name != "directions" else own[:, :-1]})
        )
    save_run(wrong, tmp_path / "run")
    with pytest.raises(RunError, match="compute the run again"):
        load_run(tmp_path / "run")


def in_ways(run: Run, hidden: str) -> Run:
    """The same run, with pixels hidden in the infills that `hidden` names; each way has its own scores."""
    infills, rng = len(infills_of(hidden)), np.random.default_rng(2)

    def scores(*shape: int) -> np.ndarray:
        return rng.random(shape).astype(np.float32)

    assert run.faithfulness is not None
    return replace(
        run,
        settings=replace(run.settings, masks=replace(run.settings.masks, infill=hidden)),
        masks=tuple(replace(mask, after=scores(infills), hidden=scores(infills)) for mask in run.masks),
        faithfulness=replace(run.faithfulness, after=scores(3, infills), shown=scores(3, infills)),
    )


@pytest.mark.parametrize("hidden", ["mix", "mean", "mean+noise"])
def test_a_loaded_run_has_a_score_for_each_way_of_hiding(tmp_path: Path, hidden: str) -> None:
    run = in_ways(small_run(), hidden)
    save_run(run, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded == run
    assert [len(mask.after) for mask in loaded.masks] == [len(infills_of(hidden))] * 3


@pytest.mark.parametrize("name", ["after", "hidden"])
@pytest.mark.parametrize(("hidden", "wrong"), [("mix", 3), ("mix", 5), ("blur", 4), ("mean+noise", 0)])
def test_scores_for_another_number_of_ways_are_refused(tmp_path: Path, name: str, hidden: str, wrong: int) -> None:
    run = in_ways(small_run(), hidden)
    masks = tuple(replace(mask, **{name: np.zeros(wrong, np.float32)}) for mask in run.masks)
    save_run(replace(run, masks=masks), tmp_path / "run")
    expected = rf"run\.masks\.0\.{name} is \({wrong},\), but must be \({len(infills_of(hidden))},\), one for each infill"
    with pytest.raises(RunError, match=expected):
        load_run(tmp_path / "run")


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": (3, 3), "shown": (3, 3)},
        {"after": (3, 3)},
        {"shown": (3, 3)},
        {"after": (2, 4), "shown": (2, 4)},
        {"after": ()},
        {"deletion": ()},
        {"insertion": ()},
        {"moved": (3, 3)},
        {"holds": (3, 2)},
        {"holds": (2, 3)},
        {"deletion": (3, 2, 1)},
        {"insertion": (3, 1, 4)},
        {"score_before": (2,)},
        {"area": (3, 1)},
    ],
)
def test_faithfulness_of_another_shape_is_refused(tmp_path: Path, wrong: dict[str, tuple[int, ...]]) -> None:
    run = in_ways(small_run(), "mix")
    assert run.faithfulness is not None
    changed = replace(run.faithfulness, **{name: np.zeros(shape, np.float32) for name, shape in wrong.items()})
    save_run(replace(run, faithfulness=changed), tmp_path / "run")
    with pytest.raises(RunError, match=r"run\.faithfulness\."):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("left", [{"noise": [0.5]}, {"noise": None}, {"noise": "half"}, [0.5], 0.5])
def test_what_ways_leave_is_a_number_for_each(tmp_path: Path, left: object) -> None:
    run = small_run()
    save_run(replace(run, info=replace(run.info, left_when_hidden={"blur": 0.02, "noise": 0.5})), tmp_path / "run")
    assert load_run(tmp_path / "run").info.left_when_hidden == {"blur": 0.02, "noise": 0.5}
    save_run(replace(run, info=replace(run.info, left_when_hidden=left)), tmp_path / "run")
    with pytest.raises(RunError, match=r"manifest: Expected .*left_when_hidden"):
        load_run(tmp_path / "run")


@pytest.mark.parametrize("superpixel", [False, True])
def test_a_loaded_run_equals_the_saved_one(tmp_path: Path, superpixel: bool) -> None:
    run = small_run(superpixel)
    save_run(run, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert loaded == run
    assert loaded.path == tmp_path / "run"


def test_runs_without_analyses_are_read(tmp_path: Path) -> None:
    run = small_run()
    bare = tuple(replace(summary, analysis=None) for summary in run.summaries)
    for one in (replace(run, summaries=bare, analysis=None), replace(run, analysis=RunAnalysis())):
        save_run(one, tmp_path / "run")
        assert load_run(tmp_path / "run") == one


def test_equality_looks_into_every_array() -> None:
    run = small_run()
    changed = run.masks[1].sharp.copy()
    changed[3, 4] += np.float16(0.25)
    masks = (run.masks[0], replace(run.masks[1], sharp=changed), run.masks[2])
    assert run != replace(run, masks=masks)
    assert run == replace(run, path=Path("elsewhere"))
    for name in ("after", "hidden"):
        other = replace(run.masks[1], **{name: getattr(run.masks[1], name) + np.float32(0.25)})
        assert run != replace(run, masks=(run.masks[0], other, run.masks[2]))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=5))
def test_ragged_arrays_survive_packing(shapes: list[tuple[int, int]]) -> None:
    items = [np.arange(h * w).reshape(h, w) % 3 == 0 for h, w in shapes]
    assert same(unpack("x", pack("x", items, 2, bool)), items)


def without_checksums(path: Path) -> None:
    """Take the checksums out of a run: who forges its files can forge these too."""
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["files"]
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["run.json", "arrays.npz"])
def test_a_flipped_bit_is_found_by_its_checksum(tmp_path: Path, name: str) -> None:
    save_run(small_run(), tmp_path)
    raw = bytearray((tmp_path / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / name).write_bytes(bytes(raw))
    with pytest.raises(RunError, match=rf"{name} is damaged: its checksum does not fit; .* --resume"):
        load_run(tmp_path)


def test_no_manifest_means_not_complete(tmp_path: Path) -> None:
    save_run(small_run(), tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(RunError, match="holds no complete run; finish it with --resume"):
        load_run(tmp_path)


def test_another_format_is_named(tmp_path: Path) -> None:
    save_run(small_run(), tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(RunError, match=r"has format 99, but this version reads format 3; install .* or compute the run again"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "run.json", "arrays.npz"])
@pytest.mark.parametrize("damage", ["truncate", "rubbish", "list"])
def test_damaged_files_are_typed_errors(tmp_path: Path, name: str, damage: str) -> None:
    save_run(small_run(), tmp_path)
    without_checksums(tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    path.write_bytes({"truncate": whole[: len(whole) // 2], "rubbish": b"\x00\xff rubbish", "list": b"[1, 2]"}[damage])
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        load_run(tmp_path)


def test_a_missing_field_is_a_typed_error(tmp_path: Path) -> None:
    save_run(small_run(), tmp_path)
    without_checksums(tmp_path)
    data = json.loads((tmp_path / "run.json").read_text())
    del data["regions"][0]["box"]
    (tmp_path / "run.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match="is damaged"):
        load_run(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9), st.integers(0, 255))
def test_one_changed_byte_gives_the_run_or_a_typed_error(tmp_path: Path, place: int, value: int) -> None:
    save_run(small_run(), tmp_path)
    without_checksums(tmp_path)
    path = tmp_path / "arrays.npz"
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] = value
    path.write_bytes(bytes(raw))
    with contextlib.suppress(RunError):
        load_run(tmp_path)


def test_a_pickle_inside_a_run_is_not_executed(tmp_path: Path) -> None:
    save_run(small_run(), tmp_path)

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    without_checksums(tmp_path)
    with (tmp_path / "arrays.npz").open("wb") as file:
        np.savez(file, views=np.array([Payload()], dtype=object))
    with pytest.raises(RunError, match=r"arrays\.npz cannot be read"):
        load_run(tmp_path)
    (tmp_path / "arrays.npz").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(RunError, match=r"arrays\.npz cannot be read"):
        load_run(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail_half_way() -> None:
        with atomic_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_pieces_are_found_by_their_inputs(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path)
    key = digest({"view": "x", "settings": {"l1": 0.5}})
    assert pieces.get("masks", key) is None
    pieces.put("masks", {key: {"sharp": np.arange(3), "score": 0.1}})
    assert same(pieces.get("masks", key), {"sharp": np.arange(3), "score": 0.1})
    assert same(Pieces(tmp_path).get("masks", key), {"sharp": np.arange(3), "score": 0.1})
    assert pieces.get("masks", digest({"view": "x", "settings": {"l1": 0.6}})) is None
    Pieces(None).put("masks", {key: {"sharp": np.arange(3)}})
    assert Pieces(None).get("masks", key) is None


def test_any_flipped_bit_of_a_piece_is_found_and_reported(tmp_path: Path) -> None:
    """Each byte in turn, in the arrays, in the keys, in the checksum: the piece is as good as absent, and named."""
    key = digest("inputs")
    Pieces(tmp_path).put("masks", {key: {"sharp": np.arange(3, dtype=np.uint8)}, digest("others"): {"score": 0.5}})
    (path,) = (tmp_path / "masks").iterdir()
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        pieces = Pieces(tmp_path)
        assert pieces.get("masks", key) is None
        assert [entry["file"] for entry in pieces.damaged] == [path.name]
        assert not path.exists()


def test_output_folders(tmp_path: Path) -> None:
    require_free(tmp_path / "new", resume=False)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="is a file"):
        require_free(tmp_path / "file", resume=True)
    with pytest.raises(RunError, match=r"not empty \(file, \.\.\.\) and holds no run"):
        require_free(tmp_path, resume=True)
    save_run(small_run(), tmp_path / "run")
    with pytest.raises(RunError, match="already holds a complete run; add --resume"):
        require_free(tmp_path / "run", resume=False)
    require_free(tmp_path / "run", resume=True)
    (tmp_path / "half" / "pieces" / "answers").mkdir(parents=True)
    (tmp_path / "half" / "pieces" / "answers" / "a.npz").touch()
    (tmp_path / "half" / "journal.jsonl").touch()
    require_free(tmp_path / "half", resume=False)  # it failed before any work: no image was of the class
    (tmp_path / "half" / "pieces" / "masks").mkdir()
    (tmp_path / "half" / "pieces" / "masks" / "a.npz").touch()
    with lock.locked(tmp_path / "half", Journal(None)):
        require_free(tmp_path / "half", resume=True)
        with pytest.raises(RunError, match="already holds an unfinished run"):  # ours is the lock
            require_free(tmp_path / "half", resume=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lock, "HELD", [])  # as another process sees it
            with pytest.raises(RunError, match=r"is in use: process .* is writing a run to it; wait until it ends, or choose"):
                require_free(tmp_path / "half", resume=False)
    with pytest.raises(RunError, match="already holds an unfinished run"):
        require_free(tmp_path / "half", resume=False)
    # Killed while it wrote its first file: nothing is there yet, so it may also be begun anew.
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / ".holder.json.ab12.tmp").touch()
    require_free(tmp_path / "begun", resume=True)
    require_free(tmp_path / "begun", resume=False)
    (tmp_path / "begun" / ".notes.ab12.tmp").touch()  # not ours
    with pytest.raises(RunError, match="holds no run"):
        require_free(tmp_path / "begun", resume=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        save_run(small_run(), tmp_path / "file" / "run")


def test_arrays_of_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is missing; the run is incomplete"):
        load_arrays(tmp_path / "none.npz")
