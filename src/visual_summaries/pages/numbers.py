"""How many parts there are, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from visual_summaries.pages.words import counted, percent
from visual_summaries.results import Parts, Run


def number_of_parts(run: Run) -> dict[str, Any] | None:
    """Return which numbers of parts were tried, which one was taken and why, and which summaries would merge first.

    Returns
    -------
    dict or None
        ``count``, ``sentence``, ``became``; ``rows``: of each number that was tried count, explained, stability, reproducible
        parts, and whether it was taken; ``merges``: in words. None for a run that is not divided.
    """
    parts, wanted = run.parts, run.settings.parts
    if parts is None:
        return None
    if wanted is not None and wanted.count is not None:
        why = f"{counted(parts.count, 'part')}, as asked for."
    elif wanted is None or not parts.numbers:
        why = f"{counted(parts.count, 'part')}."
    else:
        why = (
            f"{counted(parts.count, 'part')}: the largest number whose parts come back when the images are resampled (mean"
            f" stability {percent(wanted.stable)} or more, four fifths of the parts reproducible). Once the parts"
            f" explain {percent(wanted.explained)} of the variation of the evidence’s features, only splits that explain much"
            f" of the rest go on; at most {wanted.most}."
        )
    few = parts.count - len(run.summaries) - len(run.rejected)
    became = [f"{counted(len(run.summaries), 'is a summary', 'are summaries')}"]
    if run.rejected:
        became.append(counted(len(run.rejected), "hardly beats its control", "hardly beat their control"))
    if few > 0:
        became.append(counted(few, "is in too few images", "are in too few images"))
    return {
        "count": parts.count,
        "sentence": why,
        "became": ", ".join(became) + ".",
        "rows": [
            (one.count, percent(one.explained), percent(one.stability), round(one.reproducible * one.count), one.chosen)
            for one in parts.numbers
        ],
        "merges": merges(parts, [summary.part for summary in run.summaries]),
    }


def merges(parts: Parts, part_of: Sequence[int | None]) -> list[str]:
    """Return, for each coarser number of groups, which summaries would be joined: "1 and 3 with 2".

    Parts that became no summary are left out.

    Parameters
    ----------
    parts : Parts
    part_of : sequence of int
        Part of each summary.
    """
    groups = {part: [k + 1 for k, own in enumerate(part_of) if own == part] for part in range(parts.count)}
    found = []
    for step, (a, b) in enumerate(parts.tree[:, :2].astype(int).tolist()):
        first, second = sorted((groups[a], groups[b]))
        groups[parts.count + step] = sorted(first + second)
        if first and second:
            found.append(f"{_listed(first)} with {_listed(second)}")
    return found


def _listed(numbers: list[int]) -> str:
    plain = [str(number) for number in numbers]
    return plain[0] if len(plain) == 1 else f"{', '.join(plain[:-1])} and {plain[-1]}"
