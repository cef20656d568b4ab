"""Drawing a scene: the image, and for every pixel the part that it shows.

Parts are polygons, drawn at four times the resolution and averaged (anti-aliasing), textured in their own coordinates, shaded
as if they were rounded, and outlined. Everything is a function of the scene alone.

Examples
--------
>>> from visual_summaries.birds.scene import sample_scene
>>> drawn = render(sample_scene(0, seed=1, size=(96, 128)))
>>> drawn.image.shape, drawn.image.dtype, drawn.labels.shape
((96, 128, 3), dtype('uint8'), (96, 128))
>>> drawn.variants["wing"], bool(drawn.part("wing").any())
('bars', True)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visual_summaries.birds.canvas import Canvas, Matrix, Plane, placement, rotation
from visual_summaries.birds.outlines import FRAMES, HEAD, NECK, OUTLINES, THINGS
from visual_summaries.birds.scene import Scene, Thing
from visual_summaries.birds.textures import disc, grain, noise, texture
from visual_summaries.birds.world import DISTRACTOR, LABELS, OCCLUDER, SHORTCUT, variant
from visual_summaries.results import Result

# from back to front
_ORDER = ("tail", "feet", "crest", "belly", "beak", "head", "eye", "wing")
_SHADOW = {"head": 0.35, "wing": 0.4, "belly": 0.2, "eye": 0.15}


@dataclass(frozen=True, eq=False, repr=False)
class Rendering(Result):
    """A drawn scene.

    Attributes
    ----------
    image : ndarray of uint8, (H, W, 3)
    labels : ndarray of uint8, (H, W)
        What each pixel shows: an index into ``LABELS`` (0 background, 1 to 8 the parts, then shortcut, distractor, occluder).
    variants : dict of str to (str or None)
        Variant of every part; None where it was removed.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    variants: dict[str, str | None]

    def part(self, name: str) -> NDArray[np.bool_]:
        """Return the mask (H, W) of the pixels that show a part or one of the other ``LABELS``."""
        shown: NDArray[np.bool_] = self.labels == LABELS.index(name)
        return shown


def render(scene: Scene) -> Rendering:
    """Draw a scene.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    Rendering
        The same for the same scene, to the bit.
    """
    canvas = Canvas(scene.size, scene.light.angle)
    canvas.image[:] = _backdrop(scene)
    for thing in scene.distractors:
        _draw_thing(canvas, thing, DISTRACTOR)
    if scene.shortcut is not None:
        _draw_thing(canvas, scene.shortcut, SHORTCUT)
    canvas.soften_background()
    for part, matrix in _part_matrices(scene).items():
        _draw_part(canvas, scene, part, matrix)
    for thing in scene.occluders:
        _draw_thing(canvas, thing, OCCLUDER)
    return Rendering(_expose(canvas.image, scene), canvas.labels, dict(scene.variants))


def _part_matrices(scene: Scene) -> dict[str, Matrix]:
    """Return for each part, back to front, the affine map from its frame to pixels."""
    pose, (height, width) = scene.pose, scene.size
    bird = placement(pose.x * width, pose.y * height, pose.length * min(height, width), pose.angle, pose.flip)
    head = bird @ rotation(pose.head, NECK) @ placement(*HEAD)
    turned = {"wing": pose.wing, "tail": pose.tail, "feet": pose.feet}
    matrices = {}
    for part in _ORDER:
        frame = FRAMES[part]
        local = placement(*frame.origin, angle=frame.angle + turned.get(part, 0.0))
        matrices[part] = (head if frame.on_head else bird) @ local
    return matrices


def _draw_part(canvas: Canvas, scene: Scene, part: str, matrix: Matrix) -> None:
    name = scene.variants[part]
    if name is None:
        return
    chosen = variant(part, name)
    polygons = OUTLINES[part][chosen.outline]
    scale = scene.pose.length * min(scene.size)
    patch = canvas.patch(polygons, matrix, line=max(0.9, 0.011 * scale))
    if patch is None:
        return
    pixel = 1 / scale
    base, accent = np.asarray(scene.plumage.colors[part], np.float32)
    u, v = patch.u, patch.v
    if part == "eye":
        color = _eye(chosen.texture, u, v, pixel, base)
    else:
        length = max(float(polygon[:, 0].max()) for polygon in polygons)
        share = texture(chosen.texture, u, v, chosen.period, pixel, scene.plumage.texture_offset, length)[..., None]
        color = base + share * (accent - base)
        color *= (0.9 + 0.2 * noise(u, v, 0.3, scene.plumage.texture_offset))[..., None]
    canvas.paint(
        patch,
        color,
        label=LABELS.index(part),
        line_color=np.float32(0.3) * np.minimum(base, accent),
        relief=0.05 * scale,
        shadow=_SHADOW.get(part, 0.0),
    )


