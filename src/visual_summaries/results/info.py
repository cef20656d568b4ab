"""How a run was made: the classifier and the class, the images, versions, hardware, timings, counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Any

from visual_summaries._short import Short
from visual_summaries.results.base import Result


@dataclass(frozen=True, repr=False)
class ClassifierInfo(Short):
    """The network that a run explained, in words.

    Attributes
    ----------
    spec : str
        What it was loaded by, or what it is called.
    weights_sha256 : str
        Hash of its weights; empty where it is not known.
    input_size : tuple of int
        ``(C, H, W)``.
    num_classes, parameters : int
    outputs : str
        ``"logits"``, ``"probabilities"`` that sum to 1, or ``"sigmoid"``: each in [0, 1] for itself.
    score, score_in_words : str
        ``"softmax"``, ``"sigmoid"`` or ``"logit"``: how the score of a class comes from the outputs; empty in early runs.
    weights : str
        ``"ema"`` or ``"raw"`` where the checkpoint held both.
    transform : dict
        The evaluation transform; :meth:`~visual_summaries.classifiers.ViewTransform.to_dict` gives it.
    transform_in_words : str
    device : str
    """

    spec: str = "unknown network"
    weights_sha256: str = ""
    input_size: tuple[int, ...] = ()
    num_classes: int = 0
    parameters: int = 0
    outputs: str = ""
    score: str = ""
    score_in_words: str = ""
    weights: str = ""
    transform: dict[str, Any] = field(default_factory=dict)
    transform_in_words: str = ""
    device: str = ""


@dataclass(frozen=True)
class TargetInfo:
    """The class that a run explained.

    Attributes
    ----------
    index : int or None
        None: not a class, but a function of the outputs.
    name : str
    """

    index: int | None
    name: str


@dataclass(frozen=True)
class Accuracy:
    """How many of the images, before any was set aside for its class, the network classifies as the target.

    Attributes
    ----------
    correct, total : int
    """

    correct: int = 0
    total: int = 0

    @property
    def share(self) -> float | None:
        """Share of the images; None without images."""
        return self.correct / self.total if self.total else None


@dataclass(frozen=True, repr=False)
class EvidenceInfo(Short):
    """Evidence that was brought to a run: it did not look for masks itself.

    Attributes
    ----------
    source : str
        Name of the folder, or what the maps were given as.
    loss, area : float, float or None
        :class:`~visual_summaries.settings.masks.EvidenceSettings` of the run.
    ways : dict
        Of how many maps evidence was made how; see :func:`visual_summaries.masks.given.masks_of_maps`.
    unused : list of str
        Maps and other files that belong to no image.
    """

    source: str
    loss: float
    area: float | None
    ways: dict[str, int]
    unused: list[str]


@dataclass(frozen=True, eq=False, repr=False)
class RunInfo(Result):
    """What a run records about itself; ``manifest.json`` holds it.

    Attributes
    ----------
    classifier : ClassifierInfo
    target : TargetInfo
    accuracy : Accuracy
    created : str
        Time, ISO 8601.
    source : str
        Name of the image folder, or what the images were given as.
    predicted : dict
        Names of the classes that the network gives to the images, by index as text.
    counts : dict
        Images, skipped, components, regions, clusters, summaries, rejected.
    faithfulness : dict
        :meth:`Faithfulness.figures <visual_summaries.results.Faithfulness.figures>`.
    warnings : dict
        How many masks have each warning.
    preset : str
        ``"custom"`` if the settings are none.
    parts : int or None
        Number of parts that was requested.
    random_state : int
    include_misclassified : bool
    versions, hardware : dict
    engine : str
    pieces : dict
        Of each stage, how many pieces were computed, found and damaged.
    damaged : list of dict
        Stage, file and reason of every damaged piece.
    images_since_begun : dict
        Names of the images ``gone``, ``changed`` and ``added`` since an interrupted run was begun.
    timings : dict
        Seconds of each stage.
    peak_memory_mib : float
    peak_gpu_memory_mib : float or None
    left_when_hidden : dict
        Share of the score that each infill leaves when it hides everything.
    mask_gradients : str
        How the gradients of masks were computed.
    batch_size : dict
        Images a batch: ``planned`` and ``smallest``.
    evidence : EvidenceInfo or None
        Whose evidence it is; None: masks were found by the run.
    """

    classifier: ClassifierInfo = field(default_factory=ClassifierInfo)
    target: TargetInfo = field(default_factory=lambda: TargetInfo(None, "the target"))
    accuracy: Accuracy = field(default_factory=Accuracy)
    created: str = ""
    source: str = ""
    predicted: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    faithfulness: dict[str, tuple[float, ...]] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    preset: str = ""
    parts: int | None = None
    random_state: int = 0
    include_misclassified: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    engine: str = ""
    pieces: dict[str, dict[str, int]] = field(default_factory=dict)
    damaged: list[dict[str, str]] = field(default_factory=list)
    images_since_begun: dict[str, list[str]] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    peak_memory_mib: float = float("nan")
    peak_gpu_memory_mib: float | None = None
    left_when_hidden: dict[str, float] = field(default_factory=dict)
    mask_gradients: str = ""
    batch_size: dict[str, int] = field(default_factory=dict)
    evidence: EvidenceInfo | None = None


def short_spec(spec: str) -> str:
    """Return a network's name without the folders of its file; the details of the page have it whole.

    Examples
    --------
    >>> short_spec("/home/me/nets.py:tiny"), short_spec("exported/net.pt2"), short_spec("timm/resnet50.a1_in1k")
    ('nets.py:tiny', 'net.pt2', 'timm/resnet50.a1_in1k')
    """
    path, colon, function = spec.partition(".py:")
    if colon or spec.endswith(".pt2"):
        return PureWindowsPath(path).name + colon + function
    return spec
