"""Mask optimization of any number of images: batches, final scores, and nothing that grows with the number of images."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries._allocator import freed_memory_kept
from visual_summaries._batches import even_batch
from visual_summaries._validate import require_settings
from visual_summaries.errors import ImageError
from visual_summaries.masks.fast import FastSolver, Finished
from visual_summaries.masks.infill import make_infills
from visual_summaries.masks.network import GivesLogits, Network, ScoresOutputs, class_index
from visual_summaries.masks.perturb import perturb
from visual_summaries.masks.plan import make_network
from visual_summaries.masks.published import Solved, solve_published
from visual_summaries.progress import Progress, report_progress
from visual_summaries.results import Mask
from visual_summaries.settings.masks import MaskSettings

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier


def iter_masks(
    classifier: GivesLogits,
    views: Iterable[NDArray[np.uint8]],
    target: ScoresOutputs,
    settings: MaskSettings | None = None,
    *,
    progress: Progress | None = None,
    random_state: int = 0,
) -> Iterator[tuple[int, Mask]]:
    """Optimize the evidence mask of each view and yield it with the view's position as soon as it is there.

    Views (H, W, 3) are taken from the iterable a batch at a time, and nothing of a batch is kept after its masks have been
    yielded; sizes may differ where the network takes any. While the caller has control the network is as it was found. For the
    rest see :func:`optimize_masks`.
    """
    total = operator.length_hint(views)
    tensors = (classifier.to_tensor([view])[0] for view in views)
    yield from iter_tensors(classifier, tensors, target, settings or MaskSettings(), total, progress, random_state)


@freed_memory_kept()
def optimize_masks(
    classifier: Classifier,
    images: Tensor | Sequence[Any],
    target: Any,
    preset: str = "default",
    settings: MaskSettings | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
    random_state: int = 0,
) -> list[Mask]:
    """Find, for each image, the smallest crisp region whose hiding destroys the class.

    Parameters
    ----------
    classifier : Classifier
        See :func:`visual_summaries.load_classifier`. Left as found: mode, gradient flags, buffers, device.
    images : Tensor (N, C, H, W) with values in [0, 1], or a sequence of paths, PIL images or uint8 arrays (H, W, 3)
        A tensor goes to the network as it is; anything else through the classifier's evaluation transform. H and W may differ.
    target : int, str, callable or Target
        Class index, class name, or a function of the outputs (N, K) that gives the score (N,) to destroy.
    preset : str
        ``"default"``, ``"quick"``, or ``"paper"`` for the published procedure. Not used when `settings` are given.
    settings : MaskSettings, optional
    batch_size : int, optional
        Images optimized at a time; found from free memory when left out.
    progress : callable, optional
    random_state : int
        Seed of the noise and of the order in which several infills are used; an image's depends on its pixels, too.

    Returns
    -------
    list of Mask
        One for each image, in order. Masks are **evidence** masks of the view's size (H, W), values in [0, 1]: 1 = evidence.
        (The paper's m is 1 minus that.)

    Raises
    ------
    ImageError
        If an image cannot be used, or the tensor is not (N, C, H, W) in [0, 1].
    SettingsError
        If there is no such preset, or the settings contradict the target.
    TargetError
        If the class is not one of the network's.

    Notes
    -----
    Minimizes ``L(m) = p_c(x m + b (1 - m)) + l1 mean|1-m| + l2 TV_3(m) + l3 mean|m (1-m)|`` (arXiv 1801.09103, section 3.1).
    The preset ``"paper"`` hides pixels by the published blur b and minimizes just this. The default uses several
    infills that take more away (:class:`MaskSettings`, `infill`) and seeks few whole pieces
    (:mod:`visual_summaries.masks.fast`).
    With ``precision="auto"`` (the default) the way to gradients is chosen by timing, so that two runs may differ in the last
    digits; ``precision="float32"`` gives the same masks every time.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 5, 2))
    >>> from visual_summaries.classifiers import ViewTransform
    >>> from visual_summaries import Classifier
    >>> classifier = Classifier(net, transform=ViewTransform((32, 40)), class_names=["cat", "dog"])
    >>> masks = optimize_masks(classifier, torch.rand(2, 3, 32, 40), "dog", batch_size=2)
    >>> masks[0].sharp.shape, masks[0].sharp.dtype.name, bool(masks[0].score_after <= masks[0].score_before)
    ((32, 40), 'float16', True)
    """
    require_settings(settings, MaskSettings)
    from dataclasses import replace

    from visual_summaries.classifiers import require_explainable, resolve_target
    from visual_summaries.settings import preset as named_preset

    chosen = named_preset(preset).masks if settings is None else settings
    if batch_size is not None:
        chosen = replace(chosen, batch_size=batch_size)
    tensors: Iterable[Tensor]
    if isinstance(images, Tensor):
        check_tensor(images)
        tensors = images
    else:
        tensors = (classifier.to_tensor([view_of(classifier, image)])[0] for image in images)
    resolved = resolve_target(classifier, target)
    if len(images):
        first = images[:1] if isinstance(images, Tensor) else classifier.to_tensor([view_of(classifier, images[0])])
        require_explainable(classifier, resolved, first)
    masks = iter_tensors(classifier, tensors, resolved, chosen, len(images), progress, random_state)
    return [mask for _, mask in sorted(masks, key=operator.itemgetter(0))]


def view_of(classifier: Classifier, image: Any) -> NDArray[np.uint8]:
    """Return the view of a path, an array or a PIL image."""
    from visual_summaries.images import open_image

    return classifier.view(open_image(image) if isinstance(image, str | Path) else image)


def check_tensor(images: Tensor) -> None:
    """Raise ImageError unless `images` is a floating (N, C, H, W) with values in [0, 1]."""
    if images.ndim != 4 or not images.is_floating_point():
        raise ImageError(
            f"images is a tensor of shape {tuple(images.shape)} and {images.dtype}, but must be floating (N, C, H, W)"
        )
    if images.numel() and not (images.min() >= 0 and images.max() <= 1):
        low, high = images.min().item(), images.max().item()
        raise ImageError(f"images has values from {low:.3g} to {high:.3g}, but must lie in [0, 1], before normalization")


def iter_tensors(
    classifier: GivesLogits,
    tensors: Iterable[Tensor],
    target: ScoresOutputs,
    settings: MaskSettings,
    total: int,
    progress: Progress | None,
    random_state: int,
) -> Iterator[tuple[int, Mask]]:
    """Yield position and Mask of images (C, H, W) in [0, 1], taken from `tensors` as they are needed."""
    source = ((position, tensor.detach()) for position, tensor in enumerate(tensors))
    first = next(source, None)
    if first is None:
        return
    with torch.no_grad(), classifier.frozen():
        # A copy: what came from inference mode could not be differentiated.
        network = make_network(classifier, target, settings, first[1].unsqueeze(0).clone())
    if settings.batch_size is None and total:
        network.chunk = even_batch(total, network.chunk)
    solve = iter_fast if uses_fast(settings, target) else iter_published
    masks = solve(network, chain([first], source), random_state)
    for done, (position, mask) in enumerate(masks, start=1):
        report_progress(progress, "masks", done, max(total, done))
        yield position, mask


#: Positions and images (C, H, W) that wait to be optimized.
Source = Iterator[tuple[int, Tensor]]


def uses_fast(settings: MaskSettings, target: ScoresOutputs) -> bool:
    """Tell whether the fast optimizer applies: a class scored by its probability, none of the optional terms."""
    plain = settings.score == "probability" and not settings.noise and not settings.less and settings.superpixel is None
    return (
        settings.fast is not None
        and plain
        and class_index(target) is not None
        and getattr(target, "kind", "probability") != "logit"
    )


def iter_published(network: Network, source: Source, random_state: int) -> Iterator[tuple[int, Mask]]:
    """Yield masks of the published optimizer, a batch of images of one size at a time."""
    waiting: list[tuple[int, Tensor]] = []
    while True:
        with torch.no_grad():
            waiting.extend(islice(source, network.chunk - len(waiting)))
            if not waiting:
                return
            batch = [item for item in waiting if item[1].shape == waiting[0][1].shape]
            waiting = [item for item in waiting if item[1].shape != batch[0][1].shape]
            positions = [position for position, _ in batch]
            with network.classifier.frozen():
                images = torch.stack([image for _, image in batch])
                generators = [torch.Generator().manual_seed(image_seed(random_state, image)) for image in images]
                infills = make_infills(images, network.settings)
                masks = to_masks(network, images, infills, solve_published(images, infills, network, generators, random_state))
        yield from zip(positions, masks, strict=True)


def iter_fast(network: Network, source: Source, random_state: int) -> Iterator[tuple[int, Mask]]:
    """Yield masks of the fast optimizer; images that are finished leave the batch and the next ones take their places."""
    schedule = network.settings.fast
    assert schedule is not None  # noqa: S101 - see uses_fast
    places = network.chunk  # stays, also when running out of memory makes the chunks smaller
    solver: FastSolver | None = None
    waiting: list[tuple[int, Tensor]] = []
    while True:
        finished: list[Finished] = []
        # The network is borrowed until something is there to be handed out: borrowing costs as much as some steps.
        with torch.no_grad(), network.classifier.frozen():
            while not finished:
                room = places if solver is None else len(solver.free)
                waiting.extend(islice(source, room - len(waiting)))
                if not waiting and (solver is None or not solver.busy):
                    return
                if waiting and (solver is None or (not solver.busy and waiting[0][1].shape != solver.shape)):
                    solver = FastSolver(network, schedule, waiting[0][1], min(places, len(waiting)))
                assert solver is not None  # noqa: S101 - made above when there was none
                fitting = [item for item in waiting if item[1].shape == solver.shape][: len(solver.free)]
                if fitting:
                    taken = {position for position, _ in fitting}
                    waiting = [item for item in waiting if item[0] not in taken]
                    seeds = [image_seed(random_state, image) for _, image in fitting]
                    solver.admit([position for position, _ in fitting], torch.stack([image for _, image in fitting]), seeds)
                finished = solver.step()
        for result in finished:
            yield (
                result.position,
                Mask(
                    smooth=result.smooth.numpy(),
                    sharp=result.sharp.numpy(),
                    superpixel=None,
                    score_before=result.before,
                    after=result.after.numpy(),
                    hidden=result.hidden.numpy(),
                    losses=np.array(result.losses, np.float32),
                ),
            )


def solve_group(network: Network, views: Sequence[NDArray[np.uint8]], random_state: int = 0) -> list[Mask]:
    """Return the masks of views (H, W, 3) that are optimized together, by a network that is ready to be asked.

    The views share their batches from the first step to the last, so that the same views in the same order give the same
    bits.
    """
    tensors = ((position, network.classifier.to_tensor([view])[0]) for position, view in enumerate(views))
    solve = iter_fast if uses_fast(network.settings, network.target) else iter_published
    return [mask for _, mask in sorted(solve(network, tensors, random_state), key=operator.itemgetter(0))]


def image_seed(random_state: int, image: Tensor) -> int:
    """Return the seed of an image's noise: it depends on `random_state` and the pixels, not on the images beside it.

    Examples
    --------
    >>> image = torch.zeros(3, 2, 2)
    >>> image_seed(0, image) == image_seed(0, image.clone()), image_seed(0, image) == image_seed(1, image)
    (True, False)
    """
    pixels = (image.detach().cpu() * 255).round().to(torch.uint8).numpy().tobytes()
    return int.from_bytes(hashlib.sha256(f"{random_state} {tuple(image.shape)} ".encode() + pixels).digest()[:7], "big")


def to_masks(network: Network, images: Tensor, infills: Sequence[Tensor], solved: Solved) -> list[Mask]:
    """Return what is stored: float16 evidence masks, and scores recomputed in float32 with just these masks, in each infill."""
    smooth, sharp = to_evidence(solved.smooth), to_evidence(solved.sharp)
    superpixel = None if solved.superpixel is None else to_evidence(solved.superpixel)
    final = sharp if superpixel is None else superpixel
    before = network.scores(images).tolist()
    hidden = torch.stack([network.scores(infill) for infill in infills], dim=1).cpu().numpy()
    after = (
        torch.stack([network.scores(perturb(images, infill, 1 - final.to(images))) for infill in infills], dim=1).cpu().numpy()
    )
    losses = solved.losses.float().cpu().numpy()
    return [
        Mask(
            smooth=smooth[i].numpy(),
            sharp=sharp[i].numpy(),
            superpixel=None if superpixel is None else superpixel[i].numpy(),
            score_before=before[i],
            after=after[i].copy(),
            hidden=hidden[i].copy(),
            losses=losses[:, i].copy(),
        )
        for i in range(len(images))
    ]


def to_evidence(mask: Tensor) -> Tensor:
    """Return ``1 - m`` as float16 on the CPU."""
    return (1 - mask).half().cpu()
