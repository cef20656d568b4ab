"""The verdict on a finished run: what the network relies on, how firmly, and what looks like a shortcut.

It is made of the run's figures alone, so that page, terminal, catalog and continuous integration cannot differ. Thresholds
were set on the half "choose" of ``benchmarks/shortcuts``, but for those that docs/shortcuts.md names; its figures are of the
other half.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from visual_summaries.results import Change, Cue, Place, Reliance, Run, Summary, Suspicion, Verdict

#: Random masks may make groups as similar in at most this share of cases.
CHANCE = 0.05
#: A summary is suspicious when it takes at least this share of the score above its control; beside the object by the whole
#: interval, unless images of other classes confirm it.
LEAST_EFFECT = 0.05
#: And lies there in at least this share of resampled sets of images.
SURE = 0.8
#: The class's images differ from others in a property of the whole when its change tells so many pairs of them apart.
APART = 0.9
#: That is suspicious when the network uses it, by an interval above 0. What the class's images have already, a change alters
#: less in them: such a change adds at least so much to the class's score in images of other classes. What they have more of, it
#: alters more: it takes at least so much more from the class than from others. (Clean classes depend on color and sharpness,
#: too.) It is confirmed when the whole interval of the gain is as large.
LEAST_GAIN, LEAST_LOSS = 0.05, 0.1
#: Likewise a summary beside the object is confirmed when it adds at least so much to images of other classes.
LEAST_CUE = 0.01

#: Changes that alter an image more, the more it has of what they add.
_MORE = ("sharpen", "brighter")

SUSPICIOUS = ("beside", "fixed place", "border")


def judge(run: Run) -> Verdict:
    """Return the verdict on a run.

    Parameters
    ----------
    run : Run
        Any run. What was not measured makes the verdict weaker and is named in ``untested``.

    Returns
    -------
    Verdict
        Its summaries are *strong* when they beat their control, are reproducible, and random masks make no groups as similar
        (p at most .05). A suspicion is a summary that the network relies on and that lies beside the object, at a fixed
        place or along the border; or a property of the whole image that the class's images have, others have not, and the
        network uses. It is *confirmed* when it lies at a fixed place or along the border, or when images of other classes that
        were given look more like the class with it.
    """
    analysis = run.analysis
    chance = None if analysis is None else analysis.chance
    relies_on = tuple(_reliance(one, None if chance is None else chance.p_value) for one in run.summaries)
    strengths = {one.strength for one in relies_on}
    together = None if analysis is None else analysis.together
    return Verdict(
        reliable=next((strength for strength in ("strong", "weak") if strength in strengths), "nothing"),
        relies_on=relies_on,
        unexplained=float("nan") if together is None else min(max(1 - together.taken, 0.0), 1.0),
        suspicions=tuple(sorted(_suspicions(run, relies_on), key=lambda one: (not one.confirmed, -one.effect))),
        untested=tuple(_untested(run)),
    )


def _reliance(summary: Summary, p_value: float | None) -> Reliance:
    found = summary.analysis
    if found is None:
        return Reliance(summary.index, "none", float("nan"), (float("nan"), float("nan")))
    low, high = found.interval
    firm = found.reproducible and p_value is not None and p_value <= CHANCE
    strength = "none" if not found.beats_control else "strong" if firm else "weak"
    return Reliance(summary.index, strength, found.class_effect, (low * found.coverage, high * found.coverage))


def _suspicions(run: Run, relies_on: tuple[Reliance, ...]) -> Iterator[Suspicion]:
    analysis = run.analysis
    if analysis is None:
        return
    seen = set()
    for place, reliance in zip(analysis.places, relies_on, strict=False):
        cue = analysis.cues[reliance.summary] if analysis.cues else None
        if reliance.strength != "none" and place.kind in SUSPICIOUS and place.sure >= SURE:
            suspicion = _of_summary(place, reliance, cue)
            if reliance.effect >= LEAST_EFFECT and (suspicion.confirmed or reliance.interval[0] >= LEAST_EFFECT):
                seen.add(place.kind)
                yield suspicion
    # A border that is a summary is named once.
    changes = [found for one in analysis.changes if one.name not in seen and (found := _of_change(one)) is not None]
    # What changes one property alters others a little: only the one that does most is named.
    yield from sorted(changes, key=lambda one: (-one.confirmed, -one.effect))[:1]


def _of_summary(place: Place, reliance: Reliance, cue: Cue | None) -> Suspicion:
    others = cue if cue is not None and cue.ground == "others" else None
    adds = others is not None and others.above_control >= LEAST_CUE and others.interval[0] > 0
    unknown = float("nan")
    return Suspicion(
        place.kind,
        reliance.effect,
        reliance.interval,
        # No part of an object stays at one place of the picture, whatever the object does: that needs no other images.
        confirmed=place.kind != "beside" or adds,
        summary=reliance.summary,
        share=1 - place.share_on_object,
        fired=unknown if others is None else others.fired,
        fired_before=unknown if others is None else others.fired_before,
    )


def _of_change(change: Change) -> Suspicion | None:
    """Return the suspicion that a change gives: images of the class differ from others in it, and it is used."""
    less, more = change.apart <= 1 - APART, change.apart >= APART  # neither where it is not known
    if change.name == "tone":  # which is compared itself
        less = more = less or more
    low = change.gain_interval[0]
    # The border that other images are given is that of the class's images: that they have it needs no other sign. Nor is there
    # one that it is unusual: so the whole interval counts.
    if change.name == "border":
        fires = low >= LEAST_GAIN
    else:
        fires = (more if change.name in _MORE else less) and change.gain >= LEAST_GAIN and low > 0
    moves = more and change.loss - change.other_loss >= LEAST_LOSS and change.interval[0] > 0
    if not fires and not moves:
        return None
    effect, interval = (change.gain, change.gain_interval) if fires else (change.loss - change.other_loss, change.interval)
    sure = fires and low >= LEAST_GAIN
    return Suspicion("change", effect, interval, sure, change=change.name, fired=change.fired, fired_before=change.fired_before)


def _untested(run: Run) -> Iterator[str]:
    analysis = run.analysis
    if analysis is None or not any(cue.ground == "others" for cue in analysis.cues):
        yield "others"
    if analysis is None or any(place.object == "estimated" for place in analysis.places) or not analysis.places:
        yield "object"
    measured = [one.analysis for one in run.summaries if one.analysis is not None]
    if any(math.isnan(one.stability) for one in measured):
        yield "stability"
    if analysis is None or analysis.chance is None:
        yield "chance"
