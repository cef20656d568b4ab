"""What specializing gave."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visual_summaries._late import late
from visual_summaries.specialization.settings import SpecializeSettings

if TYPE_CHECKING:
    from visual_summaries.classifiers import Classifier
    from visual_summaries.results import Run
    from visual_summaries.specialization.network import SpecializedNetwork


@dataclass(frozen=True)
class Rates:
    """How a class does on the training images, by cross-validation.

    Attributes
    ----------
    precision : float
        Average precision of the class's score against all other training images; no constant can move it.
    right : int
        Images of the class that get it as the first choice.
    fired : int
        Other images that do.
    """

    precision: float
    right: int
    fired: int


@dataclass(frozen=True)
class PartResult:
    """One part detector.

    Attributes
    ----------
    summary : int
        Position of its summary in the run.
    name : str
    images, applied : int
        Training images in which regions of it are known, and how many of them are not the run's own.
    weight : float
        How much its log odds count in the logit of the class; 0 for a detector that is not used.
    own, others : float
        Its mean evidence, in log odds, in images of the class and in all others; by detectors trained without the image.
    gain, precision : float
        What is lost without it, the others weighed anew: cross-validated log likelihood for each image, average precision.
    """

    summary: int
    name: str
    images: int
    applied: int
    weight: float
    own: float
    others: float
    gain: float
    precision: float


@dataclass(frozen=True)
class ClassResult:
    """One specialized class.

    Attributes
    ----------
    index : int
    name : str
    images, others : int
        Training images of the class, and all others.
    unchanged : bool
        Whether nothing is added: its parts tell no more than the network's own score.
    gain, error : float
        Cross-validated gain in log likelihood for each image, and its standard error.
    shift : float
        Constant that is added beside the evidence.
    before, after : Rates
        Of the network as it was and as it is.
    shifted : Rates
        Of the network with nothing but a constant added, chosen alike: the cheapest way to look good.
    parts : tuple of PartResult
    """

    index: int
    name: str
    images: int
    others: int
    unchanged: bool
    gain: float
    error: float
    shift: float
    before: Rates
    after: Rates
    shifted: Rates
    parts: tuple[PartResult, ...]


@dataclass(frozen=True, eq=False)
class Specialization:
    """A network that was specialized, or left alone.

    Attributes
    ----------
    classifier : Classifier
        To be used like any other; the very classifier that was given where nothing helped.
    module : SpecializedNetwork
        The same as a module, which saves and loads.
    classes : tuple of ClassResult
    original : Classifier
        The network as it was.
    runs : tuple of Run
    settings : SpecializeSettings
    skipped : tuple of (str, str)
        Files that were left out, and why.
    random_state : int
    """

    classifier: Classifier
    module: SpecializedNetwork
    classes: tuple[ClassResult, ...]
    original: Classifier
    runs: tuple[Run, ...]
    settings: SpecializeSettings
    skipped: tuple[tuple[str, str], ...]
    random_state: int

    @property
    def unchanged(self) -> bool:
        """Whether nothing helped, so that the network is the one that was given."""
        return all(one.unchanged for one in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without weights."""
        return {
            "network": self.original.spec,
            "unchanged": self.unchanged,
            "classes": [asdict(one) for one in self.classes],
            "settings": asdict(self.settings),
            "random_state": self.random_state,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
        }

    def save(self, out: str | Path) -> Path:
        """Write the network and the page ``specialized.html`` into a folder, and return the page's path.

        ``specialized.safetensors`` holds the weights, ``specialized.json`` what they are of;
        :func:`~visual_summaries.load_classifier` reads the folder.

        Raises
        ------
        RunError
            If the folder cannot be written to.
        """
        late("save_specialized")(self, Path(out))
        page: Path = late("write_specialization")(self, Path(out))
        return page
