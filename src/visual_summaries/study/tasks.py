"""What people are asked, drawn at random from runs: intruders, parts to name, networks to compare; and how much of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, zip_longest
from typing import Any, ClassVar, TypeVar

import numpy as np

from visual_summaries._validate import require_in_range
from visual_summaries.errors import SettingsError, StudyError
from visual_summaries.regions.salient import redundant_pairs
from visual_summaries.results import Region, Run, Summary

#: The kinds of tasks, in the order in which people take them.
KINDS = ("intruder", "name", "preference")
#: Where an intruder comes from: another summary of the run, or (the control) any salient region outside the summary.
OTHER, RANDOM = "other-summary", "random-region"
CONDITIONS = (OTHER, RANDOM)
#: A region that covers this share of the smaller of the two shows the same thing (as in the pruning of regions, docs/paper.md).
SAME = 0.5

T = TypeVar("T")


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
    unlike : float
        An intruder from another summary is one of this share of the candidates: those that the explained network finds least
        like the row. 1: any. Two summaries may show one thing, and who cannot see a difference can only guess.
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
    unlike: float = 1 / 3
    named: int = 6
    random_groups: int = 3
    rows: int = 3
    row_members: int = 4
    checks: bool = True
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.kinds is not None and (not self.kinds or not set(self.kinds) <= set(KINDS)):
            raise SettingsError(f"kinds is {self.kinds!r}, but must name one or more of {', '.join(map(repr, KINDS))}")
        require_in_range("members", self.members, 2, 8)  # one digit on the keyboard for each picture
        require_in_range("unlike", self.unlike, 0, 1)
        lows = {"intruders": 1, "names": 1, "preferences": 1, "rows": 1, "named": 2, "row_members": 2, "random_groups": 0}
        for name, low in {**lows, "random_state": 0}.items():
            require_in_range(name, getattr(self, name), low)

    @property
    def chance(self) -> float:
        """Share of intruders that are found by guessing."""
        return 1 / (self.members + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, for JSON."""
        return {**asdict(self), "kinds": None if self.kinds is None else list(self.kinds), "chance": self.chance}


@dataclass(frozen=True)
class IntruderTask:
    """Regions of one summary (`members`) and the one that does not belong (`intruder`), each of another image.

    `run` is the position of the run in the study, `condition` one of :data:`CONDITIONS`, `source` the summary that the intruder
    comes from; None for a region of no kept summary.
    """

    kind: ClassVar[str] = "intruder"
    run: int
    summary: int
    condition: str
    members: tuple[int, ...]
    intruder: int
    source: int | None


@dataclass(frozen=True)
class NameTask:
    """Regions whose common part is to be named; `summary` is None for the control, random regions of different images."""

    kind: ClassVar[str] = "name"
    run: int
    summary: int | None
    regions: tuple[int, ...]


@dataclass(frozen=True)
class PreferenceTask:
    """The best summaries of two networks for one class, as many of each: for both runs the regions of each summary."""

    kind: ClassVar[str] = "preference"
    runs: tuple[int, int]
    rows: tuple[tuple[tuple[int, ...], ...], ...]


@dataclass(frozen=True)
class Tasks:
    """All tasks of a study, by kind, and what could not be asked and why (`notes`)."""

    intruders: tuple[IntruderTask, ...]
    names: tuple[NameTask, ...]
    preferences: tuple[PreferenceTask, ...]
    notes: tuple[str, ...]

    def by_kind(self) -> dict[str, Sequence[IntruderTask | NameTask | PreferenceTask]]:
        """Return the tasks of each kind, in the order of :data:`KINDS`."""
        return dict(zip(KINDS, (self.intruders, self.names, self.preferences), strict=True))


