"""A whole run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visual_summaries._late import late
from visual_summaries.errors import MissingExtraError, SettingsError
from visual_summaries.results.analysis import RunAnalysis
from visual_summaries.results.base import Result
from visual_summaries.results.images import Faithfulness, Image, Mask
from visual_summaries.results.info import RunInfo
from visual_summaries.results.parts import Parts
from visual_summaries.results.randomization import RandomizationCheck
from visual_summaries.results.shortcuts import Verdict
from visual_summaries.results.summaries import Component, Region, Summary, label_map, owned_by_summaries

if TYPE_CHECKING:
    import pandas

    from visual_summaries.classifiers import Classifier
    from visual_summaries.results.application import Application
    from visual_summaries.settings import Settings


@dataclass(frozen=True)
class Skipped:
    """An image that was not used, and why.

    Attributes
    ----------
    name : str
        Path below the image folder.
    reason : str
        One of the reasons of :class:`~visual_summaries.errors.ImageError`, or ``"misclassified"``,
        ``"copy"``, ``"other-label"``; of images of other classes ``"same-class"``;
        of given evidence ``"no-map"``, ``"unusable-map"``.
    detail : str
        A sentence for a reader.
    """

    name: str
    reason: str
    detail: str


@dataclass(frozen=True, eq=False, repr=False)
class Run(Result):
    """Everything that explaining one class of one network gave.

    Attributes
    ----------
    images : tuple of Image
        The images that were used.
    masks : tuple of Mask
        One for each image, in the same order.
    components : tuple of Component
        Preset ``"paper"`` only: connected regions of the masks, image by image, those that contribute most first.
    regions : tuple of Region
        Connected pieces of one part in one image; with the preset ``"paper"`` kept salient boxes.
    descriptors : ndarray of float32, (R, d)
        Features of each region, whose distances say how similar regions are; d is 0 with the preset ``"paper"``.
    similarity : ndarray of float32, (R, R)
        Preset ``"paper"`` only, else (0, 0): symmetric similarities of the regions, >= 0; 0 between regions of one image and on
        the diagonal.
    summaries : tuple of Summary
        Kept summaries, best first.
    rejected : tuple of Summary
        Parts or clusters that the settings do not keep (``SummarySettings.keep``), in the same form; their pixels are of the
        rest.
    skipped : tuple of Skipped
        Images that were set aside, with the reason.
    settings : Settings
        Every parameter of the method.
    info : RunInfo
        How it was made: the classifier and target in words, versions, hardware, timings, counts.
    faithfulness : Faithfulness or None
        Deletion and insertion curves of the masks, with their control.
    analysis : RunAnalysis or None
        What the summaries take together, their joint effects, and what chance would give.
    parts : Parts or None
        What the evidence is divided among; None with the preset ``"paper"``.
    check : RandomizationCheck or None
        What :func:`visual_summaries.randomization_check` found, where it was asked.
    path : Path or None
        Where the run is stored.

    Examples
    --------
    ``len(run)`` is the number of summaries, and ``for summary in run`` takes them best first. Their numbers count from 1, as on
    the page: ``run.summary(1)`` is ``run.summaries[0]``.
    """

    images: tuple[Image, ...]
    masks: tuple[Mask, ...]
    components: tuple[Component, ...]
    regions: tuple[Region, ...]
    descriptors: NDArray[np.float32]
    similarity: NDArray[np.float32]
    summaries: tuple[Summary, ...]
    rejected: tuple[Summary, ...]
    skipped: tuple[Skipped, ...]
    settings: Settings
    info: RunInfo
    faithfulness: Faithfulness | None = None
    analysis: RunAnalysis | None = None
    parts: Parts | None = None
    check: RandomizationCheck | None = None
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("summaries", "rejected"):
            object.__setattr__(self, name, tuple(summary.of(self) for summary in getattr(self, name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def __len__(self) -> int:
        return len(self.summaries)

    def __bool__(self) -> bool:
        return True  # also without summaries

    def __iter__(self) -> Iterator[Summary]:
        return iter(self.summaries)

    def __repr__(self) -> str:
        """Return one line: network, class, how much there is, and where."""
        target = self.info.target
        index = "" if target.index is None else f" ({target.index})"
        where = "in memory" if self.path is None else f"in {str(self.path)!r}"
        return (
            f"<Run of {self.info.classifier.spec or 'a network'} on {target.name!r}{index}: {len(self.images)} images, "
            f"{len(self.summaries)} summaries, {where}>"
        )

    @property
    def target(self) -> str:
        """Name of the class that the run explains; ``run.info.target`` has its index too."""
        return self.info.target.name

    def summary(self, number: int) -> Summary:
        """Return a summary by its number, from 1: what pages and commands call it.

        Raises
        ------
        SettingsError
            If there is none of that number.
        """
        if not 1 <= number <= len(self.summaries):
            raise SettingsError(f"there is no summary {number}: the run has {len(self.summaries)}, numbered from 1")
        return self.summaries[number - 1]

    def to_records(self) -> list[dict[str, Any]]:
        """Return a row for each summary: its number from 1, its name, the image of its exemplar, and all of its figures."""
        return [
            {**summary.figures(), "exemplar": self.images[self.regions[summary.exemplar].image].name}
            for summary in self.summaries
        ]

    def to_pandas(self) -> pandas.DataFrame:
        """Return :meth:`to_records` as a table of pandas, by the numbers of the summaries.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError(
                "to_pandas() needs pandas, which is not installed: pip install pandas, or take run.to_records()"
            ) from error
        return pandas.DataFrame.from_records(self.to_records(), index="summary")

    @property
    def manifest(self) -> dict[str, Any]:
        """What ``manifest.json`` has of the run: :attr:`info` as plain data."""
        return asdict(self.info)

    @property
    def verdict(self) -> Verdict:
        """What the network relies on, how firmly, and what looks like a shortcut; never more certain than its figures."""
        found: Verdict = late("judge")(self)
        return found

    def evidence(self, image: int) -> NDArray[np.bool_]:
        """Return the binary evidence of an image, by the run's own threshold: ``bool (H, W)``, True = evidence."""
        return self.masks[image].binary(self.settings.regions.threshold)

    def labels(self, image: int) -> NDArray[np.int16]:
        """Return which summary each pixel of an image belongs to, as its position in ``run.summaries``: ``int16 (H, W)``.

        -1: no evidence, or the rest of it. Where regions lie within each other (preset ``"paper"``) a pixel counts for the
        summary of the smallest one that holds it.
        """
        height, width = self.images[image].view.shape[:2]
        return label_map(owned_by_summaries(self.summaries, self.regions, image), (height, width))

    def coarser(self, count: int) -> tuple[tuple[int, ...], ...]:
        """Return the summaries, as positions in ``run.summaries``, grouped as `count` parts would have them.

        Parts are merged by the tree of the run (``run.parts.tree``), the most similar first; groups without a summary are left
        out. A run of the preset ``"paper"`` has no tree: each summary stays by itself.
        """
        if self.parts is None:
            return tuple((summary.index,) for summary in self.summaries)
        group = self.parts.groups(count)
        found: dict[int, list[int]] = {}
        for summary in self.summaries:
            found.setdefault(int(group[summary.part]), []).append(summary.index)
        return tuple(tuple(members) for _, members in sorted(found.items()))

    def report(self, path: str | Path | None = None) -> Path:
        """Write the self-contained HTML report and return where it is (default: ``report.html`` in the run's folder)."""
        written: Path = late("write_report")(self, path)
        return written

    def apply(self, images: Any, classifier: Classifier, **options: Any) -> Application:
        """Find the summaries in new images, and what each does there; see :func:`visual_summaries.runs.apply.apply_run`."""
        application: Application = late("apply_run")(self, images, classifier, **options)
        return application

    def plot(self, **options: Any) -> Any:
        """Return a matplotlib Figure of the summaries; see :func:`visual_summaries.pages.figures.plot_summaries`."""
        return late("plot_summaries")(self, **options)

    def _repr_html_(self) -> str:
        """Show the summaries in a notebook."""
        return str(late("render_strip")(self))
