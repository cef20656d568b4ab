"""The benchmark of many runs: what it estimates from rates that are given, and that the committed ones can be read."""

from __future__ import annotations

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import visual_summaries as vs
from benchmarks.scale import estimate, scale
from benchmarks.scale.clusters import one_thread

MASKS = {
    "hardware": {"cores": 2, "threads": 1},
    "rows": [{"network": "a", "default": {"seconds_per_image": 1.0}}, {"network": "b", "default": {"seconds_per_image": 3.0}}],
}


def test_other_stages_count_by_their_ratio_to_the_masks_of_their_run() -> None:
    # the masks of 10 images of network a take 10 s by the committed rate, and took four times that: the machine was busy
    stages = {"masks": 40.0, "parts": 6.0, "summaries": 2.0, "importance": 8.0, "stability": 4.0, "chance": 2.0}
    run = {"network": "a", "images": 10, "stages": stages}
    found = {row["stage"]: row["seconds_per_run"] for row in estimate.estimate(MASKS, [run]) if "stage" in row}
    assert run["times_as_slow"] == pytest.approx(4)
    assert found["masks"] == pytest.approx(200)  # of both networks
    assert (found["parts"], found["summaries"], found["importance"]) == pytest.approx((15, 5, 20))  # grow with the images
    assert (found["stability"], found["chance"], found["joint"]) == pytest.approx((1, 0.5, 0))  # do not grow
    assert found["whole run"] == pytest.approx(200 + 15 + 5 + 20 + 1 + 0.5)
    machines = [row["hours"] for row in estimate.estimate(MASKS, [run]) if "machine" in row]
    assert machines[0] == pytest.approx(241.5 * 3000 / 3600 / 2)  # two runs at a time
    assert machines[1] == pytest.approx(machines[0] / 32)
    assert machines[3] == pytest.approx(20 * 3000 / 3600 / 2)


def test_a_run_is_timed_by_the_stages_that_it_has(striped_run: vs.Run) -> None:
    assert set(striped_run.info.timings) == set(estimate.GROWS) | {"masks"}


def test_the_committed_rates_can_be_read() -> None:
    rows = [row for row in scale.result([], "quick")["rows"] if row.get("stage") == "whole run"]
    assert rows[0]["hours_of_3000"] > 1


def test_one_thread_is_that_of_every_library() -> None:
    def threads() -> set[int]:
        return {torch.get_num_threads()} | {pool["num_threads"] for pool in threadpool_info()}

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2):
            assert threads() == {2}
            with one_thread():
                assert threads() == {1}
            assert threads() == {2}
    finally:
        torch.set_num_threads(before)


def test_inputs_of_a_kind_are_counted_together() -> None:
    row = {"input": "names", "inputs": 5, "accepted": 2, "typed_errors": 3, "failures": 0, "slowest_s": 0.1}
    found = list(scale.fuzzed([row, {**row, "slowest_s": 0.3}, {**row, "input": "runs"}]))
    assert [(one["input"], one["inputs"], one["slowest_s"]) for one in found] == [("names", 10, 0.3), ("runs", 5, 0.1)]
    steps = scale.fuzz("full", None)
    assert len(steps) >= 12
    assert max(step.args[2] for step in steps.values()) <= 1000
