"""Summaries of two networks matched by where they lie in the photographs, against chance; matches joined to parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from visual_summaries._short import Short
from visual_summaries.classifiers import frame_of
from visual_summaries.errors import RunError
from visual_summaries.results import Run

#: Cells on a side of the raster in which regions are compared: shifts of a fiftieth of the image are seen.
GRID = 48


@dataclass(frozen=True, repr=False)
class Match(Short):
    """A summary of one run and a summary of another that lie on the same places.

    Attributes
    ----------
    a, b : int
        Positions of the summaries in their runs.
    overlap : float
        Intersection over union of what their regions (all of their clusters) cover, all shared images together.
    chance : float
        Mean overlap of the best match when one of the two is made of random salient regions of the same images.
    p_value : float
        How often such a random one is matched at least as well (the larger of both directions).
    """

    a: int
    b: int
    overlap: float
    chance: float
    p_value: float


@dataclass(frozen=True)
class Pair:
    """What two runs share.

    Attributes
    ----------
    runs : (int, int)
        Positions of the runs.
    images : int
        Number of images that both explain.
    matches : tuple of Match
        Pairs of the best assignment that beat chance, largest overlap first.
    unmatched : tuple of Match
        The other pairs of that assignment: they lie no nearer than random regions do.
    overlaps : ndarray of float64, (A, B)
        Of all pairs of summaries.
    """

    runs: tuple[int, int]
    images: int
    matches: tuple[Match, ...]
    unmatched: tuple[Match, ...]
    overlaps: NDArray[np.float64]


def match_runs(
    a: Run,
    b: Run,
    *,
    runs: tuple[int, int] = (0, 1),
    level: float = 0.05,
    draws: int = 200,
    random_state: int = 0,
) -> Pair:
    """Match the summaries of two runs one to one, so that the overlaps add up to the most (Hungarian assignment).

    Parameters
    ----------
    a, b : Run
        Of two networks on the same images.
    runs : (int, int)
        What the two are called in the result.
    level : float
        A pair counts as a match when its p-value is at most this.
    draws : int
        Random sets of summaries in each direction.
    random_state : int

    Returns
    -------
    Pair

    Raises
    ------
    RunError
        If the runs have no image in common, or do not know the sizes of their images.
    """
    common = {image.sha256 for image in b.images}
    shared = list(dict.fromkeys(image.sha256 for image in a.images if image.sha256 in common))
    if not shared:
        names = " and ".join(str(run.path or run.info.classifier.spec) for run in (a, b))
        raise RunError(f"{names} have no image in common, so nothing can be matched; run both networks on the same folder")
    placed = place_regions(a, shared), place_regions(b, shared)
    clusters = [[summary.cluster for summary in run.summaries] for run in (a, b)]
    cover = [place.covered(groups) for place, groups in zip(placed, clusters, strict=True)]
    found = overlaps(cover[0], cover[1])
    rng = np.random.default_rng(random_state)
    best_of_a = _chance(cover[0], placed[1], clusters[1], draws, rng)  # (draws, A): the best that random ones of b reach
    best_of_b = _chance(cover[1], placed[0], clusters[0], draws, rng)
    pairs = []
    for i, j in zip(*linear_sum_assignment(found, maximize=True), strict=True):
        reached = [1 + int(np.count_nonzero(best >= found[i, j] - 1e-9)) for best in (best_of_a[:, i], best_of_b[:, j])]
        chance = float(np.mean([best_of_a[:, i].mean(), best_of_b[:, j].mean()]))
        p_value = 1.0 if found[i, j] == 0 else max(reached) / (1 + draws)
        pairs.append(Match(int(i), int(j), float(found[i, j]), chance, p_value))
    pairs.sort(key=lambda match: -match.overlap)
    return Pair(
        runs=runs,
        images=len(shared),
        matches=tuple(match for match in pairs if match.p_value <= level),
        unmatched=tuple(match for match in pairs if match.p_value > level),
        overlaps=found,
    )


def _chance(
    cover: NDArray[np.float32], placed: Placed, clusters: Sequence[Sequence[int]], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Best overlap of each row of `cover` with summaries made of random regions of the same images, ``(draws, rows)``."""
    best = np.zeros((draws, len(cover)))
    if not len(cover) or not clusters:
        return best
    by_slot = {slot: np.flatnonzero(placed.slots == slot) for slot in np.unique(placed.slots)}
    for draw in range(draws):
        random = [[int(rng.choice(by_slot[placed.slots[index]])) for index in group] for group in clusters]
        best[draw] = overlaps(cover, placed.covered(random)).max(axis=1)
    return best


