"""How far the tags of a group of regions agree, and what agreement chance gives (docs/paper.md, claims)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from visual_summaries.errors import RunError
from visual_summaries.results import Run


def mean_jaccard(weights: NDArray[np.float32]) -> float:
    """Return the mean, over all pairs of a group, of the shared part of their tags: |A and B| / |A or B|.

    A member's tags are those of weight above 0; two members without any share nothing. NaN for fewer than two members.

    Examples
    --------
    >>> mean_jaccard(np.array([[0.5, 0.5, 0], [0.9, 0, 0.1], [1, 0, 0]], np.float32))  # 1/3, 1/2 and 1/2
    0.4444...
    """
    tags = (weights > 0).astype(np.float32)
    shared = tags @ tags.T
    sizes = tags.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - shared
    pairs = np.triu_indices(len(tags), 1)
    values = np.divide(shared[pairs], either[pairs], out=np.zeros(len(pairs[0])), where=either[pairs] > 0)
    return float(values.mean()) if len(values) else float("nan")


def entropy(weights: NDArray[np.float32]) -> float:
    """Return the entropy, in bits, of the group's mean distribution over tags: 0 when all members have one and the same tag.

    Examples
    --------
    >>> entropy(np.array([[1, 0], [0, 1]], np.float32)), entropy(np.array([[1, 0], [1, 0]], np.float32))
    (1.0, 0.0)
    """
    mean = weights.mean(axis=0, dtype=np.float64)
    total = mean.sum()
    return float(entr(mean / total).sum() / np.log(2)) if total else float("nan")


def random_groups(owners: NDArray[np.intp], size: int, draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw groups of regions as summaries are made up: one region of each of `size` different images.

    `owners` (R,) is the image of each region; groups are (draws, size).

    Raises
    ------
    RunError
        If fewer images than `size` have a region.
    """
    images, counts = np.unique(owners, return_counts=True)
    order = np.argsort(owners, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    if len(images) < size:
        raise RunError(f"only {len(images)} images have a region, so no random group of {size} can be drawn")
    chosen = rng.permuted(np.tile(np.arange(len(images)), (draws, 1)), axis=1)[:, :size]
    return np.asarray(order[starts[chosen] + (rng.random(chosen.shape) * counts[chosen]).astype(np.intp)])


@dataclass(frozen=True)
class Agreement:
    """Agreement of tags in the summaries of a run, against random groups of its regions and whole images.

    Attributes
    ----------
    summaries : int
        Summaries that were measured; figures are means over them.
    within, random, images : float
        Mean pairwise Jaccard index of the tags, in [0, 1]: of the members of a summary; of random groups of salient regions of
        the same size, one per image; of the whole images that the members come from.
    entropy_within, entropy_random, entropy_images : float
        Entropy, in bits, of a group's mean distribution over tags; low is agreement.
    p_random : float
        Permutation p-value: share of draws of random groups whose mean index reaches `within`.
    p_images : float
        Sign-flip p-value of `within` over `images`, summary by summary; it cannot fall under 1 / 2 ** summaries.
    draws : int
    """

    summaries: int
    within: float
    random: float
    images: float
    entropy_within: float
    entropy_random: float
    entropy_images: float
    p_random: float
    p_images: float
    draws: int


def measure_agreement(
    run: Run,
    regions: NDArray[np.float32],
    images: NDArray[np.float32],
    *,
    draws: int = 1000,
    random_state: int = 0,
) -> Agreement:
    """Measure whether tags agree within summaries more than in as many random groups as `draws`; NaN without summaries.

    Parameters
    ----------
    run : Run
    regions, images : ndarray of float32, (R, K) and (N, K)
        Weights of the tags of each region and of each whole image, as :func:`~visual_summaries.tags.tag_crops` gives them.
    draws, random_state : int
    """
    groups = [np.array([member.region for member in summary.members]) for summary in run.summaries]
    owners = np.array([region.image for region in run.regions], dtype=np.intp)
    if not groups:
        nan = float("nan")
        return Agreement(0, nan, nan, nan, nan, nan, nan, nan, nan, draws)
    rng = np.random.default_rng(random_state)
    within = np.array([mean_jaccard(regions[group]) for group in groups])
    over_images = np.array([mean_jaccard(images[owners[group]]) for group in groups])
    jaccards, entropies = np.zeros(draws), np.zeros(draws)
    for group in groups:
        for draw, members in enumerate(random_groups(owners, len(group), draws, rng)):
            jaccards[draw] += mean_jaccard(regions[members]) / len(groups)
            entropies[draw] += entropy(regions[members]) / len(groups)
    return Agreement(
        summaries=len(groups),
        within=float(within.mean()),
        random=float(jaccards.mean()),
        images=float(over_images.mean()),
        entropy_within=_mean_known([entropy(regions[group]) for group in groups]),
        entropy_random=_mean_known(entropies),
        entropy_images=_mean_known([entropy(images[owners[group]]) for group in groups]),
        p_random=share_reaching(within.mean(), jaccards),
        p_images=sign_flip(within - over_images, draws, rng),
        draws=draws,
    )


def _mean_known(values: ArrayLike) -> float:
    known = np.asarray(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def sign_flip(differences: NDArray[np.float64], draws: int, rng: np.random.Generator) -> float:
    """Return the one-sided p-value that the mean difference is above 0: signs flipped in all ways, or at random if many.

    Examples
    --------
    >>> sign_flip(np.array([0.2, 0.1, 0.3]), 1000, np.random.default_rng(0))  # 1 of 8
    0.125
    """
    count = len(differences)
    if 2**count <= draws:
        signs = np.array(list(product((1, -1), repeat=count)))
        return float(np.mean(signs @ differences >= differences.sum() - 1e-12))
    signs = rng.choice((1, -1), size=(draws, count))
    return share_reaching(differences.sum(), signs @ differences)


def share_reaching(value: float, drawn: NDArray[np.float64]) -> float:
    """Return the p-value of a permutation test: the share of random draws that reach a value, itself counted as one.

    Examples
    --------
    >>> share_reaching(2, np.array([0, 1, 2]))
    0.5
    """
    return float((1 + np.count_nonzero(drawn >= value - 1e-9)) / (1 + len(drawn)))
