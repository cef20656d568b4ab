"""What every command that loads a network takes: one list of options, with one way to load by them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import visual_summaries as vs
from visual_summaries.cli.console import NETWORK


def numbers(text: str, kind: Callable[[str], float] = float) -> Any:
    """Return the number in a text, or a tuple of those with commas between them.

    Examples
    --------
    >>> numbers("224", int), numbers("160,224", int), numbers("0.5,.25,1")
    (224, (160, 224), (0.5, 0.25, 1.0))
    """
    try:
        found = [kind(part) for part in text.split(",")]
    except ValueError as error:
        whole = "whole " if kind is int else ""
        raise typer.BadParameter(f"{text!r} is not a {whole}number, or several separated by commas") from error
    return found[0] if len(found) == 1 else tuple(found)


def _pixels(metavar: str, text: str) -> Any:
    return typer.Option(parser=functools.partial(numbers, kind=int), metavar=metavar, help=text, rich_help_panel=NETWORK)


def _channels(text: str) -> Any:
    return typer.Option(parser=numbers, metavar="R,G,B", help=text, rich_help_panel=NETWORK)


@dataclass(frozen=True)
class Loading:
    """How a network is loaded, as the options of a command say it; the fields are those options."""

    class_names: Annotated[
        Path | None,
        typer.Option(help="File with the names of the classes: text (one a line), CSV, JSON or YAML.", rich_help_panel=NETWORK),
    ] = None
    device: Annotated[
        str | None, typer.Option(help="Device, such as cpu or cuda:0; found unless given.", rich_help_panel=NETWORK)
    ] = None
    score: Annotated[
        str | None,
        typer.Option(
            help="Meaning of the outputs: softmax, sigmoid (independent labels), logit or as-is; found unless given.",
            rich_help_panel=NETWORK,
        ),
    ] = None
    weights: Annotated[
        str | None,
        typer.Option(
            help="Which weights of a checkpoint that holds both: raw (default) or ema (averaged over training steps).",
            rich_help_panel=NETWORK,
        ),
    ] = None
    input_size: Annotated[
        Any,
        _pixels("H,W", "Input height and width. Found in the configuration unless given; the next four options likewise."),
    ] = None
    mean: Annotated[Any, _channels("Mean of each channel, for values in [0, 1]; one number applies to all channels.")] = None
    std: Annotated[Any, _channels("Standard deviation of each channel.")] = None
    resize: Annotated[
        Any, _pixels("SIDE", "Resize the shorter side to this many pixels, then crop the center; H,W ignores the aspect ratio.")
    ] = None
    interpolation: Annotated[
        str | None, typer.Option(help="Interpolation of resizing: bilinear, bicubic, ...", rich_help_panel=NETWORK)
    ] = None

    @property
    def shows(self) -> bool:
        """Whether it says how images are shown to the network."""
        return bool({"input_size", "mean", "std", "resize", "interpolation"} & self.given().keys())

    def load(self, model: Any, checkpoint: Path | None = None, **others: Any) -> vs.Classifier:
        """Return a model as these options say; `others` count where they say nothing."""
        return vs.load_classifier(model, checkpoint, **{**others, **self.given()})

    def given(self) -> dict[str, Any]:
        """Return what is given, as parameters of :func:`visual_summaries.load_classifier`."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def loads_network(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :class:`Loading` instead of its parameter `loading`."""
    own = inspect.signature(command, eval_str=True).parameters
    options = inspect.signature(Loading, eval_str=True).parameters

    @functools.wraps(command)
    def loading(**values: Any) -> None:
        command(loading=Loading(**{name: values.pop(name) for name in options}), **values)

    parameters = [one for name, value in own.items() for one in (options.values() if name == "loading" else [value])]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    loading.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    loading.__annotations__ = {one.name: one.annotation for one in parameters}
    return loading
