"""Engines: the same records wherever they are computed, on a real cluster of several nodes whose workers and nodes die."""

from __future__ import annotations

import builtins
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import visual_summaries as vs
from visual_summaries.batch.jobs import plan_jobs
from visual_summaries.batch.work import run_jobs
from visual_summaries.classifiers import load_classifier
from visual_summaries.engines import Handle, LocalEngine, make_engine
from visual_summaries.engines.ray_engine import RayEngine
from visual_summaries.engines.shipping import own_modules, pack_for
from visual_summaries.errors import EngineError, ImageError, MissingExtraError, SettingsError
from visual_summaries.masks import MaskSchedule
from visual_summaries.results import Run, RunInfo

ray = pytest.importorskip("ray")

from benchmarks.scale.ray_nodes import Nodes  # noqa: E402 - needs Ray


def tiny_settings() -> vs.Settings:
    """All stages, each as short as it gets."""
    settings = vs.preset("paper")
    masks = replace(
        settings.masks, smooth=MaskSchedule(15, l1=0.5, l2=0.01, l3=0.0), sharp=MaskSchedule(15, l1=0.01, l2=1.0, l3=2.0)
    )
    return replace(settings, masks=replace(masks, batch_size=1), regions=replace(settings.regions, boxes=100))


def same_results(a: Run, b: Run) -> bool:
    return replace(a, info=RunInfo()) == replace(b, info=RunInfo())


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """As many threads here as a task of the cluster has: results are equal bit for bit where these are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """End a test on a cluster that waits for ever, on however busy a machine."""
    if request.node.get_closest_marker("cluster") is None:
        yield
        return

    def end(*_: Any) -> None:
        raise TimeoutError("the test has not ended within 400 s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(400)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    started = Nodes(client=True)
    yield started
    started.close()


@pytest.fixture(scope="module")
def images(draw_striped_images: Callable[..., Any]) -> Any:
    return draw_striped_images(6).images


@pytest.fixture(scope="module")
def local_run(images: Any, shared_stripe_network: torch.nn.Module, one_thread: None) -> Run:
    return vs.summarize(shared_stripe_network, images, "marked", settings=tiny_settings())


# Without a cluster.


def test_names_of_engines() -> None:
    engine = LocalEngine()
    assert make_engine(engine) is engine
    assert isinstance(make_engine("local"), LocalEngine)
    for name in ("ray:", "ray://", "spark", "Local", ""):
        with pytest.raises(SettingsError, match="must be local, ray, or ray://HOST:PORT"):
            make_engine(name)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install 'visual-summaries\[ray\]'"):
        make_engine("ray")


def test_code_of_the_users_own_goes_along(tmp_path: Path) -> None:
    (tmp_path / "parts_of_mine.py").write_text("WIDTH = 5\n\ndef double(x):\n    return 2 * x\n")
    (tmp_path / "net_of_mine.py").write_text(
        "import torch\nimport parts_of_mine\nfrom parts_of_mine import double\n\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = torch.nn.Linear(3, parts_of_mine.WIDTH)\n"
        "    def forward(self, x):\n        return double(self.head(x.mean(dim=(2, 3)))) + parts_of_mine.WIDTH\n\n"
        "def build():\n    torch.manual_seed(0)\n    return Net()\n"
    )
    module = load_classifier(f"{tmp_path / 'net_of_mine.py'}:build", class_names=list("abcde")).module
    assert {Path(own.__file__).name for own in own_modules([type(module)])} == {"net_of_mine.py", "parts_of_mine.py"}
    (tmp_path / "shared.bin").write_bytes(pack_for(ray.cloudpickle, module, module))
    x = torch.arange(24.0).reshape(1, 3, 2, 4)
    for name in ("net_of_mine.py", "parts_of_mine.py"):
        (tmp_path / name).unlink()
    code = (
        "import pickle, sys, torch; net = pickle.load(open(sys.argv[1], 'rb')); "
        "print(net(torch.arange(24.0).reshape(1, 3, 2, 4)).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "shared.bin")], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == str(module(x).tolist())


def test_an_exported_program_goes_along(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 12, 16),)), path)
    module = load_classifier(path).module
    copy = ray.cloudpickle.loads(pack_for(ray.cloudpickle, module, module))
    x = torch.rand(3, 3, 12, 16)
    torch.testing.assert_close(copy(x), module(x), rtol=0, atol=0)
    assert copy.input_size == (3, 12, 16)


# On a cluster.


def square(shared: int, items: list[int]) -> list[int]:
    return [shared * item * item for item in items]


def die_once(folder: Path, items: list[int]) -> list[int]:
    """Kill the process that computes item 3, the first time."""
    if 3 in items and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return items


def fail(shared: None, items: list[int]) -> list[int]:
    raise ImageError("a.png is cut short", "truncated")


def where(shared: None, items: list[int]) -> list[Any]:
    time.sleep(0.3)
    return [(ray.get_runtime_context().get_node_id(), os.getpid(), ray.get_gpu_ids(), torch.get_num_threads()) for _ in items]


def batches(count: int) -> Iterator[tuple[list[int], list[int]]]:
    return (([k], [k]) for k in range(count))


@pytest.mark.cluster
def test_work_is_shared_out_and_what_waits_is_bounded(nodes: Nodes) -> None:
    nodes.have(2)
    engine = make_engine("ray")
    made, most = 0, 0

    def counted() -> Iterator[tuple[list[int], list[int]]]:
        nonlocal made
        for batch in batches(20):
            made += 1
            yield batch

    found = {}
    for done, (positions, records) in enumerate(
        engine.run("where", where, None, counted(), accelerator=False, whole=True), start=1
    ):
        most = max(most, made - done)
        found |= dict(zip(positions, records, strict=True))
    assert sorted(found) == list(range(20))
    assert len({node for node, *_ in found.values()}) == 2
    assert most <= 4  # two for each of two workers
    assert {threads for *_, threads in found.values()} == {1}
    assert dict_of(engine.run("square", square, 3, batches(9), accelerator=False, whole=True)) == {
        k: 3 * k * k for k in range(9)
    }


def dict_of(results: Iterator[tuple[list[int], list[Any]]]) -> dict[int, Any]:
    return {position: record for positions, records in results for position, record in zip(positions, records, strict=True)}


@pytest.mark.cluster
def test_a_worker_that_dies_is_replaced(nodes: Nodes, tmp_path: Path) -> None:
    nodes.have(2)
    engine = make_engine("ray")
    assert dict_of(engine.run("die", die_once, tmp_path, batches(6), accelerator=False, whole=True)) == {k: k for k in range(6)}
    assert (tmp_path / "died").exists()


@pytest.mark.cluster
def test_errors_come_back_as_they_are(nodes: Nodes) -> None:
    nodes.have(2)
    with pytest.raises(ImageError, match=r"a\.png is cut short"):
        list(make_engine("ray").run("fail", fail, None, batches(3), accelerator=False, whole=True))


@pytest.mark.cluster
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_run_on_a_cluster_equals_a_local_one(
    count: int, nodes: Nodes, images: Any, shared_stripe_network: torch.nn.Module, local_run: Run
) -> None:
    nodes.have(count)
    run = vs.summarize(shared_stripe_network, images, "marked", settings=tiny_settings(), engine="ray")
    assert same_results(run, local_run)
    assert run.info.engine == "ray"
    assert local_run.info.engine == "local"


@pytest.mark.cluster
def test_a_run_survives_killed_workers_and_a_lost_node(
    nodes: Nodes, images: Any, shared_stripe_network: torch.nn.Module, local_run: Run, tmp_path: Path
) -> None:
    nodes.have(2)
    killed: list[int] = []
    lost: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "masks" and done == 2 and not killed:
            for pid in nodes.workers():
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
        if stage == "faithfulness" and done == 1 and not lost:
            lost.append(stage)
            nodes.lose()

    run = vs.summarize(
        shared_stripe_network, images, "marked", tmp_path / "run", settings=tiny_settings(), engine="ray", progress=progress
    )
    assert killed
    assert lost
    assert same_results(run, local_run)
    assert same_results(vs.load_run(tmp_path / "run"), local_run)


@pytest.mark.cluster
def test_ray_client_gives_the_same_run(nodes: Nodes, images: Any, local_run: Run, tmp_path: Path) -> None:
    """Another process, which is no part of the cluster and talks to it through its Ray client server."""
    nodes.have(2)
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", THROUGH_CLIENT, str(nodes.client_port), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stderr
    run = vs.load_run(tmp_path / "run")
    assert same_results(run, local_run)
    assert run.info.engine == "ray"


THROUGH_CLIENT = """
import sys
import numpy, torch
import visual_summaries as vs
from conftest import make_stripe_network
from test_engines import tiny_settings

