"""Parameters of clustering."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_choice, require_in_range

#: Methods of clustering.
METHODS = ("affinity", "linkage")


@dataclass(frozen=True)
class ClusterSettings:
    """Parameters of clustering; the defaults are the published constants of affinity propagation.

    Attributes
    ----------
    method : str
        ``"affinity"``: affinity propagation (published). ``"linkage"``: average linkage of mutual matches
        (:mod:`visual_summaries.clusters.linkage`).
    preference_factor : float
        Affinity: the preference is this times the median of the shifted similarities.
    damping : float
        Affinity: share of the old messages kept at each step.
    max_iterations : int
        Affinity: steps after which not having converged is an error.
    convergence_iterations : int
        Affinity: steps without a change of exemplars that count as converged.
    strength : float
        Linkage: groups are joined while the mean strength of the matches between them is at least this, in [0, 1].
    overlap : float
        Linkage: regions of one image are the same place when their intersection over the smaller area reaches it.
    """

    method: str = "affinity"
    preference_factor: float = 1.3
    damping: float = 0.9
    max_iterations: int = 1000
    convergence_iterations: int = 100
    strength: float = 0.1
    overlap: float = 0.5

    def __post_init__(self) -> None:
        require_choice("method", self.method, METHODS)
        require_in_range("preference_factor", self.preference_factor, 0.0)
        require_in_range("damping", self.damping, 0.5, 1.0 - 1e-6)
        require_in_range("max_iterations", self.max_iterations, 1)
        require_in_range("convergence_iterations", self.convergence_iterations, 1)
        require_in_range("strength", self.strength, 0.0, 1.0)
        require_in_range("overlap", self.overlap, 0.0, 1.0)
