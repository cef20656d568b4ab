"""Runs that are killed, damaged, locked, starved and interrupted; `make test-faults` tries each many times more."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale import fault_scenarios
from benchmarks.scale.fault_run import Outcome, World, finish, run, same_results
from visual_summaries.errors import RunError
from visual_summaries.files.atomic import write_text
from visual_summaries.files.journal import Journal
from visual_summaries.files.lock import locked


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("faults"))


def survived(outcome: Outcome) -> None:
    assert outcome.tried
    assert not outcome.wrong


def test_killed_at_random_moments(world: World) -> None:
    survived(fault_scenarios.killed(world, 3))


def test_damaged_pieces_are_found_reported_and_computed_again(world: World) -> None:
    survived(fault_scenarios.damaged(world, 3))


def test_damaged_results_are_found_and_mended(world: World) -> None:
    survived(fault_scenarios.damaged_results(world, 2))


def test_a_full_disk(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if fault_scenarios.can_mount(tmp_path / "disk"):
        survived(fault_scenarios.disk_full(world, 1))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"No space left on device, \d+ MiB are free; free some space there .* with --resume"):
        write_text(tmp_path / "file", "text")
    assert not list(tmp_path.glob("*file*"))


def test_a_folder_of_somebody_else(world: World) -> None:
    survived(fault_scenarios.read_only_folder(world))


def test_a_second_process_is_told_who_holds_the_run(world: World) -> None:
    survived(fault_scenarios.two_processes(world, 1))


def test_clocks_do_not_matter(world: World) -> None:
    survived(fault_scenarios.clocks(world))


def test_images_deleted_and_changed_between_beginnings(world: World) -> None:
    survived(fault_scenarios.images_gone(world))


def test_batches_are_halved_when_memory_runs_out(world: World) -> None:
    survived(fault_scenarios.out_of_memory(world, (1, 0)))


@pytest.mark.parametrize(("number", "network"), [(signal.SIGINT, "quick"), (signal.SIGTERM, "slow")])
def test_signals_stop_the_command_which_says_how_to_go_on(world: World, number: int, network: str) -> None:
    survived(fault_scenarios.interrupted(world, 1, number, network, resume=False))


def test_a_plan_found_by_measuring_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which gradient kernel is fastest is measured; a resumed run takes what was found, whatever it would find now."""
    from visual_summaries.runs import image_stages as stages

    def measured(*_: Any) -> None:
        raise AssertionError("measured again")

    out = world.out()
    finish(world.images, out, world.log, resume=False)
    shutil.rmtree(out / "pieces" / "masks")
    monkeypatch.setattr(stages, "plan_masks", measured)
    assert same_results(run(world.images, out, resume=True), world.whole)


def test_nothing_is_left_of_a_run_that_could_not_begin(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path / "out", Journal(None)):
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert not (tmp_path / "out").exists()


def test_the_scenarios_can_fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes a damaged piece for whole, or forgets that pieces are there, is noticed."""
    from visual_summaries.runs import pieces

    def trusting(self: Any, stage: str, key: str) -> None:
        return None

    monkeypatch.setattr(pieces.Pieces, "get", trusting)
    assert any("computed again" in line for line in fault_scenarios.killed(world, 4).wrong)
