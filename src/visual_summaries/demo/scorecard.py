"""How well a run's summaries agree with the planted truth.

Examples
--------
>>> labels = np.zeros((8, 8), np.uint8)
>>> labels[2:6, 2:6] = LABELS.index("wing")
>>> part_under(np.ones((4, 4), bool), (2, 2, 6, 6), labels)
'wing'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from visual_summaries._short import Short
from visual_summaries._validate import require_in_range
from visual_summaries.analyses import part_shares
from visual_summaries.birds.effects import part_effects, used_parts
from visual_summaries.birds.pictures import Truth
from visual_summaries.birds.world import CLASSES, LABELS
from visual_summaries.errors import RunError
from visual_summaries.results import Box, Run, Summary


@dataclass(frozen=True)
class SummaryScore:
    """Where the members of one summary lie.

    Attributes
    ----------
    index : int
        The summary's position in ``run.summaries``.
    members : int
    shares : dict of str to float
        Share of the members on each of ``LABELS`` that has any, largest first.
    part : str
        The label that most members lie on (of equals, the first of ``LABELS``).
    purity : float
        Share of the members on it.
    """

    index: int
    members: int
    shares: dict[str, float]
    part: str
    purity: float


@dataclass(frozen=True, repr=False)
class Scorecard(Short):
    """A run against the planted truth.

    Attributes
    ----------
    class_name : str
    summaries : tuple of SummaryScore
    planted : tuple of str
        The class's planted parts, and ``"shortcut"`` when it has one.
    found : tuple of str
        Those of them that are the part of at least one summary.
    mean_purity : float
        Mean purity of the summaries; NaN when there is none.
    effects : dict of str to float, or None
        What each planted part adds to the class's probability
        (:func:`~visual_summaries.birds.effects.part_effects`); None when no network was given.
    used : tuple of str, or None
        Planted parts whose effect is at least 0.1; None when no network was given.
    """

    class_name: str
    summaries: tuple[SummaryScore, ...]
    planted: tuple[str, ...]
    found: tuple[str, ...]
    mean_purity: float
    effects: dict[str, float] | None = None
    used: tuple[str, ...] | None = None

    @property
    def wanted(self) -> tuple[str, ...]:
        """Planted parts that should have a summary: those that the network uses, when that is known."""
        return self.planted if self.used is None else self.used

    @property
    def missed(self) -> tuple[str, ...]:
        """Those of :attr:`wanted` without a summary."""
        return tuple(part for part in self.wanted if part not in self.found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, summaries by their numbers (from 1); NaN becomes None."""
        data = asdict(self)
        data["summaries"] = [{"summary": one.pop("index") + 1, **one} for one in data["summaries"]]
        data["mean_purity"] = None if np.isnan(self.mean_purity) else self.mean_purity
        data["missed"] = self.missed
        return data


def part_under(mask: NDArray[np.bool_], box: Box, labels: NDArray[np.uint8]) -> str:
    """Return the label (H, W) of most evidence pixels in a box (of equals, the first); without any, the whole box counts."""
    x0, y0, x1, y1 = box
    inside = labels[y0:y1, x0:x1]
    counts = np.bincount(inside[mask] if mask.any() else inside.ravel(), minlength=len(LABELS))
    return str(LABELS[int(counts.argmax())])


def _score_summary(summary: Summary, parts: Sequence[str]) -> SummaryScore:
    """Return where a summary's members lie; `parts` is the label under each of the run's regions."""
    found = part_shares(summary, parts)
    shares = {label: found[label] for label in sorted(found, key=lambda label: (-found[label], LABELS.index(label)))}
    part = next(iter(shares))
    return SummaryScore(summary.index, len(summary.members), shares, part, shares[part])