def join_matches(pairs: Iterable[Pair], sizes: Sequence[int]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Join matched summaries of several runs to parts, largest overlaps first; a part has at most one summary of each run.

    Parameters
    ----------
    pairs : iterable of Pair
    sizes : sequence of int
        Number of summaries of each run.

    Returns
    -------
    tuple of tuple of (int, int)
        For each part its summaries as (run, summary), by run; those of many runs first, then by their ranks.

    Examples
    --------
    >>> def pair(runs, *matches):
    ...     return Pair(runs, 5, tuple(Match(a, b, overlap, 0.1, 0.01) for a, b, overlap in matches), (), np.zeros((2, 2)))
    >>> join_matches([pair((0, 1), (0, 1, 0.6)), pair((1, 2), (1, 0, 0.5)), pair((0, 2), (1, 0, 0.3))], [2, 2, 1])
    (((0, 0), (1, 1), (2, 0)), ((0, 1),), ((1, 0),))
    """
    part_of = {(run, index): {(run, index)} for run, size in enumerate(sizes) for index in range(size)}
    links = [(match.overlap, (pair.runs[0], match.a), (pair.runs[1], match.b)) for pair in pairs for match in pair.matches]
    for _, one, other in sorted(links, key=lambda link: (-link[0], link[1], link[2])):
        first, second = part_of[one], part_of[other]
        if first is not second and not {run for run, _ in first} & {run for run, _ in second}:
            first |= second
            for member in second:
                part_of[member] = first
    parts = {tuple(sorted(part)) for part in part_of.values()}
    return tuple(sorted(parts, key=lambda part: (-len(part), part)))


@dataclass(frozen=True)
class Placed:
    """The regions of a run on the images that it shares with another.

    Attributes
    ----------
    rasters : ndarray of bool, (R, GRID * GRID)
        Cells of the original image that a region's box covers; none where it lies in no shared image.
    slots : ndarray of int, (R,)
        Which of the shared images a region lies in; -1 for those in no shared image.
    images : int
        Number of shared images.
    """

    rasters: NDArray[np.bool_]
    slots: NDArray[np.intp]
    images: int

    def covered(self, groups: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the cells of the shared images that groups of regions cover, as 0 and 1: ``(groups, images * GRID * GRID)``.

        Regions in no shared image cover nothing.
        """
        cells = np.zeros((len(groups), self.images, GRID * GRID), bool)
        for own, group in zip(cells, groups, strict=True):
            for index in group:
                own[self.slots[index]] |= self.rasters[index]
        return cells.reshape(len(groups), -1).astype(np.float32)


def place_regions(run: Run, shared: Sequence[str]) -> Placed:
    """Map the boxes of a run back into the original images.

    Parameters
    ----------
    run : Run
    shared : sequence of str
        Hashes of the images that count.

    Raises
    ------
    RunError
        If the run does not know the sizes of its images.
    """
    slot_of = {sha256: slot for slot, sha256 in enumerate(shared)}
    slots = np.array([slot_of.get(run.images[region.image].sha256, -1) for region in run.regions], dtype=np.intp)
    rasters = np.zeros((len(run.regions), GRID * GRID), bool)
    for region in run.regions:
        if slots[region.index] >= 0:
            image = run.images[region.image]
            frame = frame_of(run.info.classifier.transform, image.size, image.name)
            box = frame.to_image(np.array(region.box)[None])[0]
            rasters[region.index] = box_raster(box / [frame.width, frame.height, frame.width, frame.height]).ravel()
    return Placed(rasters, slots, len(shared))


def box_raster(box: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the cells of the unit square's raster whose middle a box covers.

    Parameters
    ----------
    box : ndarray, (4,)
        ``(x0, y0, x1, y1)``, in [0, 1]; what lies outside is left out.

    Returns
    -------
    ndarray of bool, (GRID, GRID)

    Examples
    --------
    >>> raster = box_raster(np.array([0.0, 0.0, 0.5, 0.25]))
    >>> float(raster.mean()), bool(raster[0, 0]), bool(raster[-1, -1])
    (0.125, True, False)
    """
    middles = (np.arange(GRID) + 0.5) / GRID
    columns, rows = ((middles >= box[axis]) & (middles < box[axis + 2]) for axis in (0, 1))
    return np.outer(rows, columns)


def overlaps(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the intersection over union of what groups of two runs cover, all shared images together.

    Parameters
    ----------
    a, b : ndarray of float32, (A, D) and (B, D)
        As :meth:`Placed.covered` gives them.

    Returns
    -------
    ndarray of float64, (A, B)
        In [0, 1]; 0 where neither covers anything.

    Examples
    --------
    >>> overlaps(np.array([[1, 1, 0]], np.float32), np.array([[0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)).tolist()
    [[0.5, 1.0, 0.0]]
    """
    shared = (a @ b.T).astype(np.float64)
    either = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :] - shared
    return np.asarray(np.divide(shared, either, out=np.zeros_like(shared), where=either > 0))
