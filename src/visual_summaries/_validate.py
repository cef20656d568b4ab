"""Small checks of parameters; each error names the parameter, the value given and what is accepted.

Examples
--------
>>> require_in_range("damping", 0.9, 0.5, 1.0)
>>> require_in_range("damping", 2, 0.5, 1.0)
Traceback (most recent call last):
...
visual_summaries.errors.SettingsError: damping is 2, but must lie in [0.5, 1.0]
"""

from __future__ import annotations

from visual_summaries.errors import SettingsError


def require_in_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise SettingsError unless ``low <= value <= high``."""
    if not low <= value <= high:
        accepted = f"at least {low}" if high == float("inf") else f"lie in [{low}, {high}]"
        verb = "must be" if high == float("inf") else "must"
        raise SettingsError(f"{name} is {value}, but {verb} {accepted}")


def require_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise SettingsError unless `value` is one of `choices`."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise SettingsError(f"{name} is {value!r}, but must be one of {listed}")
