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

from visual_summaries.birds.canvas import Canvas, Matrix, compose, placement, rotation
from visual_summaries.birds.outlines import FRAMES, HEAD, NECK, outline
from visual_summaries.birds.scene import Scene
from visual_summaries.birds.textures import grain, noise, texture
from visual_summaries.birds.things import draw_thing
from visual_summaries.birds.world import DISTRACTOR, LABELS, OCCLUDER, PARTS, SHORTCUT, variant
from visual_summaries.results import Result

# from back to front
_ORDER = ("tail", "feet", "crest", "belly", "beak", "head", "eye", "wing")
_SHADOW = {"head": 0.35, "wing": 0.4, "belly": 0.2, "eye": 0.15}


@dataclass(frozen=True, eq=False)
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
        draw_thing(canvas, thing, DISTRACTOR)
    if scene.shortcut is not None:
        draw_thing(canvas, scene.shortcut, SHORTCUT)
    canvas.soften_background()
    for part, matrix in part_matrices(scene).items():
        _draw_part(canvas, scene, part, matrix)
    for thing in scene.occluders:
        draw_thing(canvas, thing, OCCLUDER)
    return Rendering(_expose(canvas.image, scene), canvas.labels, scene.variants)


def part_matrices(scene: Scene) -> dict[str, Matrix]:
    """Return for each part that is there, back to front, the affine map (2, 3) from its frame to pixels."""
    pose, (height, width) = scene.pose, scene.size
    bird = placement(pose.x * width, pose.y * height, pose.length * min(height, width), pose.angle, pose.flip)
    head = compose(bird, rotation(pose.head, NECK), placement(*HEAD, 1.0, 0.0, False))
    turned = {"wing": pose.wing, "tail": pose.tail, "feet": pose.feet}
    matrices = {}
    for part in _ORDER:
        if scene.variants[part] is None:
            continue
        frame = FRAMES[part]
        local = placement(*frame.origin, 1.0, frame.angle + turned.get(part, 0.0), False)
        matrices[part] = compose(head if frame.on_head else bird, local)
    return matrices


def _draw_part(canvas: Canvas, scene: Scene, part: str, matrix: Matrix) -> None:
    name = scene.variants[part]
    if name is None:
        return
    chosen, where = variant(part, name), PARTS.index(part)
    polygons = outline(part, chosen.outline)
    scale = scene.pose.length * min(scene.size)
    patch = canvas.patch(polygons, matrix, line=max(0.9, 0.011 * scale))
    if patch is None:
        return
    pixel = 1 / scale
    base, accent = (np.asarray(colors[where], np.float32) for colors in (scene.plumage.base, scene.plumage.accent))
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
        label=where + 1,
        line_color=np.float32(0.3) * np.minimum(base, accent),
        relief=0.05 * scale,
        shadow=_SHADOW.get(part, 0.0),
    )


def _eye(
    kind: str, u: NDArray[np.float32], v: NDArray[np.float32], pixel: float, iris: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the eye's colors: white, iris, pupil and a highlight."""

    def disc(cu: float, cv: float, radius: float) -> NDArray[np.float32]:
        distance = np.sqrt((u - np.float32(cu)) ** 2 + (v - np.float32(cv)) ** 2)
        coverage: NDArray[np.float32] = np.clip(0.5 + (np.float32(radius) - distance) / np.float32(1.2 * pixel), 0, 1)[
            ..., None
        ]
        return coverage

    white, black = np.array([0.97, 0.96, 0.92], np.float32), np.array([0.05, 0.04, 0.06], np.float32)
    eyes = {"iris": (iris, 0.0, 0.024), "iris-ring": (white, 0.031, 0.02), "iris-dark": (black, 0.0, 0.03)}
    outer, radius, pupil = eyes[kind]
    color: NDArray[np.float32] = np.tile(outer, (*u.shape, 1))
    for shape, paint in ((disc(0, 0, radius), iris), (disc(0.004, 0, pupil), black), (disc(0.012, -0.012, 0.009), white)):
        color = color + shape * (paint - color)
    return color


def _backdrop(scene: Scene) -> NDArray[np.float32]:
    """Return the background (H, W, 3): two tones that meet at a ragged horizon, with blotches and grain."""
    height, width = scene.size
    look, side = scene.backdrop, min(height, width)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(side)
    upper, lower, detail = (np.asarray(color, np.float32) for color in (look.upper, look.lower, look.detail))
    coarse = noise(x, y, 2.2 * look.grain, look.offset)
    fine = noise(x, y * 0.45, 0.4 * look.grain, look.offset)
    depth = y * np.float32(side / height) - np.float32(look.horizon) + 0.25 * (coarse - 0.5)
    below = np.clip(0.5 + depth / 0.05, 0, 1)[..., None]
    image: NDArray[np.float32] = upper + below * (lower - upper)
    image += (0.75 * np.clip(1.6 * coarse - 0.5, 0, 1) * (0.4 + 0.6 * fine))[..., None] * (detail - image)
    image *= (0.9 + 0.2 * fine)[..., None]
    return image


def _expose(image: NDArray[np.float32], scene: Scene) -> NDArray[np.uint8]:
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