def _eye(kind: str, u: Plane, v: Plane, pixel: float, iris: Plane) -> Plane:
    """Return the eye's colors: white, iris, pupil and a highlight."""
    white, black = np.array([0.97, 0.96, 0.92], np.float32), np.array([0.05, 0.04, 0.06], np.float32)
    eyes = {"iris": (iris, 0.0, 0.024), "iris-ring": (white, 0.031, 0.02), "iris-dark": (black, 0.0, 0.03)}
    outer, radius, pupil = eyes[kind]
    color: Plane = np.tile(outer, (*u.shape, 1))
    for cu, cv, size, paint in ((0, 0, radius, iris), (0.004, 0, pupil, black), (0.012, -0.012, 0.009, white)):
        distance = np.sqrt((u - np.float32(cu)) ** 2 + (v - np.float32(cv)) ** 2)
        color = color + disc(distance, size, 1.2 * pixel)[..., None] * (paint - color)
    return color


def _draw_thing(canvas: Canvas, thing: Thing, label: int) -> None:
    height, width = canvas.labels.shape
    scale = thing.size * min(height, width)
    matrix = placement(thing.x * width, thing.y * height, scale, thing.angle)
    base, accent = np.asarray(thing.base, np.float32), np.asarray(thing.accent, np.float32)
    for number, layer in enumerate(THINGS[thing.kind]):
        patch = canvas.patch(layer, matrix, line=max(0.7, 0.02 * scale))
        if patch is None:
            continue
        share = np.clip(_accent(thing.kind, number, patch.u, patch.v, 1 / scale), 0, 1)[..., None]
        color = (base + share * (accent - base)) * (0.88 + 0.24 * noise(patch.u, patch.v, 1.5, (thing.x, thing.y)))[..., None]
        canvas.paint(patch, color, label=label, line_color=0.4 * base, relief=0.1 * scale)


def _accent(kind: str, layer: int, u: Plane, v: Plane, pixel: float) -> Plane:
    """Return the share of the accent color of a layer of an object, to be clipped to [0, 1]."""
    if kind == "flower":
        return np.full_like(u, float(layer))
    if kind == "egg":
        return 0.7 * texture("spots", u, v, 0.2, pixel, (0.0, 0.0))
    if kind == "mushroom":
        return np.ones_like(u) if layer == 0 else texture("spots", u + np.float32(0.1), v, 0.26, pixel, (0.0, 0.0))
    if kind == "leaf":
        across = np.abs(v)
        side_veins = np.maximum(1 - np.abs(((u + 1.0 - 0.9 * across) % 0.2) - 0.1) / 0.025, 0)
        return np.asarray(0.6 * (np.maximum(1 - across / 0.03, 0) + side_veins * 0.5), np.float32)
    return noise(u, v, 2.0, (0.3, 0.7)) - np.float32(0.4)


def _backdrop(scene: Scene) -> Plane:
    """Return the background (H, W, 3): two tones that meet at a ragged horizon, with blotches and grain."""
    height, width = scene.size
    look, side = scene.backdrop, min(height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(side)
    upper, lower, detail = (np.asarray(color, np.float32) for color in (look.upper, look.lower, look.detail))
    coarse = noise(x, y, 2.2 * look.grain, look.offset)
    fine = noise(x, y * 0.45, 0.4 * look.grain, look.offset)
    depth = y * np.float32(side / height) - np.float32(look.horizon) + 0.25 * (coarse - 0.5)
    below = np.clip(0.5 + depth / 0.05, 0, 1)[..., None]
    image: Plane = upper + below * (lower - upper)
    image += (0.75 * np.clip(1.6 * coarse - 0.5, 0, 1) * (0.4 + 0.6 * fine))[..., None] * (detail - image)
    image *= (0.9 + 0.2 * fine)[..., None]
    return image


def _expose(image: Plane, scene: Scene) -> NDArray[np.uint8]:
    """Apply light and sensor noise, both the same whatever the bird's parts are."""
    height, width = scene.size
    light = scene.light
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    gain = np.float32(light.gain) * (1 + np.float32(light.slope) * across) * (1 - np.float32(0.25) * (across**2 + down**2))
    lit = image * (255 * gain[..., None] * np.asarray(light.tint, np.float32))
    lit += np.float32(255 * light.noise) * grain(scene.size, light.noise_offset)
    exposed: NDArray[np.uint8] = np.clip(lit + 0.5, 0, 255, out=lit).astype(np.uint8)
    return exposed
