"""Typed exceptions of the package.

Library code raises these; only the command line turns them into messages and exit codes. Every message says what was given,
what was expected, and what to do about it.

Examples
--------
>>> from visual_summaries.errors import TargetError, VisualSummariesError
>>> issubclass(TargetError, VisualSummariesError)
True
"""

from __future__ import annotations


class VisualSummariesError(Exception):
    """Base of every error that this package raises on purpose.

    ``exit_code`` is what the command line exits with (documented in its help).
    """

    exit_code = 1


class SettingsError(VisualSummariesError, ValueError):
    """A parameter has a value that the method cannot work with."""

    exit_code = 2


class ClassifierError(VisualSummariesError):
    """A model specification, checkpoint or network cannot be used."""

    exit_code = 3


class MissingExtraError(VisualSummariesError, ImportError):
    """An optional dependency, or a part of one, is needed and not installed."""

    exit_code = 3


class TargetError(VisualSummariesError, ValueError):
    """The class requested is not one of the network's, or no image is classified as it."""

    exit_code = 4


class ImageError(VisualSummariesError, ValueError):
    """One image cannot be used: corrupt, truncated, too small, too large, or no image at all.

    Attributes
    ----------
    reason : str
        A short machine-readable word: ``"unreadable"``, ``"truncated"``, ``"too-small"``, ``"too-large"``,
        ``"too-elongated"``, ``"no-image"`` (a file of another kind), ``"raw"`` (a camera's own format), ``"missing-extra"``
        (a library that would open it is not installed); ``"no-map"``, ``"unusable-map"`` (evidence was given, but none for it).
    """

    exit_code = 5

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class NoImagesError(VisualSummariesError, ValueError):
    """Nothing usable was found where images were expected, or fewer than the method needs."""

    exit_code = 5


class RunError(VisualSummariesError):
    """A run directory is in the way, incomplete, or not one of ours."""

    exit_code = 6


class OutOfMemoryError(VisualSummariesError, MemoryError):
    """Memory ran out, even with one image at a time."""

    exit_code = 8


class ConvergenceError(VisualSummariesError, RuntimeError):
    """An iterative method ended without converging."""

    exit_code = 7


class EngineError(VisualSummariesError):
    """Where the work should be done cannot be reached, or went away."""

    exit_code = 9


class StudyError(VisualSummariesError, ValueError):
    """A user study cannot be made of these runs, or its key cannot be found or does not belong to it."""

    exit_code = 11


class AnswersError(StudyError):
    """Answer files are damaged, incomplete, of another study, or twice the same.

    Attributes
    ----------
    files : dict of str to str
        What is wrong with each of them, by its name.
    """

    def __init__(self, message: str, files: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.files = files or {}