def draw_tasks(runs: Sequence[Run], settings: StudySettings) -> Tasks:
    """Draw the tasks of a study: the same for the same runs and seed.

    Summaries are taken in turn from each run, in random order; each gives an intruder task of both conditions. Preference tasks
    show as many summaries of both networks, the best ones.

    Raises
    ------
    StudyError
        If a kind that is requested cannot be asked at all.
    """
    rng = np.random.default_rng(settings.random_state)
    notes: list[str] = []
    drawn: dict[str, Sequence[Any]] = dict.fromkeys(KINDS, ())
    for kind in settings.kinds or KINDS:
        try:
            drawn[kind] = _DRAW[kind](runs, settings, rng, notes)
        except StudyError as error:
            if settings.kinds is not None:
                raise
            notes.append(str(error))
    if not any(drawn.values()):
        raise StudyError(f"these runs give no task at all: {'; '.join(notes)}")
    return Tasks(tuple(drawn["intruder"]), tuple(drawn["name"]), tuple(drawn["preference"]), tuple(notes))


def label(run: Run) -> str:
    """Return class and network of a run, for messages."""
    return f"{run.info.target.name} of {run.info.classifier.spec}"


def _intruders(runs: Sequence[Run], settings: StudySettings, rng: np.random.Generator, notes: list[str]) -> list[IntruderTask]:
    found: list[IntruderTask] = []
    for position, summary in _in_turn(runs, rng):
        run = runs[position]
        if len(found) >= settings.intruders:
            break
        name = f"summary {summary.index + 1} of {label(run)}"
        if len(_one_per_image(run, summary, rng)) < settings.members:
            notes.append(f"{name} has regions in fewer than {settings.members} images: no intruder")
            continue
        for condition in CONDITIONS[: settings.intruders - len(found)]:
            task = _intruder(run, position, summary, condition, settings, rng)
            if task is None:
                notes.append(f"{name}: no intruder ({condition}) elsewhere")
            else:
                found.append(task)
    if not found:
        raise StudyError(
            f"no summary of these runs has regions in {settings.members} images and a region elsewhere to be the intruder; "
            "show fewer regions (--members), name the kinds of tasks without it (--kind name), or compute runs with more images"
        )
    return found


def _intruder(
    run: Run, position: int, summary: Summary, condition: str, settings: StudySettings, rng: np.random.Generator
) -> IntruderTask | None:
    shown = _one_per_image(run, summary, rng)[: settings.members]
    images = {run.regions[region].image for region in shown}
    own = [run.regions[region] for region in summary.cluster]
    kept = {region: other.index for other in run.summaries for region in other.cluster}
    if condition == OTHER:
        pool = [m.region for other in run.summaries if other.index != summary.index for m in other.members]
    else:
        pool = [region.index for region in run.regions if region.index not in summary.cluster]
    # A region over one of the summary's own shows the same part: nobody could tell it from a member.
    fits = [
        index
        for index in pool
        if run.regions[index].image not in images and not any(_same(run.regions[index], region) for region in own)
    ]
    if not fits:
        return None
    intruder = int(rng.choice(_least_like(run, summary, fits, settings.unlike) if condition == OTHER else fits))
    return IntruderTask(position, summary.index, condition, tuple(shown), intruder, kept.get(intruder))


def _least_like(run: Run, summary: Summary, regions: Sequence[int], share: float) -> list[int]:
    """Return that share of the regions, at least one, that the explained network finds least like a summary."""
    if run.parts is not None and summary.part is not None:
        distance = np.linalg.norm(run.descriptors[list(regions)] - run.parts.centers[summary.part], axis=1)
    else:
        members = [member.region for member in summary.members]
        distance = -run.similarity[np.ix_(regions, members)].mean(axis=1)
    return [region for region, far in zip(regions, distance >= np.quantile(distance, 1 - share), strict=True) if far]