def score_run(
    run: Run, labels: Sequence[NDArray[np.uint8]], class_index: int, network: nn.Module | None = None, images: int = 25
) -> Scorecard:
    """Compare a run with the planted truth.

    Parameters
    ----------
    run : Run
    labels : sequence of ndarray of uint8, (H, W)
        Label map of each of ``run.images``, as :func:`labels_for` gives them.
    class_index : int
        The class that was explained.
    network : nn.Module, optional
        A demo network: which planted parts it uses is then measured by intervention, on so many fresh `images`.
    images : int

    Raises
    ------
    RunError
        If the label maps do not fit the run's images.
    """
    require_in_range("class_index", class_index, 0, len(CLASSES) - 1)
    _check_labels(run, labels)
    parts = [part_under(region.mask, region.box, labels[region.image]) for region in run.regions]
    scores = tuple(_score_summary(summary, parts) for summary in run.summaries)
    bird = CLASSES[class_index]
    effects = None if network is None else part_effects(network, class_index, n=images)
    return Scorecard(
        class_name=bird.name,
        summaries=scores,
        planted=bird.cues,
        found=tuple(part for part in bird.cues if any(score.part == part for score in scores)),
        mean_purity=float(np.mean([score.purity for score in scores])) if scores else float("nan"),
        effects=effects,
        used=None if effects is None else used_parts(effects),
    )


def labels_for(run: Run, truth: Mapping[str, Truth]) -> list[NDArray[np.uint8]]:
    """Return the label maps of a run's images, in their order, from the truth of their folder.

    Raises
    ------
    RunError
        If an image has none, or one of another size than its view.
    """
    missing = [image.name for image in run.images if image.name not in truth]
    if missing:
        raise RunError(
            f"no truth for {missing[0]} (and {len(missing) - 1} more); read it from the folder the run's images came from"
        )
    labels = [truth[image.name].labels for image in run.images]
    _check_labels(run, labels)
    return labels


def _check_labels(run: Run, labels: Sequence[NDArray[np.uint8]]) -> None:
    if len(labels) != len(run.images):
        raise RunError(
            f"{len(labels)} label maps were given for a run of {len(run.images)} images; give one for each, in their order"
        )
    for image, truth in zip(run.images, labels, strict=True):
        if truth.shape != image.view.shape[:2]:
            raise RunError(
                f"the label map of {image.name} is {truth.shape}, its view {image.view.shape[:2]}; "
                "draw the images at the network's input size, or resize the label maps (nearest neighbor) to the view"
            )


def scorecard_text(scorecard: Scorecard) -> str:
    """Return a scorecard for reading in a terminal.

    Examples
    --------
    >>> score = SummaryScore(0, 4, {"wing": 0.75, "belly": 0.25}, "wing", 0.75)
    >>> effects = {"crest": 0.4, "wing": 0.6}
    >>> card = Scorecard("barwing", (score,), ("crest", "wing"), ("wing",), 0.75, effects, ("crest", "wing"))
    >>> print(scorecard_text(card))
    Planted truth of class barwing
      crest: the network loses 0.40 of the score without it; NO summary
      wing: the network loses 0.60 of the score without it; found in 1 summary
    Where the members of each summary lie
       1. 4 members: wing 75 %, belly 25 %
    Mean part purity 0.75; 1 of 2 planted parts that the network uses have a summary
    """
    lines = [f"Planted truth of class {scorecard.class_name}"]
    for part in scorecard.planted:
        own = sum(score.part == part for score in scorecard.summaries)
        has = f"found in {own} summar{'y' if own == 1 else 'ies'}" if own else "NO summary"
        loses = f"the network loses {scorecard.effects[part]:.2f} of the score without it; " if scorecard.effects else ""
        lines.append(f"  {part}: {loses}{has}")
    lines.append("Where the members of each summary lie")
    for score in scorecard.summaries:
        shares = ", ".join(f"{part} {share:.0%}".replace("%", " %") for part, share in score.shares.items())
        lines.append(f"  {score.index + 1:2d}. {score.members} members: {shares}")
    kind = "planted parts" if scorecard.used is None else "planted parts that the network uses"
    wanted = len(scorecard.wanted)
    got = wanted - len(scorecard.missed)
    lines.append(f"Mean part purity {scorecard.mean_purity:.2f}; {got} of {wanted} {kind} have a summary")
    return "\n".join(lines)
