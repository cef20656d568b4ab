"""Whether summaries depend on what the network has learned: the same job on a network whose weights are shuffled."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from visual_summaries._statistics import seeded
from visual_summaries.analyses.chance import some_images
from visual_summaries.analyses.stability import matched_jaccard
from visual_summaries.classifiers import Classifier
from visual_summaries.errors import ClassifierError, ConvergenceError, RunError
from visual_summaries.masks import optimize_masks
from visual_summaries.masks.controls import moved
from visual_summaries.progress import Progress, shown
from visual_summaries.regions import full_mask
from visual_summaries.results import Mask, RandomizationCheck, Run, Summary
from visual_summaries.runs.apply import require_same_network
from visual_summaries.runs.check_file import save_check
from visual_summaries.runs.summarize import summarize


def shuffled(module: nn.Module, random_state: int = 0) -> nn.Module:
    """Return a copy of a network with the values of each parameter shuffled: the same numbers, and nothing learned.

    Shuffling keeps the scale of every layer, so that scores neither vanish nor explode, and needs no knowledge of the layers
    (Adebayo et al., NeurIPS 2018, draw new weights). Parameters of one value stay.

    Examples
    --------
    >>> layer = nn.Linear(4, 3)
    >>> other = shuffled(layer)
    >>> torch.equal(layer.weight.sort().values, other.weight.sort().values), torch.equal(layer.weight, other.weight)
    (False, False)
    >>> torch.equal(layer.weight.flatten().sort().values, other.weight.flatten().sort().values)
    True
    """
    changed = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(random_state)
    with torch.no_grad():
        for parameter in changed.parameters():
            values = parameter.flatten()
            order = torch.randperm(values.numel(), generator=generator).to(parameter.device)
            parameter.copy_(values[order].reshape(parameter.shape))
    return changed


def randomization_check(
    run: Run,
    classifier: Classifier,
    *,
    images: int = 12,
    random_state: int = 0,
    progress: Progress | bool | None = None,
) -> RandomizationCheck:
    """Make the masks and summaries of some of a run's images again with shuffled weights: they must change.

    A method whose result stays when the network has forgotten everything shows the images, not the network (Adebayo et al.,
    *Sanity checks for saliency maps*, NeurIPS 2018).

    Parameters
    ----------
    run : Run
    classifier : Classifier
        The network that the run explained; it is copied, not changed.
    images : int
        How many of the run's images to try it on, at least 3.
    random_state : int
    progress : callable or bool, optional
        Called as ``progress(stage, done, total)``. Unless given, a line for each stage in notebooks and terminals; False: none.

    Returns
    -------
    RandomizationCheck
        It is kept in the folder of a stored run: a loaded run has it as ``run.check``, and its report shows it.

    Raises
    ------
    ClassifierError
        If the classifier has other weights than the run's, or none that could be shuffled.
    RunError
        If the run's target is a function, or its evidence was given.
    """
    progress = shown(progress)
    target = require_same_network(run, classifier)
    if run.info.evidence is not None:
        raise RunError(
            f"the evidence of this run was given ({run.info.evidence.source}), so its masks cannot be made again with shuffled "
            "weights: make the maps again with them, and compare these"
        )
    if not any(parameter.numel() > 1 for parameter in classifier.module.parameters()):
        raise ClassifierError(
            f"{classifier.spec} has no parameters that could be shuffled, so this check says nothing about it"
        )
    chosen = some_images(len(run.images), max(images, 3), random_state)
    # The views are what the network sees: they are neither resized nor cut again.
    transform = replace(classifier.transform, crop_pct=1.0, crop_mode="center", resize=None)
    other = Classifier(
        shuffled(classifier.module, random_state),
        transform=transform,
        class_names=classifier.class_names,
        spec=f"{classifier.spec}, shuffled",
        device=classifier.device,
        score=classifier.score,
    )
    quick = replace(run.settings.analyses, orders=0, resamplings=0, chance=0)
    views = [run.images[k].view for k in chosen]
    settings = replace(run.settings, analyses=quick)
    try:
        again = summarize(
            other,
            views,
            target.index,
            settings=settings,
            include_misclassified=True,
            random_state=random_state,
            progress=progress,
        )
        masks: Sequence[Mask] = again.masks
        new = _evidence(again, (*again.summaries, *again.rejected), list(range(len(chosen))))
    except ConvergenceError:  # regions that fall into no clusters: no summary is left
        masks = optimize_masks(other, views, target, settings=settings.masks, random_state=random_state)
        new = np.zeros((0, 0), bool)
    before = [run.evidence(k) for k in chosen]
    after = [mask.binary(run.settings.regions.threshold) for mask in masks]
    elsewhere = [moved(mask, seeded(random_state, mask), mirrored=True) for mask in before]
    own = _evidence(run, run.summaries, chosen)
    found = RandomizationCheck(
        images=tuple(chosen),
        masks=np.array([_overlap(a, b) for a, b in zip(before, after, strict=True)]),
        moved=np.array([_overlap(a, b) for a, b in zip(before, elsewhere, strict=True)]),
        summaries=np.where(own.any(axis=1), matched_jaccard(own, new), np.nan),
        clusters=len(new),
    )
    save_check(run, found)
    return found


def _evidence(run: Run, summaries: tuple[Summary, ...], images: list[int]) -> NDArray[np.bool_]:
    """Return the pixels of each summary in some images, flat: ``bool (K, N * H * W)``."""
    height, width = run.images[0].view.shape[:2]
    found = np.zeros((len(summaries), len(images), height, width), bool)
    place = {image: position for position, image in enumerate(images)}
    for row, summary in zip(found, summaries, strict=True):
        for region in (run.regions[index] for index in summary.cluster):
            if region.image in place:
                row[place[region.image]] |= full_mask(region.box, region.mask, (height, width))
    return found.reshape(len(summaries), len(images) * height * width)


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    union = int((a | b).sum())
    return float((a & b).sum() / union) if union else 0.0
