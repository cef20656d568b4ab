"""Tagging a run: every salient region shown to a tagger with and without its mask, agreement measured, summaries named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from visual_summaries._short import Short
from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.files.atomic import plain
from visual_summaries.progress import Progress
from visual_summaries.results import Run
from visual_summaries.runs.tags_file import save_names
from visual_summaries.tags.agreement import Agreement, measure_agreement
from visual_summaries.tags.naming import SummaryName, name_summaries
from visual_summaries.tags.taggers import INPUTS, Tagger, crop_regions, tag_crops, whole_images


@dataclass(frozen=True, repr=False)
class Tagging(Short):
    """What one tagger says of a run.

    Attributes
    ----------
    tagger : mapping
        The tagger in plain values.
    top : int
        How many tags of a region count.
    input : str
        Which of the two inputs the names come from: ``"box"`` or ``"masked"``.
    names : mapping of str to tuple of SummaryName
        For each input, one for each summary.
    agreement : mapping of str to Agreement
        For each input.
    """

    tagger: Mapping[str, Any]
    top: int
    input: str
    names: Mapping[str, tuple[SummaryName, ...]]
    agreement: Mapping[str, Agreement]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes None."""
        return {
            "tagger": dict(self.tagger),
            "top": self.top,
            "input": self.input,
            "measured": {
                shown: {
                    "agreement": plain(asdict(self.agreement[shown])),
                    "summaries": [{**asdict(name), "summary": name.summary + 1} for name in self.names[shown]],
                }
                for shown in self.names
            },
        }


def tag_run(
    run: Run,
    tagger: Tagger,
    *,
    input: str = "box",
    top: int | None = None,
    level: float = 0.05,
    draws: int = 1000,
    random_state: int = 0,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Tagging:
    """Tag all salient regions of a run, name its summaries, and measure whether tags agree within them.

    Parameters
    ----------
    run : Run
    tagger : Tagger
    input : str
        Names come from the ``"box"``, or from the ``"masked"`` box; both are measured.
    top : int, optional
        How many tags of a region count; the tagger's own number unless given.
    level : float
        Largest p-value at which a summary gets a name.
    draws : int
        Random groups of regions for each summary.
    random_state : int
    batch_size : int
        Crops that the tagger is given at a time.
    progress : callable, optional
    """
    require_choice("input", input, INPUTS)
    require_in_range("top", top or tagger.top, 1)
    require_in_range("level", level, 0, 1)
    require_in_range("draws", draws, 1)
    whole = tag_crops(
        tagger, whole_images(run.images), len(run.images), top=top, batch_size=batch_size, stage="tag images", progress=progress
    )
    names, agreement = {}, {}
    for shown in INPUTS:
        crops = crop_regions(run, run.regions, shown)
        weights = tag_crops(
            tagger, crops, len(run.regions), top=top, batch_size=batch_size, stage=f"tag {shown}", progress=progress
        )
        agreement[shown] = measure_agreement(run, weights, whole, draws=draws, random_state=random_state)
        names[shown] = name_summaries(run, weights, tagger.vocabulary, level=level, draws=draws, random_state=random_state)
    return Tagging(tagger.describe(), top or tagger.top, input, names, agreement)


def save_tagging(run: Run, tagging: Tagging) -> tuple[Run, tuple[str, ...]]:
    """Write a tagging into ``tags.json``, keeping names by hand; return the run, and those of them without a summary."""
    names = [(name.name, name.confidence) for name in tagging.names[tagging.input]]
    return save_names(run, names, tagging.to_dict())
