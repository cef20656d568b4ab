"""Scenes: everything that an image is drawn from, as frozen data that can be changed one thing at a time.

A scene is sampled from a class and a seed. What is seen besides the planted parts (pose, background, objects, light, noise, and
which shared variant every part would have) depends on the seed alone, never on the class: two scenes of one seed and different
classes differ in planted parts only (and in the shortcut).

Examples
--------
>>> scene = sample_scene(0, seed=3)
>>> scene.variants["wing"], scene.without("wing").variants["wing"]
('bars', None)
>>> scene.with_variant("wing", "plain") == scene
False
>>> scene.with_variant("wing", "plain").pose == scene.pose
True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from visual_summaries._validate import require_choice, require_in_range
from visual_summaries.birds.world import CLASSES, PARTS, SHARED, STRAY_SHORTCUT_RATE, variant
from visual_summaries.errors import SettingsError

Color = tuple[float, float, float]

#: Smallest height or width of an image: below it, the parts cannot be separated.
SMALLEST_SIDE = 32


def _colors(codes: str) -> tuple[Color, ...]:
    """Return colors in [0, 1] of their hexadecimal codes."""
    return tuple((red / 255, green / 255, blue / 255) for red, green, blue in map(bytes.fromhex, codes.split()))


# Plumages: main, second, dark, pale and warm color. Every class draws from all of them.
_PLUMAGES = tuple(
    _colors(row)
    for row in (
        "2F6DA8 5FA8D3 16324F F3EBD3 E8922F",
        "B8402A E27B4F 4A1A14 F7E6C8 E9B23C",
        "3E7D4F 8DBB62 17362A F4EFCB E08A2C",
        "7A4E9E B48CC8 2D1B45 F3E9F2 E5A13B",
        "2A8C8C 74C7B8 0F3B42 F8F0DA E4763A",
        "C9932B E9C766 54350F FBF3DC C2552D",
        "A63A64 DB8297 42142B F9E9E3 EAA844",
        "5B6572 9DA9B3 22272E F2F1EC E39A36",
        "8A5A33 C2925E 38210F F6EAD2 DE8B3A",
        "3A4FA0 8792D6 171E48 F0EEF5 EDB640",
    )
)

# Backgrounds: upper, lower and detail color.
_BACKDROPS = tuple(
    _colors(row)
    for row in (
        "BCD9E8 A9C089 7E9B62",
        "93B08C 6E8B64 4F6C49",
        "E3D6BC C3AE87 A18A63",
        "CFE3EE E6EDF0 B4C9D4",
        "E9C9A4 B98F6C 936C4E",
        "8FA9B8 6F8A92 566F78",
        "D9CCDD A99BB5 83758F",
        "C9D8B0 A5A579 7D7C55",
    )
)

_OBJECT_COLORS = _colors("C4473A D98E3B 7FA05A 4F7F6A 8A6F9E B7A58C E2C15C F0E6D8 6B8FB0 A86A4A")


@dataclass(frozen=True)
class Pose:
    """Where the bird is and how it holds itself.

    Attributes
    ----------
    x, y : float
        Center of the body as a share of the image's width and height.
    length : float
        Length of the bird, tail to beak, as a share of the shorter side.
    angle : float
        Rotation in degrees, clockwise.
    flip : bool
        Whether the bird faces left.
    head, wing, tail, feet : float
        Rotation of the part about its joint, in degrees.
    """

    x: float
    y: float
    length: float
    angle: float
    flip: bool
    head: float
    wing: float
    tail: float
    feet: float


@dataclass(frozen=True)
class Plumage:
    """Base and accent color of every part; they depend on the seed, not on the class."""

    colors: Mapping[str, tuple[Color, Color]]
    texture_offset: tuple[float, float]


@dataclass(frozen=True)
class Thing:
    """An object beside the bird: a distractor, an occluder or the shortcut.

    Attributes
    ----------
    kind : str
        ``"leaf"``, ``"stone"``, ``"berries"``, ``"flower"``, ``"twig"``, ``"egg"`` or ``"mushroom"``.
    x, y : float
        Its center as a share of width and height.
    size : float
        Its length as a share of the shorter side.
    angle : float
        Rotation in degrees.
    """

    kind: str
    x: float
    y: float
    size: float
    angle: float
    base: Color
    accent: Color


@dataclass(frozen=True)
class Backdrop:
    """The background's colors and the place of its noise."""

    upper: Color
    lower: Color
    detail: Color
    horizon: float
    grain: float
    offset: tuple[float, float]


