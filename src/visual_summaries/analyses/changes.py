"""What changes of the whole image do: how much a class depends on what is no region (color, sharpness, compression, ...)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from torch import Tensor

from visual_summaries._batches import even_batch, in_batches
from visual_summaries.analyses.importance import TINY, bootstrap_interval, difference_interval
from visual_summaries.classifiers import Classifier, Target
from visual_summaries.results import Change
from visual_summaries.settings.stages import AnalysisSettings

View = NDArray[np.uint8]
#: Mean and spread of each color channel, float64 (2, 3), of views in 0 to 255.
Tone = NDArray[np.float64]

#: Tone of photographs as ImageNet has them: what a view is given where there are no images of other classes.
USUAL_TONE: Tone = np.array([[123.7, 116.3, 103.5], [58.4, 57.1, 57.4]])

# Strengths: a planted cue of the size that people would miss must show, and a photograph must stay one.
_TURN = 45  # of OpenCV's half degrees: a quarter of the circle of hues
_DARKER, _BRIGHTER, _CONTRAST = 0.65, 1.4, 0.5
_BLUR, _SHARPEN = 2.5, (2.0, 2.0)  # sigma in pixels of a view of 224; sigma and amount of unsharp masking
_FAINT = 0.1  # of a gray level: a picture with less detail has none
_QUALITY = 10
_SMALLER, _LARGER = 0.6, 0.7  # side of the whole in the frame; side of the middle that fills it
_RIM = 0.08  # of each side
_MOST_STRETCHED = 2.0  # contrast at most so many times, or a part of, what it was


def tone_of(views: Sequence[View]) -> Tone:
    """Return the mean tone of views (H, W, 3).

    Examples
    --------
    >>> tone_of([np.full((2, 2, 3), shade, np.uint8) for shade in (10, 30)]).tolist()
    [[20.0, 20.0, 20.0], [0.0, 0.0, 0.0]]
    """
    pixels = [view.reshape(-1, 3).astype(np.float64) for view in views]
    return np.asarray(np.mean([[own.mean(axis=0), own.std(axis=0)] for own in pixels], axis=0))


def qualities(view: View) -> NDArray[np.float64]:
    """Return sharpness, brightness, contrast, red against green and blue against yellow of a view (H, W, 3).

    Sharpness is the amount of fine detail (up to a pixel of a view of 224) over that of coarser detail (up to 2.5 pixels), so
    that it depends little on what is in the picture, or on its contrast. Brightness and contrast are mean and spread over the
    channels, in 0 to 255; the others are logarithms of ratios of channels' means.

    Examples
    --------
    >>> view = np.zeros((2, 2, 3), np.uint8) + np.array([80, 40, 60], np.uint8)
    >>> qualities(view).round(2).tolist()
    [0.0, 60.0, 0.0, 0.68, 0.0]
    """
    mean, spread = tone_of([view])
    red, green, blue = np.log(mean + 1)
    fine, coarse = (_blurred(view, sigma).astype(np.float64) for sigma in (1.0, _BLUR))
    sharpness = np.abs(view - fine).mean() / max(np.abs(fine - coarse).mean(), _FAINT)
    return np.array([sharpness, mean.mean(), spread.mean(), red - green, blue - np.log((mean[0] + mean[1]) / 2 + 1)])


def _toned(view: View, like: Tone) -> View:
    (mean, spread), (wanted, wide) = tone_of([view]), like
    factor = np.clip(wide / np.maximum(spread, 1.0), 1 / _MOST_STRETCHED, _MOST_STRETCHED)
    return _pixels((view - mean) * factor + wanted)


def _pixels(values: NDArray[np.floating]) -> View:
    return np.asarray(values.round().clip(0, 255), np.uint8)


def _blurred(view: View, sigma: float) -> View:
    return np.asarray(cv2.GaussianBlur(view, (0, 0), sigma * min(view.shape[:2]) / 224), np.uint8)


def _gray(view: View) -> View:
    return np.repeat(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _turned(view: View) -> View:
    hsv = cv2.cvtColor(view, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + _TURN) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def _sharpened(view: View) -> View:
    sigma, amount = _SHARPEN
    return _pixels(view + amount * (view.astype(np.float64) - _blurred(view, sigma)))


def _compressed(view: View) -> View:
    _, coded = cv2.imencode(".jpg", view[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1].copy()


def _framed(view: View, rows: int, columns: int) -> View:
    """Pad a view to so many rows and columns by its reflection."""
    over, left = (rows - view.shape[0]) // 2, (columns - view.shape[1]) // 2
    under, right = rows - view.shape[0] - over, columns - view.shape[1] - left
    return np.asarray(cv2.copyMakeBorder(view, over, under, left, right, cv2.BORDER_REFLECT))


def _middle(view: View, side: float) -> View:
    (rows, columns), (height, width) = view.shape[:2], (max(round(side * n), 1) for n in view.shape[:2])
    top, left = (rows - height) // 2, (columns - width) // 2
    return view[top : top + height, left : left + width]


def _resized(view: View, rows: int, columns: int) -> View:
    kind = cv2.INTER_AREA if rows < view.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(view, (columns, rows), interpolation=kind))


def _rimmed(view: View, rim: View) -> View:
    """Give a view the border of another."""
    rows, columns = (round(_RIM * n) for n in view.shape[:2])
    found = _resized(rim, *view.shape[:2]).copy()
    found[rows:-rows, columns:-columns] = view[rows:-rows, columns:-columns]
    return found


#: Changes of a view (H, W, 3), by their names; that of the tone needs to be told which, and is not among them.
CHANGES: dict[str, Callable[[View], View]] = {
    "gray": _gray,
    "hue": _turned,
    "darker": lambda view: _pixels(view * _DARKER),
    "brighter": lambda view: _pixels(view * _BRIGHTER),
    "contrast": lambda view: _pixels(view.mean() + _CONTRAST * (view - view.mean())),
    "blur": lambda view: _blurred(view, _BLUR),
    "sharpen": _sharpened,
    "jpeg": _compressed,
    "smaller": lambda view: _framed(_resized(view, *(max(round(_SMALLER * n), 1) for n in view.shape[:2])), *view.shape[:2]),
    "larger": lambda view: _resized(_middle(view, _LARGER), *view.shape[:2]),
    "mirrored": lambda view: np.ascontiguousarray(view[:, ::-1]),
    "border": lambda view: _framed(_middle(view, 1 - 2 * _RIM), *view.shape[:2]),
}


def changed(view: View, like: Tone) -> dict[str, View]:
    """Return a view (H, W, 3) changed in each way; ``"tone"`` gives it the mean and spread of each channel of `like`.

    Examples
    --------
    >>> view = np.zeros((8, 8, 3), np.uint8)
    >>> found = changed(view, tone_of([view + np.uint8(40)]))
    >>> [name for name in found if found[name].any()]
    ['tone']
    """
    return {name: change(view) for name, change in CHANGES.items()} | {"tone": _toned(view, like)}


def told_apart(altered: NDArray[np.floating], others: NDArray[np.floating]) -> list[float]:
    """Return for each change how well it tells images of the class from others by how much it alters their pixels.

    What is blurred already is altered little by blur. 0: it alters each image of the class less than each other one; 1: more;
    0.5: alike (area under the curve, Mann and Whitney 1947). NaN where there are no images of other classes.

    Parameters
    ----------
    altered, others : ndarray, (N, C) and (M, C)
        Mean of what each change alters in a pixel of each image, in 0 to 255.

    Examples
    --------
    >>> told_apart(np.array([[0.1, 5.0], [0.2, 9.0]]), np.array([[3.0, 7.0]]))
    [0.0, 0.5]
    """
    if not len(others):
        return [float("nan")] * altered.shape[1]
    return [float(won) / len(altered) / len(others) for won in mannwhitneyu(altered, others, axis=0).statistic]


class Answers(NamedTuple):
    """What a network says of one image as it is and of each change, ``(1 + C,)``."""

    scores: NDArray[np.float32]  # of the run's class
    own: NDArray[np.float32]  # of the image's own class
    hits: NDArray[np.bool_]  # whether it is taken for the run's class
    altered: NDArray[np.float32]  # mean of what each change alters in a pixel, in 0 to 255 (C,)
    qualities: NDArray[np.float64]  # of the image as it is (5,)


def ask_changes(
    classifier: Classifier,
    target: Target,
    view: View,
    usual: Tone,
    own: int | None = None,
    added: tuple[Tone, View] | None = None,
) -> Answers:
    """Ask about a view (H, W, 3) and its changes.

    Parameters
    ----------
    classifier : Classifier
    target : Target
        The run's class.
    view : ndarray of uint8, (H, W, 3)
    usual : ndarray, (2, 3)
        The tone that it is given.
    own : int, optional
        The class that the image is of; the target's unless given.
    added : tuple, optional
        Tone (2, 3) of images of the run's class, and one of their views (H, W, 3): an image of another class is given that tone
        and that border, to see whether it becomes the run's class by them.
    """
    pictures = [view, *changed(view, usual).values()]
    altered = [np.abs(one.astype(np.float32) - view).mean() for one in pictures[1:]]
    count = len(pictures)
    pictures += [] if added is None else [_rimmed(view, added[1]), _toned(view, added[0])]

    def ask(part: slice) -> Tensor:
        return classifier.logits(classifier.to_tensor(pictures[part])).detach()

    with classifier.frozen():
        found, _ = in_batches(ask, len(pictures), even_batch(len(pictures)), classifier)
    logits = torch.cat(found)
    of_own = target if own is None else Target(own, "", target.kind)
    of_class = logits[[*range(count - 2), -2, -1]]  # the border and the tone come last
    return Answers(
        target.score(of_class).float().cpu().numpy(),
        of_own.score(logits[:count]).float().cpu().numpy(),
        target.hits(of_class).cpu().numpy(),
        np.array(altered, np.float32),
        qualities(view),
    )


def join_changes(
    images: Sequence[Answers],
    others: Sequence[Answers],
    origins: Sequence[int],
    other_origins: Sequence[int],
    settings: AnalysisSettings | None = None,
    random_state: int = 0,
) -> tuple[Change, ...]:
    """Return what each change does to images of the class, beside what it does to images of other classes, if there are any.

    `origins` has for each image the one that it is resampled with.
    """
    settings = settings or AnalysisSettings()
    draws = settings.bootstrap
    losses = _losses(np.array([one.own for one in images]))
    names = [*CHANGES, "tone"]
    empty = np.zeros((0, 1 + len(names)))
    own, scores, hits = (
        np.array([getattr(one, of) for one in others]) if others else empty for of in ("own", "scores", "hits")
    )
    other_losses = _losses(own)
    gains = (scores - scores[:, :1]).astype(np.float32)
    apart = told_apart(*(np.array([one.altered for one in side]) for side in (images, others)))
    # How much blur alters an image depends on what is in it, and how far it is from the usual tone does not say in which
    # direction: so sharpness and tones themselves are compared.
    sharpness, *tones = told_apart(*(np.array([one.qualities for one in side]) for side in (images, others)))
    known = dict(zip(names, apart, strict=True)) | {"blur": sharpness, "sharpen": sharpness}
    known["tone"] = max(tones, key=lambda one: abs(one - 0.5))
    unknown = float("nan")
    found = []
    for k, name in enumerate(names, 1):
        alone = bootstrap_interval(losses[:, k], draws, random_state, groups=origins)
        beside = difference_interval((losses[:, k], origins), (other_losses[:, k], other_origins), draws, random_state)
        found.append(
            Change(
                name,
                losses[:, k],
                other_losses[:, k],
                gains[:, k],
                interval=beside if others else alone,
                gain_interval=bootstrap_interval(gains[:, k], draws, random_state, groups=other_origins),
                fired=float(hits[:, k].mean()) if others else unknown,
                fired_before=float(hits[:, 0].mean()) if others else unknown,
                apart=known[name],
            )
        )
    return tuple(found)


def _losses(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the losses of scores (N, 1 + C) from the first column on, over the larger of both: none is below -1."""
    before = scores[:, :1]
    return np.asarray((before - scores) / np.maximum(np.maximum(before, scores), TINY), np.float32)
