"""Class scores of images with some of their pixels hidden: what every measured effect is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visual_summaries._batches import even_batch, in_batches
from visual_summaries._recent import Recent
from visual_summaries.masks.infill import hidden_pixels
from visual_summaries.masks.perturb import perturb
from visual_summaries.masks.seen import infill_of
from visual_summaries.settings.masks import MaskSettings, infills_of

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier, Target

#: An infill that leaves more than this share of a class's score when it hides everything does not hide.
MOST_LEFT = 0.1

_RECENT = Recent[Tensor](2**26)  # what hides an image: a strong blur or inpainting takes as long as a pass of the network

#: A view (H, W, 3), masks (M, H, W) of what is hidden, and the infill of each mask.
Asked = tuple[NDArray[np.uint8], NDArray[np.bool_], Sequence[str]]


@dataclass(frozen=True)
class Scorer:
    """A network, a class, and how pixels are hidden. Scores are float32, without gradients.

    Of the settings' infills, an image's own (:func:`~visual_summaries.masks.seen.infill_of`) is that of its effects.
    """

    classifier: Classifier
    target: Target
    settings: MaskSettings = field(default_factory=MaskSettings)

    @contextmanager
    def frozen(self) -> Iterator[Scorer]:
        """Have the network ready for several calls."""
        with self.classifier.frozen(), torch.no_grad():
            yield self

    def without(
        self, view: NDArray[np.uint8], hidden: NDArray[np.bool_], infills: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Return the scores (M,) of a view (H, W, 3) with the pixels of each mask (M, H, W) hidden, True = hidden.

        Each mask may have an infill; the view's own for all when left out.
        """
        return self.without_in([(view, hidden, infills or [infill_of(view, self.settings)] * len(hidden))])[0]

    def without_in(self, asked: Sequence[Asked]) -> list[NDArray[np.float32]]:
        """Return what :meth:`without` does for each of several views: few masks of many views fill a batch."""
        return [scores for scores, _ in self.answers_in(asked)]

    def answers_in(self, asked: Sequence[Asked]) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Return the scores of :meth:`without_in`, and with each whether the network still takes the picture for the class."""
        rows: list[tuple[Tensor, Tensor, NDArray[np.bool_]]] = []  # image, what hides it, which pixels are hidden
        which: list[list[int]] = []
        with self.frozen():
            for view, masks, infills in asked:
                x = self.classifier.to_tensor([view])
                shown = {infill: self._shown(view, x, infill) for infill in dict.fromkeys(infills)}
                places: dict[tuple[bytes, str], int] = {}  # the same pixels are asked about once
                for mask, infill in zip(masks, infills, strict=True):
                    if (key := (mask.tobytes(), infill)) not in places:
                        places[key] = len(rows)
                        rows.append((x, shown[infill], mask))
                which.append([places[mask.tobytes(), infill] for mask, infill in zip(masks, infills, strict=True)])

            def ask(part: slice) -> NDArray[np.float32]:
                images, shown, masks = zip(*rows[part], strict=True)
                keep = torch.from_numpy(~np.stack(masks)).to(images[0])
                logits = self.classifier.logits(perturb(torch.cat(images), torch.cat(shown), keep))
                return np.stack([row.float().cpu().numpy() for row in (self.target.score(logits), self.target.hits(logits))])

            found, _ = in_batches(ask, len(rows), even_batch(len(rows)), self.classifier)
        scores, hits = np.concatenate([np.empty((2, 0), np.float32), *found], axis=1)
        return [(scores[places], hits[places] > 0) for places in which]

    def _shown(self, view: NDArray[np.uint8], x: Tensor, infill: str) -> Tensor:
        key = (view.tobytes(), x.shape, x.device, infill, self.settings.blur_size, self.settings.blur_sigma)
        return _RECENT(key, lambda: (hidden_pixels(x, infill, self.settings),))[0]

    def effective_infills(self, views: Sequence[NDArray[np.uint8]]) -> tuple[tuple[str, ...], dict[str, float]]:
        """Tell which of the settings' infills take the class away when they hide whole images (H, W, 3), a sample of the class.

        These leave at most a tenth of the score, mean over the views; where there is none, it is the one that leaves least. The
        shares that all infills leave, above what a network that knows nothing gives each of its classes, come with them.
        """
        names = infills_of(self.settings.infill)
        left = dict.fromkeys(names, 0.0)
        with self.frozen():
            count = self.classifier.logits(self.classifier.to_tensor([views[0]])).shape[1]
            chance = 0 if self.target.kind == "sigmoid" else 1 / count
            for view in views:
                whole = np.ones((1, *view.shape[:2]), dtype=bool)
                before = self.without(view, ~whole, names[:1])[0] - chance
                for name in names if before > 0 else ():
                    left[name] += float(max(self.without(view, whole, [name])[0] - chance, 0) / before) / len(views)
        kept = tuple(name for name in names if left[name] <= MOST_LEFT)
        return kept or (min(names, key=lambda name: left[name]),), left