@dataclass(frozen=True)
class Light:
    """Direction (degrees), strength and color of the light, and the noise's standard deviation (in [0, 1])."""

    angle: float
    gain: float
    tint: Color
    slope: float
    noise: float
    noise_offset: tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """Everything that an image is drawn from.

    Attributes
    ----------
    class_index : int
        The class whose planted variants were put in.
    seed : int
        Seed that it was sampled from, and of the image's noise.
    size : tuple of int
        Height and width of the image.
    variants : mapping of str to (str or None)
        Variant of every part; None where the part is removed.
    pose, plumage, backdrop, light
        See the classes of these names.
    distractors, occluders : tuple of Thing
        Objects behind and in front of the bird.
    shortcut : Thing or None
        The shortcut object, where the image has it.
    """

    class_index: int
    seed: int
    size: tuple[int, int]
    variants: Mapping[str, str | None]
    pose: Pose
    plumage: Plumage
    backdrop: Backdrop
    light: Light
    distractors: tuple[Thing, ...]
    occluders: tuple[Thing, ...]
    shortcut: Thing | None

    def with_variant(self, part: str, name: str) -> Scene:
        """Return the scene with one part drawn as another variant, all else equal.

        Raises
        ------
        SettingsError
            If there is no such part or variant.
        """
        variant(part, name)
        return replace(self, variants={**self.variants, part: name})

    def without(self, part: str) -> Scene:
        """Return the scene with one part, or the object ``"shortcut"``, removed, all else equal."""
        if part == "shortcut":
            return replace(self, shortcut=None)
        require_choice("part", part, (*PARTS, "shortcut"))
        return replace(self, variants={**self.variants, part: None})

    def with_shortcut(self) -> Scene:
        """Return the scene with the shortcut object in it, all else equal."""
        return self if self.shortcut is not None else replace(self, shortcut=_sample_shortcut(self.seed, self.pose))


def _stream(seed: int, number: int) -> np.random.Generator:
    """Return one of a seed's independent streams, so that a change of one property moves no other."""
    return np.random.default_rng([seed, number])


def _jitter(rng: np.random.Generator, color: Color, amount: float) -> Color:
    red, green, blue = np.clip(np.asarray(color) + rng.uniform(-amount, amount, 3), 0, 1).tolist()
    return (red, green, blue)


def _sample_pose(rng: np.random.Generator) -> Pose:
    length = rng.uniform(0.7, 0.9)
    slack = 0.5 - 0.46 * length
    return Pose(
        x=0.5 + rng.uniform(-slack, slack),
        y=0.54 + rng.uniform(-slack, slack),
        length=length,
        angle=rng.normal(0, 9),
        flip=rng.random() < 0.5,
        head=rng.uniform(-18, 18),
        wing=rng.uniform(-22, 12),
        tail=rng.uniform(-18, 18),
        feet=rng.uniform(-14, 14),
    )


def _sample_plumage(rng: np.random.Generator) -> Plumage:
    palette = _PLUMAGES[rng.integers(len(_PLUMAGES))]
    main, second, dark, pale, warm = (_jitter(rng, color, 0.05) for color in palette)
    pairs = {
        "beak": (warm, dark),
        "eye": (warm, pale),
        "crest": (warm if rng.random() < 0.5 else main, pale if rng.random() < 0.5 else dark),
        "head": (main, pale if rng.random() < 0.5 else dark),
        "wing": (dark if rng.random() < 0.5 else main, pale),
        "belly": (pale, main) if rng.random() < 0.6 else (second, dark),
        "tail": (main if rng.random() < 0.5 else dark, pale),
        "feet": (warm, dark),
    }
    colors = {}
    for part, (first, other) in pairs.items():
        if part != "eye" and rng.random() < 0.35:
            first, other = other, first
        colors[part] = (_jitter(rng, first, 0.03), _jitter(rng, other, 0.03))
    return Plumage(colors, (rng.random(), rng.random()))


def _sample_backdrop(rng: np.random.Generator) -> Backdrop:
    upper, lower, detail = (_jitter(rng, color, 0.05) for color in _BACKDROPS[rng.integers(len(_BACKDROPS))])
    return Backdrop(upper, lower, detail, rng.uniform(0.45, 0.95), rng.uniform(0.5, 1.6), (rng.random(), rng.random()))