def _names(runs: Sequence[Run], settings: StudySettings, rng: np.random.Generator, notes: list[str]) -> list[NameTask]:
    found: list[NameTask] = []
    for position, summary in _in_turn(runs, rng):
        if len(found) >= settings.names:
            break
        regions = _one_per_image(runs[position], summary, rng, members_only=True)[: settings.named]
        found.append(NameTask(position, summary.index, tuple(regions)))
    if not found:
        raise StudyError(f"none of the {len(runs)} runs has a summary to name; compute runs with more images")
    wide = [position for position, run in enumerate(runs) if len({region.image for region in run.regions}) > 1]
    for number in range(settings.random_groups if wide else 0):
        position = wide[number % len(wide)]
        found.append(NameTask(position, None, tuple(_random_group(runs[position], settings.named, rng))))
    if settings.random_groups and not wide:
        notes.append("no run has regions in two images: no random group to name")
    return found


def _preferences(
    runs: Sequence[Run], settings: StudySettings, rng: np.random.Generator, _notes: list[str]
) -> list[PreferenceTask]:
    pairs = [pair for pair in comparable_pairs(runs) if all(runs[position].summaries for position in pair)]
    if not pairs:
        raise StudyError(
            "no two of these runs explain the same class by different networks and have summaries: no preference can be asked "
            "for; give such runs, or name the kinds of tasks without it (--kind intruder --kind name)"
        )
    found: list[PreferenceTask] = []
    for number in range(settings.preferences):
        first, second = pairs[number % len(pairs)]
        rows = min(settings.rows, len(runs[first].summaries), len(runs[second].summaries))
        sides = (
            tuple(
                tuple(_one_per_image(runs[position], summary, rng, members_only=True)[: settings.row_members])
                for summary in runs[position].summaries[:rows]
            )
            for position in (first, second)
        )
        found.append(PreferenceTask((first, second), tuple(sides)))
    return found


_DRAW: dict[str, Callable[[Sequence[Run], StudySettings, np.random.Generator, list[str]], Sequence[Any]]] = {
    "intruder": _intruders,
    "name": _names,
    "preference": _preferences,
}


def comparable_pairs(runs: Sequence[Run]) -> list[tuple[int, int]]:
    """Return the pairs of runs that explain one class by different networks."""

    def of(run: Run) -> tuple[object, object]:
        return run.info.target.index, run.info.target.name

    def network(run: Run) -> object:
        return run.info.classifier.weights_sha256 or run.info.classifier.spec

    return [
        (first, second)
        for first, second in combinations(range(len(runs)), 2)
        if of(runs[first]) == of(runs[second]) and network(runs[first]) != network(runs[second])
    ]


def _in_turn(runs: Sequence[Run], rng: np.random.Generator) -> Iterator[tuple[int, Summary]]:
    """Yield summaries, one of each run in turn, each run's in random order."""
    orders = [[(position, run.summaries[i]) for i in rng.permutation(len(run.summaries))] for position, run in enumerate(runs)]
    for row in zip_longest(*orders):
        yield from (item for item in row if item is not None)


def _one_per_image(run: Run, summary: Summary, rng: np.random.Generator, *, members_only: bool = False) -> list[int]:
    """Return a summary's regions in random order, one of any image: its members first, then others of its cluster."""
    members = [member.region for member in summary.members]
    others = [] if members_only else [index for index in summary.cluster if index not in members]
    images: set[int] = set()
    found = []
    for index in [*_shuffled(members, rng), *_shuffled(others, rng)]:
        if run.regions[index].image not in images:
            images.add(run.regions[index].image)
            found.append(index)
    return found


def _random_group(run: Run, count: int, rng: np.random.Generator) -> list[int]:
    of_image: dict[int, list[int]] = {}
    for region in run.regions:
        of_image.setdefault(region.image, []).append(region.index)
    return [int(rng.choice(of_image[image])) for image in _shuffled(sorted(of_image), rng)[:count]]


def _shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    return [items[i] for i in rng.permutation(len(items))]


def _same(a: Region, b: Region) -> bool:
    return a.image == b.image and bool(redundant_pairs(np.array([a.box, b.box]), SAME, np.inf)[0, 1])
