"""Parameters of a study."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from visual_summaries._validate import require_in_range
from visual_summaries.errors import SettingsError

#: The kinds of tasks, in the order in which people take them.
KINDS = ("intruder", "name", "preference")


@dataclass(frozen=True)
class StudySettings:
    """How many tasks of each kind a study has, and what they show.

    Attributes
    ----------
    kinds : tuple of str or None
        Which of ``"intruder"`` (which region does not belong), ``"name"`` (name the part) and ``"preference"`` (which network's
        summaries explain the class better). None: all that the runs allow; preference needs two
        of one class by different networks.
    intruders, names, preferences : int
        The most tasks of each kind.
    members : int
        Regions of the summary in an intruder task; the intruder comes on top, so that chance is ``1 / (members + 1)``.
    named : int
        The most regions in a task to name.
    random_groups : int
        Control of the naming: this many groups of random salient regions are asked about besides.
    rows, row_members : int
        The most summaries on each side of a preference task, and the most regions of each.
    checks : bool
        Whether there are attention checks, one in each of the first two kinds.
    random_state : int
        Seed of everything drawn.

    Examples
    --------
    >>> StudySettings(members=5).chance
    0.16666666666666666
    """

    kinds: tuple[str, ...] | None = None
    intruders: int = 16
    names: int = 9
    preferences: int = 6
    members: int = 4
    named: int = 6
    random_groups: int = 3
    rows: int = 3
    row_members: int = 4
    checks: bool = True
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.kinds is not None and (not self.kinds or not set(self.kinds) <= set(KINDS)):
            raise SettingsError(f"kinds is {self.kinds!r}, but must name one or more of {', '.join(map(repr, KINDS))}")
        for name in ("intruders", "names", "preferences", "rows"):
            require_in_range(name, getattr(self, name), 1)
        require_in_range("members", self.members, 2, 8)  # one digit on the keyboard for each picture
        require_in_range("named", self.named, 2)
        require_in_range("row_members", self.row_members, 2)
        require_in_range("random_groups", self.random_groups, 0)
        require_in_range("random_state", self.random_state, 0)

    @property
    def chance(self) -> float:
        """Share of intruders that are found by guessing."""
        return 1 / (self.members + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, for JSON."""
        return {**asdict(self), "kinds": None if self.kinds is None else list(self.kinds), "chance": self.chance}