def _sample_light(rng: np.random.Generator) -> Light:
    warmth = rng.uniform(-0.06, 0.06)
    return Light(
        angle=rng.uniform(200, 340),
        gain=rng.uniform(0.82, 1.12),
        tint=(1 + warmth, 1.0, 1 - warmth),
        slope=rng.uniform(-0.15, 0.15),
        noise=rng.uniform(0.005, 0.03),
        noise_offset=(rng.random(), rng.random()),
    )


def _sample_distractors(rng: np.random.Generator) -> tuple[Thing, ...]:
    kinds = ("leaf", "stone", "berries", "flower", "twig", "egg")
    return tuple(
        Thing(
            kind=kinds[rng.integers(len(kinds))],
            x=rng.uniform(0, 1),
            y=rng.uniform(0, 1),
            size=rng.uniform(0.12, 0.26),
            angle=rng.uniform(0, 360),
            base=_jitter(rng, _OBJECT_COLORS[rng.integers(len(_OBJECT_COLORS))], 0.06),
            accent=_jitter(rng, _OBJECT_COLORS[rng.integers(len(_OBJECT_COLORS))], 0.06),
        )
        for _ in range(rng.integers(3, 8))
    )


def _sample_occluders(rng: np.random.Generator) -> tuple[Thing, ...]:
    number = int(rng.choice(4, p=(0.45, 0.3, 0.17, 0.08)))
    return tuple(
        Thing(
            kind="twig" if rng.random() < 0.35 else "leaf",
            x=rng.uniform(0.15, 0.85),
            y=rng.uniform(0.15, 0.9),
            size=rng.uniform(0.14, 0.24),
            angle=rng.uniform(0, 360),
            base=_jitter(rng, _OBJECT_COLORS[2 if rng.random() < 0.5 else 3], 0.08),
            accent=_jitter(rng, _OBJECT_COLORS[3], 0.06),
        )
        for _ in range(number)
    )


def _sample_shortcut(seed: int, pose: Pose) -> Thing:
    """Place the mushroom below the tail, where the bird leaves room."""
    rng = _stream(seed, 7)
    side = 1.0 if pose.flip else 0.0
    return Thing(
        kind="mushroom",
        x=abs(side - rng.uniform(0.12, 0.24)),
        y=rng.uniform(0.78, 0.88),
        size=rng.uniform(0.24, 0.32),
        angle=rng.normal(0, 8),
        base=_jitter(rng, _OBJECT_COLORS[0], 0.06),
        accent=_jitter(rng, _OBJECT_COLORS[7], 0.04),
    )


def sample_scene(class_index: int, seed: int, size: tuple[int, int] = (160, 160)) -> Scene:
    """Return the scene of a class and a seed.

    Parameters
    ----------
    class_index : int
        Index in ``CLASSES``.
    seed : int
        Non-negative; the same seed gives the same scene for ever, and the same pose, background, light and shared variants for
        every class.
    size : tuple of int
        Height and width in pixels, each at least 32.

    Raises
    ------
    SettingsError
        If there is no such class, or the size is too small.

    Examples
    --------
    >>> a, b = sample_scene(0, seed=5), sample_scene(1, seed=5)
    >>> a.pose == b.pose, a.backdrop == b.backdrop
    (True, True)
    >>> [part for part in a.variants if a.variants[part] != b.variants[part]]
    ['beak', 'crest', 'wing', 'tail', 'feet']
    """
    require_in_range("class_index", class_index, 0, len(CLASSES) - 1)
    require_in_range("seed", seed, 0)
    if min(size) < SMALLEST_SIDE:
        raise SettingsError(
            f"size is {size}, but height and width must be at least {SMALLEST_SIDE} pixels for the parts to be seen"
        )
    bird = CLASSES[class_index]
    rng = _stream(seed, 0)
    shared = {part: tuple(SHARED[part])[rng.integers(len(SHARED[part]))] for part in PARTS}
    stray = rng.random()
    pose = _sample_pose(_stream(seed, 1))
    return Scene(
        class_index=class_index,
        seed=seed,
        size=(int(size[0]), int(size[1])),
        variants={**shared, **bird.planted},
        pose=pose,
        plumage=_sample_plumage(_stream(seed, 2)),
        backdrop=_sample_backdrop(_stream(seed, 3)),
        light=_sample_light(_stream(seed, 4)),
        distractors=_sample_distractors(_stream(seed, 5)),
        occluders=_sample_occluders(_stream(seed, 6)),
        shortcut=_sample_shortcut(seed, pose) if stray < (bird.shortcut_rate or STRAY_SHORTCUT_RATE) else None,
    )
