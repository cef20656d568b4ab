"""Small checks of parameters and of what is installed; each error names the parameter, the value given and what is accepted.

Examples
--------
>>> require_in_range("damping", 0.9, 0.5, 1.0)
>>> require_in_range("damping", 2, 0.5, 1.0)
Traceback (most recent call last):
...
visual_summaries.errors.SettingsError: damping is 2, but must lie in [0.5, 1.0]
"""

from __future__ import annotations

from visual_summaries.errors import MissingExtraError, SettingsError


def require_in_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise SettingsError unless ``low <= value <= high``."""
    if not low <= value <= high:
        accepted = f"at least {low}" if high == float("inf") else f"lie in [{low}, {high}]"
        verb = "must be" if high == float("inf") else "must"
        raise SettingsError(f"{name} is {value}, but {verb} {accepted}")


def require_ranges(settings: object, **ranges: tuple[float, ...]) -> None:
    """Raise SettingsError unless each attribute named lies between its lowest value and its highest, if given, or is None."""
    for name, bounds in ranges.items():
        value = getattr(settings, name)
        if value is not None:
            require_in_range(name, value, *bounds)


def require_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise SettingsError unless `value` is one of `choices`."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise SettingsError(f"{name} is {value!r}, but must be one of {listed}")


def require_settings(value: object, kind: type) -> None:
    """Raise SettingsError unless `value` is of a class of settings, or None.

    Examples
    --------
    >>> from visual_summaries.settings import Settings
    >>> require_settings({"parts": 3}, Settings)
    Traceback (most recent call last):
    ...
    visual_summaries.errors.SettingsError: settings is a dict ({'parts': 3}), but must be Settings: make it ...
    """
    if value is not None and not isinstance(value, kind):
        shown = f"{value!r:.60}" + ("..." if len(repr(value)) > 60 else "")
        name = kind.__name__
        whole = ", preset('quick') or, of what to_dict() gave, Settings.from_dict(...)" if name == "Settings" else ""
        raise SettingsError(
            f"settings is a {type(value).__name__} ({shown}), but must be {name}: make it by {name}(...){whole}; "
            f"a preset is given by its name as preset=..., one value is changed by dataclasses.replace"
        )


def require_contrib() -> None:
    """Raise MissingExtraError unless OpenCV has contrib's modules: another distribution may have been installed over it."""
    import cv2  # settings are made without it

    if not hasattr(getattr(cv2, "ximgproc", None), "createFastGlobalSmootherFilter"):  # stubs may be left without the functions
        raise MissingExtraError(
            "OpenCV here lacks its contrib modules (cv2.ximgproc): another OpenCV package was installed over "
            "opencv-contrib-python-headless, or in its place; install it last: "
            "pip install --force-reinstall --no-deps opencv-contrib-python-headless"
        )
