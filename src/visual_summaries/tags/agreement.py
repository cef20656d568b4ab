"""How far the tags of a group of regions agree, and what agreement chance gives (docs/paper.md, claims)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr
from sklearn.metrics import adjusted_mutual_info_score

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
    values = shared_tags(weights)[np.triu_indices(len(weights), 1)]
    return float(values.mean()) if len(values) else float("nan")


def shared_tags(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the Jaccard index of the tags of each two of M members, (M, M).

    Examples
    --------
    >>> shared_tags(np.array([[0.5, 0.5], [1, 0], [0, 0]], np.float32)).tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    tags = (weights > 0).astype(np.float32)
    shared = tags @ tags.T
    sizes = tags.sum(axis=1)
    either = sizes[:, None] + sizes[None, :] - shared
    found: NDArray[np.float64] = np.divide(shared, either, out=np.zeros(shared.shape), where=either > 0)
    return found


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


def between_groups(shared: NDArray[np.float64], groups: NDArray[np.intp], apart: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the mean index of pairs within groups, and of pairs of members of two groups; every group and pair of them alike.

    Parameters
    ----------
    shared : ndarray of float64, (M, M)
        As :func:`shared_tags` gives it.
    groups : ndarray of intp, (M,)
        The group of each member, from 0 on.
    apart : ndarray of bool, (M, M)
        Which pairs count, for example those of different images.

    Returns
    -------
    within, between : float
        NaN where no pair counts.

    Examples
    --------
    >>> tags = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], np.float32)
    >>> between_groups(shared_tags(tags), np.array([0, 0, 1, 1]), ~np.eye(4, dtype=bool))
    (0.5, 0.5)
    """
    member = np.eye(int(groups.max(initial=-1)) + 1)[groups]
    total, count = member.T @ (shared * apart) @ member, member.T @ apart @ member
    means = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return _mean_known(means.diagonal()), _mean_known(means[np.triu_indices(len(means), 1)])


def mutual_information(tags: NDArray[np.intp], groups: NDArray[np.intp]) -> float:
    """Return how many bits the group of a member tells of its tag; labels are from 0 on.

    Examples
    --------
    >>> mutual_information(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
    1.0
    >>> mutual_information(np.array([0, 1, 0, 1]), np.array([1, 1, 0, 0]))
    0.0
    """
    table = np.zeros((int(tags.max()) + 1, int(groups.max()) + 1))
    np.add.at(table, (tags, groups), 1 / len(tags))
    nats = entr(table.sum(axis=0)).sum() + entr(table.sum(axis=1)).sum() - entr(table).sum()
    return max(float(nats / np.log(2)), 0.0)


@dataclass(frozen=True)
class Agreement:
    """Agreement of tags in the summaries of a run, against random groups of its regions, whole images, and each other.

    Two figures tell whether tags *name parts*, `within` over `between` and `information`: a tag of the class, which all regions
    have, agrees everywhere and does not tell the summaries of a run apart.

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
    between : float
        Mean Jaccard index of members of two summaries of the run, pairs of one image left out as there are none in a summary.
        NaN, as all that follows, for a run with fewer than two summaries.
    p_between : float
        Permutation p-value of `within` less `between`: members dealt to the summaries at random.
    information : float
        Adjusted mutual information of the members' heaviest tag and their summary: 0 is chance, 1 is perfect. "No tag" is one.
    bits, bits_random : float
        Mutual information in bits, and its mean where members are dealt to the summaries at random.
    p_information : float
        Permutation p-value of `bits`.
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
    between: float
    p_between: float
    information: float
    bits: float
    bits_random: float
    p_information: float
    draws: int


def measure_agreement(
    run: Run,
    regions: NDArray[np.float32],
    images: NDArray[np.float32],
    *,
    draws: int = 1000,
    random_state: int = 0,
) -> Agreement:
    """Measure whether tags agree within summaries more than in as many random groups as `draws`, and tell them apart.

    Figures are NaN without summaries.

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
        names = (one.name for one in fields(Agreement) if one.type == "float")
        return Agreement(summaries=0, draws=draws, **dict.fromkeys(names, float("nan")))
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
        **_told_apart(regions, owners, groups, draws, rng),
        draws=draws,
    )


def _told_apart(
    weights: NDArray[np.float32],
    owners: NDArray[np.intp],
    summaries: list[NDArray[np.intp]],
    draws: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return the figures of :class:`Agreement` that compare the summaries of a run with each other."""
    names = ("between", "p_between", "information", "bits", "bits_random", "p_information")
    if len(summaries) < 2:
        return dict.fromkeys(names, float("nan"))
    members = np.concatenate(summaries)
    groups = np.repeat(np.arange(len(summaries)), [len(summary) for summary in summaries])
    weights, apart = weights[members], owners[members][:, None] != owners[members]
    shared = shared_tags(weights)
    _, tags = np.unique(np.where(weights.any(axis=1), weights.argmax(axis=1), -1), return_inverse=True)
    within, between = between_groups(shared, groups, apart)
    bits = mutual_information(tags, groups)
    differences, drawn = np.zeros(draws), np.zeros(draws)
    for draw in range(draws):
        dealt = rng.permutation(groups)
        differences[draw] = np.subtract(*between_groups(shared, dealt, apart))
        drawn[draw] = mutual_information(tags, dealt)
    information = float(adjusted_mutual_info_score(tags, groups))
    found = (between, share_reaching(within - between, differences), information, bits)
    return dict(zip(names, (*found, float(drawn.mean()), share_reaching(bits, drawn)), strict=True))


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
