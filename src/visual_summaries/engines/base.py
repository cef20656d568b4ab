"""What an engine is, and the one that needs nothing: this process.

A stage of a run is a map over items that do not depend on each other. An engine is given the function, what is the same for all
items, and batches of items, made one after the other as it asks for them; it gives each batch's records back, in any order.
Keys, files and resuming are no business of an engine: so a run that one engine began another can end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

#: ``compute(shared, items)`` gives a record for each item, in order.
Compute = Callable[[Any, Sequence[Any]], Iterable[Any]]
#: Positions of some items, and the items.
Batch = tuple[list[int], list[Any]]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Handle(Generic[T]):
    """Something large that several work items hold: an engine that computes elsewhere sends it once for all of them.

    It may lie in lists, tuples and values of dictionaries of an item.

    Examples
    --------
    >>> Handle("a large thing").get()
    'a large thing'
    """

    value: T

    def get(self) -> T:
        """Return it, where the item is computed."""
        return self.value


class Engine(Protocol):
    """Computes batches of work items."""

    #: Its name, for the manifest.
    name: str

    def run(
        self, name: str, compute: Compute, shared: Any, batches: Iterator[Batch], *, accelerator: bool, whole: bool
    ) -> Iterator[tuple[list[int], list[Any]]]:
        """Yield positions and records as they are finished.

        Parameters
        ----------
        name : str
            Of the stage, for logs.
        compute : callable
            A function of a module.
        shared : object
            First argument of `compute`; the same object for all stages of a run.
        batches : iterator
            Read as far as there is room for more work: items may be large.
        accelerator : bool
            Whether the work needs a GPU.
        whole : bool
            Whether the records of a batch must be given together.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...


class LocalEngine:
    """The process itself, batch after batch; PyTorch, OpenCV and the proposals use its cores by threads.

    One process that uses all cores holds the weights once, and masks, which cost most, pass the network in batches that keep
    all cores busy. Several processes pay where whole runs are independent: ``visual-summaries run --workers``.

    Examples
    --------
    >>> def double(shared, items):
    ...     return [shared * item for item in items]
    >>> batches = iter([([0], [1]), ([1, 2], [5, 6])])
    >>> list(LocalEngine().run("double", double, 2, batches, accelerator=False, whole=True))
    [([0], [2]), ([1, 2], [10, 12])]
    """

    name = "local"

    def run(
        self, name: str, compute: Compute, shared: Any, batches: Iterator[Batch], *, accelerator: bool, whole: bool
    ) -> Iterator[tuple[list[int], list[Any]]]:
        """See :meth:`Engine.run`."""
        for positions, items in batches:
            computed = compute(shared, items)
            if whole:
                yield positions, list(computed)
            else:
                for position, record in zip(positions, computed, strict=True):
                    yield [position], [record]

    def close(self) -> None:
        """Do nothing."""
