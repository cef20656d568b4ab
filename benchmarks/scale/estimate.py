"""What many runs cost, from the rates of masks and of other stages."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import Row

#: Stages of a run that no other benchmark times, and what their time grows with: images, or not at all beyond RATE_IMAGES
#: (what is found on a bounded number of cells, or measured on a few images).
GROWS = {
    "images": "images",
    "faithfulness": "images",
    "parts": "images",
    "descriptors": "images",
    "summaries": "images",
    "importance": "images",
    "stability": "once",
    "together": "images",
    "joint": "once",
    "chance": "once",
    "places": "images",
    "cues": "images",
    "changes": "once",
    "mistakes": "once",
}
#: Stages that a card does not make faster: grouping, boxes and dense flow are done on the processor.
ON_CPU = ("parts", "summaries")


def estimate(masks: Row, timed: list[Row]) -> Iterator[Row]:
    """Yield what 1,000 classes of 100 images cost with three networks, from the rates of masks and of other stages."""
    rates = {row["network"]: row["default"]["seconds_per_image"] for row in masks["rows"] if "default" in row}
    stages = {"masks": 100 * sum(rates.values()) / len(rates)}
    for row in timed:  # other stages by their ratio to the masks of the same run: the machine may have been busy
        row["times_as_slow"] = row["stages"]["masks"] / (row["images"] * rates[row["network"]])
    for stage, grows in GROWS.items() if timed else ():
        growth = [100 / row["images"] if grows == "images" else 1 for row in timed]
        seconds = [row["stages"].get(stage, 0.0) / row["times_as_slow"] for row in timed]
        stages[stage] = sum(a * b for a, b in zip(seconds, growth, strict=True)) / len(timed)
    run = sum(stages.values())
    cores, threads = (masks["hardware"][name] for name in ("cores", "threads"))
    for stage, seconds in {**stages, "whole run": run}.items():
        yield {
            "stage": stage,
            "from": f"rates, by {GROWS[stage]}" if stage in GROWS else "masks.json" if stage == "masks" else None,
            "seconds_per_run": seconds,
            "hours_of_3000": seconds * 3000 / 3600,
        }
    on_cpu = sum(stages.get(stage, 0.0) for stage in ON_CPU)
    for machine, factor, basis in (
        (f"1 of {cores} cores", 1 / cores, "rates measured"),
        ("1 of 64 cores", 1 / 64, "the same for each core; not measured"),
        ("16 of 64 cores", 1 / 1024, "the same for each core; not measured"),
        (
            f"1 of {cores} cores with a card that makes all but {' and '.join(ON_CPU)} free",
            on_cpu / run / cores,
            "a bound; not measured",
        ),
    ):
        hours = run * 3000 / 3600 * threads * factor  # as many runs at a time as there are cores for
        yield {"machine": machine, "hours": hours, "days": hours / 24, "basis": basis}
