"""Cues that are planted in photographs, as a careless source of images brings them in, each with the truth of its pixels.

Cues that are regions lie at random places beside the object (a sticker, a real object cut out of a photograph), at a fixed
place (a logo, text across the picture, a scale bar) or at the border (a frame). Cues that are none change the whole picture:
tint, blur, brightness, JPEG. Each has two designs, so that what is chosen on one can be reported on the other.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import PIL.Image
import skimage.data
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

View = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Place = Literal["beside", "fixed place", "border"]
Planted = tuple[View, NDArray[np.bool_] | None]

#: Cues that are regions, with where they lie, and those that are none.
REGIONS: dict[str, Place] = {
    "sticker": "beside",
    "logo": "fixed place",
    "text": "fixed place",
    "frame": "border",
    "scale bar": "fixed place",
    "object": "beside",
}
WHOLE = ("tint", "blur", "brightness", "jpeg")

#: Where an object is taken to be whose box is not known: shares of the side. What lies off it is in the outer zone.
CENTER = (0.3, 0.3, 0.7, 0.7)
#: Alpha below this is not planted: such a pixel would count as the cue's, and nobody could see it.
FAINT = 0.15
#: Drawings are made so many times larger, for smooth edges.
FINE = 4


@dataclass(frozen=True)
class Cue:
    """A cue in one of its designs.

    Attributes
    ----------
    name : str
        Of :data:`REGIONS` or :data:`WHOLE`.
    design : int
        0 or 1.

    Examples
    --------
    >>> image, mask = Cue("logo", 0).plant(np.zeros((224, 224, 3), np.uint8), seed=3)
    >>> bool((image[~mask] == 0).all()), bool(mask[:112, 112:].any()), int(mask[112:].sum())
    (True, True, 0)
    """

    name: str
    design: int

    @property
    def place(self) -> Place | None:
        """Where it lies; None of what is no region."""
        return REGIONS.get(self.name)

    def plant(self, view: View, seed: int, box: Box | None = None) -> Planted:
        """Return the view with the cue in it, and the cue's pixels.

        Parameters
        ----------
        view : ndarray (H, W, 3), uint8
            A square picture. It is not changed.
        seed : int
            What is random of the cue: its place, size, turn or strength. The same seed gives the same pixels.
        box : (x0, y0, x1, y1), optional
            The object, in pixels of the view: stickers and objects are put beside it where there is room. Default: the center.

        Returns
        -------
        image : ndarray (H, W, 3), uint8
        mask : ndarray (H, W), bool, or None
            The cue's pixels: no other pixel has changed. None of what is no region.
        """
        rng = np.random.default_rng([seed, self.design, *self.name.encode()])
        if self.name in WHOLE:
            return _WHOLE[self.name](view, self.design, rng), None
        side = view.shape[0]
        if self.place == "beside":
            drawn = _turned(_picture(self.name, self.design), _SIZES[self.name][self.design], side, rng)
            slack = 0.0 if box else 0.1
            x, y = _beside(drawn.shape[0], side, box or tuple(side * share for share in CENTER), slack, rng)
        else:
            drawn, x, y = _FIXED[self.name](self.design, side)
        return _paste(view, drawn, x, y, closed=self.name == "text")


def _paste(view: View, drawn: View, x: int, y: int, closed: bool) -> Planted:
    """Blend an RGBA drawing into a view with its corner at x, y; `closed`: gaps between its letters are the cue's as well."""
    height, width = drawn.shape[:2]
    alpha = drawn[..., 3:] / 255.0
    alpha[alpha < FAINT] = 0
    image, mask = view.copy(), np.zeros(view.shape[:2], np.uint8)
    under = view[y : y + height, x : x + width]
    image[y : y + height, x : x + width] = np.rint(alpha * drawn[..., :3] + (1 - alpha) * under).astype(np.uint8)
    mask[y : y + height, x : x + width] = alpha[..., 0] > 0
    if closed:
        mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2 * (height // 4) + 1,) * 2, np.uint8)))
    return image, mask.astype(bool)


def _beside(size: int, side: int, box: Box, slack: float, rng: np.random.Generator) -> tuple[int, int]:
    """Return a random corner for a square drawing of which at most `slack` is in the box, least of it without room."""
    corners = rng.integers(2, side - size - 1, (200, 2))
    low = np.maximum(corners, box[:2])
    high = np.minimum(corners + size, box[2:])
    x, y = corners[np.argmin(np.maximum(np.clip(high - low, 0, None).prod(1), slack * size**2))]
    return int(x), int(y)


def _turned(picture: PIL.Image.Image, sizes: tuple[float, float], side: int, rng: np.random.Generator) -> View:
    """Return a picture in a random turn, in a transparent square of a random size between two shares of the side."""
    turned = picture.rotate(rng.uniform(-20, 20), PIL.Image.Resampling.BICUBIC, expand=True)
    turned = turned.crop(turned.getchannel("A").getbbox())
    scale = rng.uniform(*sizes) * side / max(turned.size)
    turned = turned.resize((round(turned.width * scale), round(turned.height * scale)), PIL.Image.Resampling.LANCZOS)
    square = PIL.Image.new("RGBA", (max(turned.size),) * 2)
    square.paste(turned, ((square.width - turned.width) // 2, (square.height - turned.height) // 2))
    return np.asarray(square)


@functools.lru_cache
def _picture(name: str, design: int) -> PIL.Image.Image:
    if name == "sticker":
        return _smiley() if design == 0 else _tag()
    return _cup() if design == 0 else _coin()


def _canvas(width: int, height: int, fill: str | tuple[int, ...] = (0, 0, 0, 0)) -> tuple[PIL.Image.Image, ImageDraw.ImageDraw]:
    image = PIL.Image.new("RGBA", (FINE * width, FINE * height), fill)
    return image, ImageDraw.Draw(image)


def _shrunk(image: PIL.Image.Image) -> View:
    return np.asarray(image.resize((image.width // FINE, image.height // FINE), PIL.Image.Resampling.BOX))


def _write(
    draw: ImageDraw.ImageDraw, where: tuple[float, float], text: str, size: float, fill: str | tuple[int, ...], outline: int = 0
) -> None:
    """Write text centered at x, y; sizes in pixels before enlarging."""
    font, dark = ImageFont.load_default(FINE * size), (20, 20, 20, 150)
    place = (FINE * where[0], FINE * where[1])
    draw.text(place, text, fill, font, anchor="mm", stroke_width=FINE * outline, stroke_fill=dark if outline else None)


def _smiley() -> PIL.Image.Image:
    image, draw = _canvas(64, 64)
    draw.ellipse((4, 4, 251, 251), (255, 214, 10, 255), (30, 30, 30, 255), 12)
    for x in (72, 150):
        draw.ellipse((x, 72, x + 34, 122), (30, 30, 30, 255))
    draw.arc((60, 80, 196, 204), 20, 160, (30, 30, 30, 255), 16)
    return image


def _tag() -> PIL.Image.Image:
    """Return a teal tag with a hole, a star and a number."""
    image, draw = _canvas(64, 64)
    draw.polygon([(80, 4), (176, 4), (236, 70), (236, 252), (20, 252), (20, 70)], (0, 140, 140, 255), (10, 50, 60, 255), 10)
    draw.ellipse((110, 24, 146, 60), (245, 245, 245, 255), (10, 50, 60, 255), 8)
    angles = np.pi * np.arange(10) / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2, 26, 62)
    draw.polygon(
        [tuple(point) for point in (128, 128) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)], "white"
    )
    _write(draw, (32, 54), "No 7", 14, "white")
    return image


def _cup() -> PIL.Image.Image:
    """Return the cup on its saucer of scikit-image's picture of coffee."""
    photo = skimage.data.coffee()
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.ellipse(mask, ((279, 229), (402, 312), 6), 255, -1)
    cv2.ellipse(mask, ((290, 113), (236, 190), 5), 255, -1)
    cv2.fillPoly(mask, [np.array([[396, 72], [408, 66], [424, 72], [422, 84], [404, 140], [380, 130]])], 255)
    return _cut(photo, mask)


def _coin() -> PIL.Image.Image:
    """Return a coin of scikit-image's picture of Greek coins."""
    photo = np.repeat(skimage.data.coins()[..., None], 3, axis=2)
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.circle(mask, (346, 187), 31, 255, -1)
    return _cut(photo, mask)


def _cut(photo: View, mask: View) -> PIL.Image.Image:
    """Return what a mask shows of a photograph, with soft edges."""
    soft = cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
    image = PIL.Image.fromarray(np.dstack([photo, soft]))
    return image.crop(image.getchannel("A").getbbox())


def _logo(design: int, side: int) -> tuple[View, int, int]:
    """A white plate in the upper right corner, or a violet one with a crescent in the upper left one."""
    gap = side // 32
    if design == 0:
        image, draw = _canvas(70, 30)
        draw.rounded_rectangle((0, 0, 279, 119), 40, (250, 250, 250, 255))
        draw.ellipse((14, 18, 98, 102), (0, 90, 200, 255))
        draw.pieslice((14, 18, 98, 102), 30, 130, (255, 140, 0, 255))
        _write(draw, (46, 15), "NOVA", 14, (0, 60, 140, 255))
        return _shrunk(image), side - 70 - gap, gap
    image, draw = _canvas(104, 48)
    draw.rounded_rectangle((0, 0, 415, 191), 40, (90, 20, 120, 255))
    draw.ellipse((20, 20, 172, 172), (255, 220, 120, 255))
    draw.ellipse((68, 14, 180, 126), (90, 20, 120, 255))
    _write(draw, (70, 26), "LUX", 28, (255, 220, 120, 255))
    return _shrunk(image), gap, gap


def _text(design: int, side: int) -> tuple[View, int, int]:
    """A dark band with a line of text in the lower part, or the letters alone of a watermark across the upper part."""
    if design == 0:
        image, draw = _canvas(side, 30, (15, 15, 25, 150))
        _write(draw, (side / 2, 15), "© WILD ARCHIVE 2021", 18, (255, 255, 255, 235))
        return _shrunk(image), 0, round(0.76 * side)
    image, draw = _canvas(side, 40)
    _write(draw, (side / 2, 20), "for review only", 30, (255, 240, 120, 200), outline=1)
    return _shrunk(image), 0, round(0.12 * side)


def _frame(design: int, side: int) -> tuple[View, int, int]:
    """An orange frame, or a green one that is wider below, as an instant print has."""
    drawn = np.zeros((side, side, 4), np.uint8)
    if design == 1:
        drawn[:], width = (0, 110, 100, 255), side // 14
        drawn[width : -2 * width, width:-width] = 0
        return drawn, 0, 0
    drawn[:], width = (240, 90, 20, 255), side // 22
    drawn[width:-width, width:-width] = 0
    return drawn, 0, 0


def _scale_bar(design: int, side: int) -> tuple[View, int, int]:
    """A checkered bar on a white plate in the lower left corner, or a white bar on a dark plate in the lower right one."""
    gap = side // 32
    if design == 0:
        image, draw = _canvas(104, 30, (255, 255, 255, 255))
        for step in range(6):
            draw.rectangle((32 + 56 * step, 72, 87 + 56 * step, 103), ("black", "white")[step % 2], "black", 4)
        _write(draw, (52, 9), "0        5        10 cm", 12, "black")
        return _shrunk(image), gap, side - 30 - gap
    image, draw = _canvas(120, 42, (10, 10, 30, 255))
    draw.rectangle((32, 120, 447, 143), (255, 255, 255, 255))
    _write(draw, (60, 14), "50 mm", 22, "white")
    return _shrunk(image), side - 120 - gap, side - 42 - gap


def _tint(view: View, design: int, rng: np.random.Generator) -> View:
    """As an old print, or as in the shade."""
    factors = np.array([(1.12, 0.88, 0.55), (0.5, 0.9, 1.5)][design])
    return _clipped(view * factors ** rng.uniform(0.85, 1.15))


def _blur(view: View, design: int, rng: np.random.Generator) -> View:
    """Out of focus, or a small picture that was enlarged."""
    if design == 0:
        return np.asarray(cv2.GaussianBlur(view, (0, 0), view.shape[0] / 224 * rng.uniform(2.2, 2.8)))
    small = cv2.resize(view, (int(rng.integers(46, 58)),) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, view.shape[1::-1], interpolation=cv2.INTER_CUBIC))


def _brightness(view: View, design: int, rng: np.random.Generator) -> View:
    """Too dark, or as in fog."""
    amount = rng.uniform(0.9, 1.1)
    return _clipped(view * (0.35 * amount) if design == 0 else 150 + (view.astype(float) - 128) * (0.35 * amount))


def _jpeg(view: View, design: int, rng: np.random.Generator) -> View:
    """Saved in a low quality, with less color than brightness or alike."""
    file = io.BytesIO()
    PIL.Image.fromarray(view).save(
        file, "JPEG", quality=int(rng.integers(*[(6, 9), (8, 12)][design])), subsampling=(2, 0)[design]
    )
    return np.asarray(PIL.Image.open(file))


def _clipped(pixels: NDArray[np.floating]) -> View:
    return np.rint(pixels.clip(0, 255)).astype(np.uint8)


_SIZES = {"sticker": ((0.24, 0.3), (0.3, 0.36)), "object": ((0.36, 0.44), (0.32, 0.4))}
_FIXED: dict[str, Callable[[int, int], tuple[View, int, int]]] = {
    "logo": _logo,
    "text": _text,
    "frame": _frame,
    "scale bar": _scale_bar,
}
_WHOLE: dict[str, Callable[[View, int, np.random.Generator], View]] = {
    "tint": _tint,
    "blur": _blur,
    "brightness": _brightness,
    "jpeg": _jpeg,
}
