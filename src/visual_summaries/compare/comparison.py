"""Runs of several networks compared: summaries matched by class, parts that one uses and another does not, numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, count
from typing import Any

from visual_summaries._short import Short
from visual_summaries.compare.counting import Correlation, Count, correlations_of, count_summaries
from visual_summaries.compare.matching import Match, Pair, join_matches, match_runs
from visual_summaries.errors import RunError
from visual_summaries.files.atomic import plain
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Run
from visual_summaries.results.info import short_spec


@dataclass(frozen=True)
class Use:
    """What one network makes of a part.

    Attributes
    ----------
    run : int
        Position of the run in ``comparison.runs``.
    summary : int
        Position of the summary in it.
    importance : float
        ``Summary.importance``: mean relative loss of the class score when it is hidden.
    above_control, low, high : float or None
        What the summary adds over its moved pixels, with its 95 % interval; None without an analysis.
    coverage : float
        Share of the run's images that have it.
    """

    run: int
    summary: int
    importance: float
    above_control: float | None
    low: float | None
    high: float | None
    coverage: float


@dataclass(frozen=True, repr=False)
class Part(Short):
    """A part of the images that one network uses, or several.

    Attributes
    ----------
    name : str or None
        The name of the first of its summaries that has one.
    uses : tuple of Use
        One for each network that uses it.
    """

    name: str | None
    uses: tuple[Use, ...]


@dataclass(frozen=True, repr=False)
class ClassComparison(Short):
    """The runs of one class.

    Attributes
    ----------
    target : str
    runs : tuple of int
        Positions in ``comparison.runs``.
    pairs : tuple of Pair
        Each two of them.
    parts : tuple of Part
        Those of most networks first.
    """

    target: str
    runs: tuple[int, ...]
    pairs: tuple[Pair, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, repr=False)
class Comparison(Short):
    """What comparing runs gave.

    Attributes
    ----------
    runs : tuple of Run
    networks : tuple of str
        What the network of each run is called.
    targets : tuple of str
        The class of each run.
    classes : tuple of ClassComparison
        In the order of their first run.
    counts : tuple of Count
        Number of summaries and accuracy, one for each run.
    correlations : dict
        Spearman's correlation of the number of summaries with accuracy: for each way of counting (``"summaries"``,
        ``"at_equal"``, ``"stable 0.50"``, ...) ``"pooled"``, ``"within"`` (only differences within classes count)
        and one for each class of three networks or more.
    """

    runs: tuple[Run, ...]
    networks: tuple[str, ...]
    targets: tuple[str, ...]
    classes: tuple[ClassComparison, ...]
    counts: tuple[Count, ...]
    correlations: dict[str, dict[str, Correlation]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, positions of summaries as their numbers from 1; NaN becomes None."""
        runs = [
            {
                "network": network,
                "target": target,
                "folder": None if run.path is None else str(run.path),
                "weights_sha256": run.info.classifier.weights_sha256,
                "accuracy": vars(run.info.accuracy),
                "images": len(run.images),
                "summaries": len(run.summaries),
            }
            for run, network, target in zip(self.runs, self.networks, self.targets, strict=True)
        ]
        classes = [
            {
                "target": group.target,
                "runs": list(group.runs),
                "pairs": [
                    {
                        "runs": list(pair.runs),
                        "images": pair.images,
                        "matches": [_numbered(match, "a", "b") for match in pair.matches],
                        "unmatched": [_numbered(match, "a", "b") for match in pair.unmatched],
                        "overlaps": pair.overlaps.round(4).tolist(),
                    }
                    for pair in group.pairs
                ],
                "parts": [
                    {"name": part.name, "uses": [_numbered(use, "summary") for use in part.uses]} for part in group.parts
                ],
            }
            for group in self.classes
        ]
        counts = [asdict(own) | {"stable": {f"{key:.2f}": n for key, n in own.stable.items()}} for own in self.counts]
        correlations = {measure: {kind: asdict(c) for kind, c in kinds.items()} for measure, kinds in self.correlations.items()}
        values: dict[str, Any] = plain({"runs": runs, "classes": classes, "counts": counts, "correlations": correlations})
        return values


