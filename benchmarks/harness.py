"""What benchmarks share: arguments, the file of results, bars, finished figures, and networks.

A benchmark writes one object: ``hardware``, ``versions``, ``settings``, ``rows``, and ``bars``, each figure that was asked for
with its bound (``{name, value, bound, sense, holds}``).
"""

from __future__ import annotations

import argparse
import json
import math
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from visual_summaries.birds.world import CLASS_NAMES
from visual_summaries.classifiers import Classifier, load_classifier, resolve_transform
from visual_summaries.demo import demo_network
from visual_summaries.files.atomic import plain, write_json, write_text
from visual_summaries.runs.manifest import hardware, versions
from visual_summaries.runs.pieces import digest
from visual_summaries.settings import preset

Row = dict[str, Any]

RESULTS = Path(__file__).resolve().parent / "results"

_SENSES: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def parser(
    doc: str | None, quick: str = "", full: str = "", *, needs_data: bool = False, keep: bool = False
) -> argparse.ArgumentParser:
    """Return a parser that knows what every benchmark is given.

    Parameters
    ----------
    doc : str
        The script's docstring.
    quick, full : str
        What the two sizes are, in words.
    needs_data : bool
        Whether nothing can be measured without ``--data``.
    keep : bool
        Whether finished figures and runs are kept: adds ``--keep`` and ``--minutes``, for :class:`Finished`.
    """
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="file for the results; without it they are only printed")
    sizes = "; ".join(f"{name}: {words}" for name, words in (("quick", quick), ("full", full)) if words)
    made.add_argument("--size", choices=("quick", "full"), default="quick", help=sizes or "quick (default) or full")
    made.add_argument("--data", type=Path, required=needs_data, help="folder with weights/nets.py and images/")
    if keep:
        made.add_argument("--keep", type=Path, help="where finished figures and runs are kept; default build/NAME")
        made.add_argument(
            "--minutes", type=float, default=math.inf, help="begin nothing after this time; 0 writes what is finished"
        )
    return made


def results(
    name: str,
    size: str,
    settings: Mapping[str, Any],
    rows: Sequence[Row],
    bars: Sequence[Row],
    *,
    device: str = "cpu",
    **more: Any,
) -> Row:
    """Return the object that a benchmark writes; it names the default that was measured (:func:`default_hash`)."""
    where = {"hardware": hardware(torch.device(device)), "versions": versions(), "default": default_hash()}
    return {"benchmark": name, "size": size, **where, "settings": settings, "rows": rows, **more, "bars": bars}


def default_hash() -> str:
    """Return the hash of the default settings: results that name another are those of a former default."""
    return digest(plain(asdict(preset("default"))))[:12]


def write(found: Row, path: Path | None) -> None:
    """Write results as JSON, an item of a list a line: they are read by people, too. Without a path nothing is written."""
    lines = []
    for name, value in plain(found).items():
        if isinstance(value, list) and value:
            items = ",\n".join(f"  {json.dumps(item)}" for item in value)
            lines.append(f" {json.dumps(name)}: [\n{items}\n ]")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    if path:
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def finish(found: Row, path: Path | None) -> bool:
    """Write results and print their bars; return whether all hold."""
    write(found, path)
    for one in found["bars"]:
        value = "-" if one["value"] is None else f"{one['value']:.4g}"
        print(f"{'holds ' if one['holds'] else 'MISSED'} {one['name']}: {value} ({one['sense']} {one['bound']:.4g})")
    return all(one["holds"] for one in found["bars"])


def read(path: Path | None) -> Row | None:
    """Return the results that are in a file already; None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else None


def unfinished(path: Path | None) -> Row | None:
    """Return the results of a file that rows are to be added to; None where there is none.

    Raises
    ------
    SystemExit
        If they are of another default: rows of both would be told as the default's as it is.
    """
    found = read(path)
    if found is not None and found.get("default") != default_hash():
        was = f"{path} was measured with default {found.get('default')}, today's is {default_hash()}"
        raise SystemExit(f"{was}: give another --json file, or move it away")
    return found


def bar(name: str, value: float | None, bound: float, sense: str, **more: Any) -> Row:
    """Return a figure with what was asked for; one that could not be measured does not hold.

    Examples
    --------
    >>> bar("speed", 12.0, 10.0, ">=")["holds"], bar("speed", None, 10.0, ">=")["holds"]
    (True, False)
    """
    known = None if value is None or not math.isfinite(value) else value
    holds = known is not None and bool(_SENSES[sense](known, bound))
    return {"name": name, "value": known, **more, "bound": bound, "sense": sense, "holds": holds}


def mean(values: Sequence[float | bool]) -> float | None:
    """Return the mean, None of nothing."""
    return float(np.mean(values)) if len(values) else None


def rounded(value: Any, digits: int = 4) -> Any:
    """Return a figure, or those in a list or dict, with so many digits behind the point; None for one that is not known.

    Examples
    --------
    >>> rounded({"a": [0.12345, 3, float("nan")]})
    {'a': [0.1235, 3, None]}
    """
    if isinstance(value, dict):
        return {name: rounded(one, digits) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one, digits) for one in value]
    if isinstance(value, float | np.floating):
        return round(float(value), digits) if math.isfinite(value) else None
    return value


class Finished:
    """Finished figures as files: a benchmark that is interrupted goes on where it stopped.

    Parameters
    ----------
    folder : Path
    minutes : float
        Nothing is measured after this time: what is not there is None.
    known : mapping, optional
        Figures by name that need no file, because the file of results has them.
    """

    def __init__(self, folder: Path, minutes: float = math.inf, known: Mapping[str, Any] | None = None) -> None:
        self._folder, self._end, self._known = folder, time.perf_counter() + 60 * minutes, known or {}

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return (self._folder / f"{name}.json").is_file()

    def __call__(self, name: str, inputs: Any, make: Callable[[], Any], code: str = "") -> Any:
        """Return what the file of this name holds for these inputs, or make it and write the file.

        What other `code` has made is made again, but for what nothing is measured for any more.
        """
        if name in self._known:
            return self._known[name]
        path, key = self._folder / f"{name}.json", digest(plain(inputs))
        late = time.perf_counter() >= self._end
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["key"] == key and (late or found["code"] == code):
                return found["value"]
        if late:
            return None
        value = plain(make())
        write_json(path, {"key": key, "code": code, "value": value})
        return value


def pretrained(network: str, data: Path, device: str = "cpu") -> Classifier:
    """Return a network of ``weights/nets.py``."""
    return load_classifier(spec_of(network, data), device=device)


def spec_of(network: str, data: Path) -> str:
    """Return how a network of ``weights/nets.py`` is named to the package."""
    return f"{data / 'weights' / 'nets.py'}:{network}"


def demo_classifier(network: str) -> Classifier:
    """Return a network of the demo, which tells drawn birds apart."""
    module = demo_network(network)
    return Classifier(module, transform=resolve_transform(module), class_names=CLASS_NAMES, spec=f"demo network {network}")