torch.set_num_threads(1)
images = numpy.load(sys.argv[2] + "/images.npy")
engine = "ray://127.0.0.1:" + sys.argv[1]
vs.summarize(make_stripe_network(), images, "marked", sys.argv[2] + "/run", settings=tiny_settings(), engine=engine)
"""


@pytest.mark.cluster
def test_whole_runs_as_tasks(nodes: Nodes, images: Any, tmp_path: Path) -> None:
    nodes.have(2)
    (tmp_path / "nets.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom conftest import *\n"
    )
    for name in ("0_marked", "1_plain"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number, image in enumerate(images[:3]):
            PIL.Image.fromarray(image).save(tmp_path / "images" / name / f"{number}.png")
    model = f"{tmp_path / 'nets.py'}:make_stripe_network"
    jobs = plan_jobs([model], tmp_path / "images", tmp_path / "runs", preset="paper")
    found = {Path(result.job.images).name: result for result in run_jobs(jobs, engine="ray")}
    assert (found["0_marked"].state, found["0_marked"].error) == ("done", "")
    assert "none of the 3 images is classified as plain" in found["1_plain"].error
    assert [result.state for result in run_jobs(jobs[:1], engine="ray", resume=True)] == ["kept"]


@pytest.mark.cluster
def test_one_engine_ends_what_another_began(
    nodes: Nodes, images: Any, shared_stripe_network: torch.nn.Module, local_run: Run, tmp_path: Path
) -> None:
    nodes.have(1)
    for first, second, stage in (("ray", "local", "masks"), ("local", "ray", "faithfulness")):
        out = tmp_path / first

        def stop(name: str, done: int, total: int, stage: str = stage) -> None:
            if name == stage and done == 3:
                raise KeyboardInterrupt

        arguments = (shared_stripe_network, images, "marked", out)
        with pytest.raises(KeyboardInterrupt):
            vs.summarize(*arguments, settings=tiny_settings(), engine=first, progress=stop)
        run = vs.summarize(*arguments, settings=tiny_settings(), engine=second, resume=True)
        assert same_results(run, local_run)
        found = run.info.pieces[stage]
        assert found["found"] >= 3
        assert found["found"] + found["computed"] == len(images)


@pytest.mark.cluster
def test_a_cluster_without_nodes_is_told_and_not_waited_for(nodes: Nodes) -> None:
    nodes.have(1)
    engine = RayEngine(patience=4)
    records = engine.run("where", where, None, batches(6), accelerator=False, whole=True)
    next(records)
    nodes.have(0)
    with pytest.raises(EngineError, match=r"could not finish where .*no node has had 1 cores for a task for 4 s; .*--resume"):
        list(records)


@pytest.mark.cluster
def test_a_task_that_needs_a_card_gets_one(nodes: Nodes) -> None:
    nodes.have(1)
    nodes.have(2, num_gpus=1)  # Ray takes the word of a node for what it has
    engine = make_engine("ray")
    cards = dict_of(engine.run("where", where, None, batches(3), accelerator=True, whole=True))
    assert {tuple(map(str, gpus)) for _, _, gpus, _ in cards.values()} == {("0",)}
    plain = dict_of(engine.run("where", where, None, batches(3), accelerator=False, whole=True))
    assert {tuple(gpus) for _, _, gpus, _ in plain.values()} == {()}


def test_no_cluster_at_an_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise ConnectionError("ray client connection timeout\nand more")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(
        EngineError, match=r"no Ray cluster at ray://nowhere:1 \(ray client connection timeout\): start one with"
    ):
        list(make_engine("ray://nowhere:1").run("square", square, 1, batches(1), accelerator=False, whole=True))


@pytest.mark.cluster
def test_arrays_that_come_back_are_ours(nodes: Nodes) -> None:
    nodes.have(1)
    found = dict_of(make_engine("ray").run("zeros", zeros, None, batches(2), accelerator=False, whole=True))
    assert found[1]["a"].shape == (300, 300)
    assert found[1]["a"].flags.writeable


@pytest.mark.cluster
def test_handles_are_sent_once_and_no_longer_than_they_are_held(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes.have(1)
    sent: list[Any] = []
    put = ray.put
    monkeypatch.setattr(ray, "put", lambda value: (sent.append(value), put(value))[1])
    engine, handle = RayEngine(), Handle(np.ones(4))
    items = (([k], [{"handles": [handle], "k": k}]) for k in range(3))
    assert dict_of(engine.run("sums", total, None, items, accelerator=False, whole=True)) == {0: 4.0, 1: 5.0, 2: 6.0}
    assert sum(value is handle.value for value in sent) == 1
    assert len(engine._handles) == 1
    del handle, items
    gc.collect()
    assert len(engine._handles) == 0


def total(shared: None, items: list[Any]) -> list[float]:
    return [float(sum(handle.get().sum() for handle in item["handles"])) + item["k"] for item in items]


def zeros(shared: None, items: list[int]) -> list[dict[str, np.ndarray]]:
    return [{"a": np.zeros((300, 300))} for _ in items]
