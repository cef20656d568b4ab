"""How a stage declares its pieces: what one is made of, what goes into it, and how it is computed.

A stage is a map over work items that do not depend on each other (an image, a list of images, a block of pairs). What it needs
to be resumable, and to run elsewhere, is in its :class:`Stage`; a run calls :meth:`Context.map`. ``docs/design.md`` shows how
to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, overload

from visual_summaries.classifiers import Classifier, Target
from visual_summaries.engines import Batch, Engine, LocalEngine
from visual_summaries.errors import RunError
from visual_summaries.progress import Progress, report_progress
from visual_summaries.runs.pieces import Content, Pieces, digest
from visual_summaries.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Shared:
    """What the work items of all stages have in common: sent to a worker once."""

    classifier: Classifier
    target: Target
    settings: Settings
    random_state: int = 0
    _once: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` gives, made at the first call in this process: for what is costly and needed by many items."""
        if name not in self._once:
            self._once[name] = make()
        found: T = self._once[name]
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what was made in this process."""
        return {**self.__dict__, "_once": {}}


@dataclass(frozen=True)
class Stage:
    """One kind of piece.

    Attributes
    ----------
    name : str
        Folder of the pieces.
    code : int
        Version of the stage's code; raised when it computes something else from the same input, so that old pieces are not
        taken for new ones.
    compute : callable
        ``compute(shared, items) -> iterable of records``, one for each item, in order. A function of a module, and items that
        can be pickled, so that it can run in another process. A record holds arrays and plain data.
    settings : callable
        The part of the settings that goes in; plain data.
    network : bool
        Whether what the network answers goes in (weights, transform, target).
    group : int
        How many items one call of `compute` gets.
    together : bool
        Whether the items of a call influence each other's last digits (batches): then their records are one file, which is
        there whole or not at all, so that a resumed run makes the same batches again.
    compress : bool
        Whether compressing the arrays pays.
    progress : str
        Stage under which progress is reported, if not under its own name; ``""``: not at all.
    """

    name: str
    code: int
    compute: Callable[[Shared, Sequence[Any]], Iterable[Content]]
    settings: Callable[[Settings], Any] = lambda settings: None
    network: bool = True
    group: int = 1
    together: bool = False
    compress: bool = True
    progress: str | None = None


class OnDemand(Sequence[T]):
    """A sequence whose items are made, or read, each time they are used: memory does not grow with it."""

    def at(self, position: int) -> T:
        """Return the item at a position from 0 on."""
        raise NotImplementedError

    @overload
    def __getitem__(self, position: int) -> T: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[T]: ...

    def __getitem__(self, position: int | slice) -> T | Sequence[T]:
        places = range(len(self))[position]
        return self.at(places) if isinstance(places, int) else [self.at(place) for place in places]


class Records(OnDemand[Content]):
    """Finished records of a stage, read on demand; `kept` has those of a run in memory, by their keys."""

    def __init__(self, pieces: Pieces, stage: str, keys: Sequence[str], kept: Mapping[str, Content]) -> None:
        self._pieces, self._stage, self._keys, self._kept = pieces, stage, keys, kept

    def __len__(self) -> int:
        return len(self._keys)

    def at(self, position: int) -> Content:
        """Return a record."""
        key = self._keys[position]
        record = self._kept[key] if key in self._kept else self._pieces.get(self._stage, key)
        if record is None:
            raise RunError(
                f"a piece of {self._stage} was damaged or deleted during the run; give the command again with --resume"
            )
        return record


@dataclass(frozen=True)
class Context:
    """What every stage of one run is given."""

    shared: Shared
    pieces: Pieces = field(default_factory=lambda: Pieces(None))
    progress: Progress | None = None
    notes: dict[str, Any] = field(default_factory=dict)  # what stages have to tell besides their results, for the manifest
    engine: Engine = field(default_factory=LocalEngine)

    @property
    def classifier(self) -> Classifier:
        """The network that is explained."""
        return self.shared.classifier

    @property
    def target(self) -> Target:
        """The class, or function of the outputs, that is explained."""
        return self.shared.target

    @property
    def settings(self) -> Settings:
        """Parameters of every stage."""
        return self.shared.settings

    @property
    def random_state(self) -> int:
        """Seed of everything that is drawn at random."""
        return self.shared.random_state

    @cached_property
    def _network(self) -> dict[str, Any]:
        return {
            "weights": self.classifier.weights_sha256,
            "transform": self.classifier.transform.to_dict(),
            "target": [self.target.index, self.target.name],
        } | ({} if self.classifier.score == "softmax" else {"score": [self.classifier.score, self.classifier.outputs]})

    def key(self, stage: Stage, inputs: Any) -> str:
        """Return the hash of all that goes into a piece of `stage`: `inputs` (plain data, arrays) and what its Stage names."""
        return digest(
            {
                "stage": stage.name,
                "code": stage.code,
                "random_state": self.random_state,
                "settings": stage.settings(self.settings),
                "network": self._network if stage.network else None,
                "inputs": inputs,
            }
        )

    def missing(self, stage: Stage, inputs: Iterable[Any]) -> list[int]:
        """Return the positions of the items that :meth:`map` would compute."""
        keys = [self.key(stage, one) for one in inputs]
        return [position for position, key in enumerate(keys) if self.pieces.get(stage.name, key) is None]

    def each(self, stage: Stage, inputs: Iterable[Any], item: Callable[[int], Any]) -> Records:
        """Have the record of each work item: from its piece where there is one, else computed and stored.

        Parameters
        ----------
        stage : Stage
        inputs : iterable
            For each item all that goes into it, besides what the stage names: plain data and arrays. It is hashed.
        item : callable
            ``item(position)`` makes the work item that ``stage.compute`` gets, only where it is computed.

        Returns
        -------
        Records
            Arrays and plain data, in the order of the items; the same whether found or computed. Read from the run directory
            each time they are used, so that they take no memory (those of a run in memory do).
        """
        keys = [self.key(stage, one) for one in inputs]
        first: dict[str, int] = {}  # items with the same inputs (copies of an image) are one piece
        for position, key in enumerate(keys):
            first.setdefault(key, position)
        # Every file is read once here: a damaged one must be computed again now, not found out about later.
        missing = [position for key, position in first.items() if self.pieces.get(stage.name, key) is None]
        kept: dict[str, Content] = {}
        done = len(first) - len(missing)
        self.pieces.found(stage.name, done)
        self._report(stage, done, len(first))
        for positions, computed in self._run(stage, missing, item):
            stored = {keys[position]: record for position, record in zip(positions, computed, strict=True)}
            self.pieces.put(stage.name, stored, compress=stage.compress)
            if self.pieces.folder is None:
                kept.update(stored)
            done += len(positions)
            self._report(stage, done, len(first))
        return Records(self.pieces, stage.name, keys, kept)

    def map(self, stage: Stage, inputs: Iterable[Any], item: Callable[[int], Any]) -> list[Content]:
        """Return the records of :meth:`each` as a list, all in memory."""
        return list(self.each(stage, inputs, item))

    def piece(self, stage: Stage, inputs: Any, item: Any = None) -> Content:
        """Return the record of a stage that is one piece: `inputs` is hashed, `item` (or else `inputs`) is its one work item.

        It is computed in this process: a single piece cannot be shared out.
        """
        return self.map(stage, [inputs], lambda _: inputs if item is None else item)[0]

    def _run(
        self, stage: Stage, missing: Sequence[int], item: Callable[[int], Any]
    ) -> Iterator[tuple[list[int], list[Content]]]:
        """Yield positions and their records as they are finished: the only place where work is handed out."""

        def batches() -> Iterator[Batch]:
            for start in range(0, len(missing), stage.group):
                positions = list(missing[start : start + stage.group])
                yield positions, [item(position) for position in positions]

        # A single batch cannot be shared out: sending it elsewhere would only cost.
        engine = self.engine if len(missing) > stage.group else LocalEngine()
        on_card = stage.network and self.classifier.device.type == "cuda"
        yield from engine.run(stage.name, stage.compute, self.shared, batches(), accelerator=on_card, whole=stage.together)

    def _report(self, stage: Stage, done: int, total: int) -> None:
        name = stage.name if stage.progress is None else stage.progress
        if name:
            report_progress(self.progress, name, done, total)


class Prepared(OnDemand[T]):
    """What a stage gives for each image, computed when it is first needed: a finished run that is resumed needs none.

    Parameters
    ----------
    context : Context
    stage : Stage
    inputs : sequence
        For each image, as in :meth:`Context.each`.
    item : callable
        Position to work item.
    during : callable
        Makes the context that computing takes place in.
    """

    def __init__(
        self,
        context: Context,
        stage: Stage,
        inputs: Sequence[Any],
        item: Callable[[int], Any],
        during: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._context, self._stage, self._inputs, self._item, self._during = context, stage, inputs, item, during
        self._records: dict[int, tuple[Records, int]] = {}

    def __len__(self) -> int:
        return len(self._inputs)

    def prepare(self, positions: Iterable[int]) -> None:
        """Compute the records of these images, those that are not there yet."""
        wanted = [position for position in sorted(set(positions)) if position not in self._records]
        if wanted:
            with self._during():
                records = self._context.each(self._stage, (self._inputs[k] for k in wanted), lambda k: self._item(wanted[k]))
            self._records |= {position: (records, k) for k, position in enumerate(wanted)}

    def record(self, position: int) -> Content:
        """Return the record of an image."""
        self.prepare([position])
        records, place = self._records[position]
        return records[place]


def without_batch_size(settings: Settings) -> dict[str, Any]:
    """Return the settings of the masks as plain data, but for the batch size, which changes at most the last digits."""
    return asdict(replace(settings.masks, batch_size=None))
