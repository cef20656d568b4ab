"""Parameters of specializing."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_in_range


@dataclass(frozen=True)
class SpecializeSettings:
    """How part detectors are trained and how their scores are joined with the network's.

    Attributes
    ----------
    depths : int
        How many of the network's last layers the detectors read.
    cells : int
        Feature maps with more cells along a side are averaged down to this many; detectors look at as many places along a side.
    scales : tuple of float
        Sizes of a detector's window, over the median size of its summary's regions.
    apply : bool
        Whether the summaries are looked for in further images of the class (masks are optimized there, which takes time).
    confused, others : int
        Training images of other classes that each detector learns to reject: those that the network takes for the class most,
        and as many drawn from the rest as `others` says.
    windows : int
        Windows drawn at random in each of these before the first training.
    rounds : int
        How often the best-matching window of each of these images is then added, and the detector trained again.
    svm : float
        Cost of errors of the linear SVM (scikit-learn's ``C``).
    folds : int
        Parts into which the training images are cut: what is joined with an image's logits comes from detectors that were
        trained without it.
    penalties : tuple of float
        Candidates for how strongly the weights of detectors are held at 0, strongest first.
    least_gain : float
        How many standard errors of its mean the cross-validated gain must reach; under that the class is left as it was.
    evidence_limit : float
        Largest absolute log odds that a detector may report; approached smoothly.
    offset_limit : float
        Most that the parts may move a logit, and most that the constant beside them may.
    spare : float
        Share of training images of other classes that may become a specialized class, over all of these, before shifts stop.

    Examples
    --------
    >>> SpecializeSettings(folds=1)
    Traceback (most recent call last):
    ...
    visual_summaries.errors.SettingsError: folds is 1, but must lie in [2, 20]
    """

    depths: int = 2
    cells: int = 14
    scales: tuple[float, ...] = (0.75, 1.0, 1.33)
    apply: bool = True
    confused: int = 80
    others: int = 80
    windows: int = 2
    rounds: int = 2
    svm: float = 0.01
    folds: int = 5
    penalties: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0, 1.0)
    least_gain: float = 1.0
    evidence_limit: float = 4.0
    offset_limit: float = 6.0
    spare: float = 0.005

    def __post_init__(self) -> None:
        require_in_range("depths", self.depths, 1, 8)
        require_in_range("cells", self.cells, 2, 64)
        require_in_range("number of scales", len(self.scales), 1, 8)
        for scale in self.scales:
            require_in_range("scale", scale, 0.1, 10)
        require_in_range("confused", self.confused, 0)
        require_in_range("others", self.others, 0)
        require_in_range("confused + others", self.confused + self.others, 1)
        require_in_range("windows", self.windows, 1, 100)
        require_in_range("rounds", self.rounds, 0, 10)
        require_in_range("svm", self.svm, 1e-9, 1e9)
        require_in_range("folds", self.folds, 2, 20)
        require_in_range("number of penalties", len(self.penalties), 1, 50)
        for penalty in self.penalties:
            require_in_range("penalty", penalty, 1e-9, 1e9)
        require_in_range("least_gain", self.least_gain, 0, 10)
        require_in_range("evidence_limit", self.evidence_limit, 0.1, 100)
        require_in_range("offset_limit", self.offset_limit, 0.01, 100)
        require_in_range("spare", self.spare, 0, 1)