def compare_runs(
    runs: Sequence[Run],
    *,
    level: float = 0.05,
    draws: int = 200,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare runs of two or more networks, of one class or of several.

    Parameters
    ----------
    runs : sequence of Run
        At least two. Runs of the same class are matched with each other by the images that they share.
    level : float
        Two summaries are the same part when random regions match at least as well no more often than this.
    draws : int
        Random sets of summaries for each pair of runs.
    random_state : int
    progress : callable, optional

    Returns
    -------
    Comparison

    Raises
    ------
    RunError
        If there are fewer than two runs, the same network comes twice for a class, or two runs of a class share no image.
    """
    runs = tuple(runs)
    if len(runs) < 2:
        raise RunError(f"{len(runs)} run was given, but a comparison needs two or more")
    targets = tuple(run.info.target.name for run in runs)
    networks = network_names(runs)
    groups = {target: [i for i, other in enumerate(targets) if other == target] for target in targets}
    total = sum(math.comb(len(members), 2) for members in groups.values())
    classes, done = [], count(1)
    for target, members in groups.items():
        pairs = []
        for a, b in combinations(members, 2):
            pairs.append(match_runs(runs[a], runs[b], runs=(a, b), level=level, draws=draws, random_state=random_state))
            report_progress(progress, "match", next(done), total)
        sizes = [len(run.summaries) if position in members else 0 for position, run in enumerate(runs)]
        parts = tuple(_part(runs, joined) for joined in join_matches(pairs, sizes))
        classes.append(ClassComparison(target, tuple(members), tuple(pairs), parts))
    counts = count_summaries(runs, networks, targets)
    return Comparison(runs, networks, targets, tuple(classes), counts, correlations_of(counts, random_state=random_state))


def network_names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return what to call the network of each run: its specification, with the weights' hash where two of one name differ.

    Raises
    ------
    RunError
        If the same network was run twice on a class.
    """
    given = [run.info.evidence for run in runs]
    specs = [
        short_spec(run.info.classifier.spec) + (f", evidence: {own.source}" if own else "")
        for run, own in zip(runs, given, strict=True)
    ]
    weights = [run.info.classifier.weights_sha256 for run in runs]
    known = {(spec, sha) for spec, sha in zip(specs, weights, strict=True)}
    several = {spec for spec, count in Counter(spec for spec, _ in known).items() if count > 1}
    names = []
    for run, spec, sha in zip(runs, specs, weights, strict=True):
        folder = run.path.name if run.path is not None else ""
        # before and after training: one specification, two sets of weights; the folder is what the user called them
        names.append(f"{spec} ({folder or sha[:8]})" if spec in several else spec)
    twice = [key for key, n in Counter(zip(names, (r.info.target.name for r in runs), strict=True)).items() if n > 1]
    if twice:
        raise RunError(f"two of the runs explain {twice[0][1]} in {twice[0][0]}; give each network once for a class")
    return tuple(names)


def _part(runs: Sequence[Run], joined: Sequence[tuple[int, int]]) -> Part:
    uses = []
    for position, index in joined:
        run = runs[position]
        summary = run.summaries[index]
        analysis = summary.analysis
        above, low, high = (None,) * 3 if analysis is None else (analysis.above_control, *analysis.interval)
        coverage = len({run.regions[i].image for i in summary.cluster}) / len(run.images)
        uses.append(Use(position, index, summary.importance, above, low, high, coverage))
    tags = (runs[position].summaries[index].tag for position, index in joined)
    return Part(next((tag.name for tag in tags if tag is not None), None), tuple(uses))


def _numbered(item: Match | Use, *positions: str) -> dict[str, Any]:
    """Return the fields of a match or use, with positions of summaries as their numbers from 1."""
    values = asdict(item)
    return values | {name: values[name] + 1 for name in positions}
