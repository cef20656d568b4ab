"""Parameters of clustering."""

from __future__ import annotations

from dataclasses import dataclass

from visual_summaries._validate import require_in_range


@dataclass(frozen=True)
class ClusterSettings:
    """Parameters of affinity propagation; the defaults are the published constants.

    Attributes
    ----------
    preference_factor : float
        The preference is this times the median of the shifted similarities.
    damping : float
        Share of the old messages kept at each step.
    max_iterations : int
        Steps after which not having converged is an error.
    convergence_iterations : int
        Steps without a change of exemplars that count as converged.
    """

    preference_factor: float = 1.3
    damping: float = 0.9
    max_iterations: int = 1000
    convergence_iterations: int = 100

    def __post_init__(self) -> None:
        require_in_range("preference_factor", self.preference_factor, 0.0)
        require_in_range("damping", self.damping, 0.5, 1.0 - 1e-6)
        require_in_range("max_iterations", self.max_iterations, 1)
        require_in_range("convergence_iterations", self.convergence_iterations, 1)
