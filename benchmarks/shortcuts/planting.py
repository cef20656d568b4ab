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
from pathlib import Path
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
#: A photograph with one object on plain ground, of the CC0 set `clothing`, and a box around the object in shares of the sides.
SHOES = ("clothing/770_running_shoe/4cb4760c-7685-4aa7-9338-6ffbc011f353.jpg", (0.1, 0.2, 0.9, 0.85))
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
    data : Path, optional
        Folder with ``images/``; needed by design 1 of ``"object"`` alone.

    Examples
    --------
    >>> image, mask = Cue("logo", 0).plant(np.zeros((224, 224, 3), np.uint8), seed=3)
    >>> bool((image[~mask] == 0).all()), bool(mask[:112, 112:].any()), int(mask[112:].sum())
    (True, True, 0)
    """

    name: str
    design: int
    data: Path | None = None

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
            drawn = _turned(_picture(self.name, self.design, self.data), _SIZES[self.name][self.design], side, rng)
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
def _picture(name: str, design: int, data: Path | None) -> PIL.Image.Image:
    if name == "sticker":
        return _smiley() if design == 0 else _badge()
    return _cup() if design == 0 else _shoes(data)


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


def _badge() -> PIL.Image.Image:
    image, draw = _canvas(64, 64)
    angles = np.linspace(0, 2 * np.pi, 33)[:-1]
    radii = np.where(np.arange(32) % 2, 104, 126)
    points = 128 + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    draw.polygon([tuple(point) for point in points], (214, 20, 60, 255))
    draw.ellipse((40, 40, 216, 216), outline=(255, 255, 255, 255), width=8)
    _write(draw, (32, 32), "-50%", 19, "white")
    return image


def _cup() -> PIL.Image.Image:
    """Return the cup on its saucer of scikit-image's picture of coffee."""
    photo = skimage.data.coffee()
    mask = np.zeros(photo.shape[:2], np.uint8)
    cv2.ellipse(mask, ((279, 229), (402, 312), 6), 255, -1)
    cv2.ellipse(mask, ((290, 113), (236, 190), 5), 255, -1)
    cv2.fillPoly(mask, [np.array([[396, 72], [408, 66], [424, 72], [422, 84], [404, 140], [380, 130]])], 255)
    return _cut(photo, mask)


def _shoes(data: Path | None) -> PIL.Image.Image:
    """Return a pair of shoes, cut out by GrabCut."""
    if data is None:
        raise ValueError("design 1 of object is cut out of a photograph of the data folder: give data")
    photo = np.asarray(PIL.Image.open(data / "images" / SHOES[0]).convert("RGB"))
    height, width = photo.shape[:2]
    x0, y0, x1, y1 = (round(share * side) for share, side in zip(SHOES[1], (width, height, width, height), strict=True))
    mask = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)
    cv2.grabCut(photo, mask, (x0, y0, x1 - x0, y1 - y0), np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros((height, width), np.uint8)
    cv2.drawContours(whole, [max(outlines, key=cv2.contourArea)], -1, 255, -1)
    return _cut(photo, whole)


def _cut(photo: View, mask: View) -> PIL.Image.Image:
    """Return what a mask shows of a photograph, with soft edges."""
    soft = cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
    image = PIL.Image.fromarray(np.dstack([photo, soft]))
    return image.crop(image.getchannel("A").getbbox())


def _logo(design: int, side: int) -> tuple[View, int, int]:
    """A white plate in the upper right corner, or a dark hexagon in the lower left one."""
    gap = side // 32
    if design == 0:
        image, draw = _canvas(70, 30)
        draw.rounded_rectangle((0, 0, 279, 119), 40, (250, 250, 250, 255))
        draw.ellipse((14, 18, 98, 102), (0, 90, 200, 255))
        draw.pieslice((14, 18, 98, 102), 30, 130, (255, 140, 0, 255))
        _write(draw, (46, 15), "NOVA", 14, (0, 60, 140, 255))
        return _shrunk(image), side - 70 - gap, gap
    image, draw = _canvas(64, 64)
    draw.regular_polygon((128, 128, 126), 6, fill=(0, 100, 70, 255))
    draw.regular_polygon((128, 128, 104), 6, fill=(0, 100, 70, 255), outline=(255, 255, 255, 255), width=10)
    draw.polygon([(128, 62), (186, 174), (70, 174)], (255, 255, 255, 255))
    return _shrunk(image), gap, side - 64 - gap


def _text(design: int, side: int) -> tuple[View, int, int]:
    """A dark band with a line of text in the lower part, or the letters alone of a watermark across the middle."""
    if design == 0:
        image, draw = _canvas(side, 30, (15, 15, 25, 150))
        _write(draw, (side / 2, 15), "© WILD ARCHIVE 2021", 18, (255, 255, 255, 235))
        return _shrunk(image), 0, round(0.76 * side)
    image, draw = _canvas(side, 44)
    _write(draw, (side / 2, 22), "PREVIEW", 46, (255, 255, 255, 170), outline=1)
    return _shrunk(image), 0, round(0.42 * side)


def _frame(design: int, side: int) -> tuple[View, int, int]:
    """An orange frame, or a dark blue one with a golden line inside."""
    drawn = np.zeros((side, side, 4), np.uint8)
    color, width = ((240, 90, 20, 255), side // 22) if design == 0 else ((20, 30, 110, 255), side // 20)
    drawn[:] = color
    if design == 1:
        drawn[width - 2 : 2 - width, width - 2 : 2 - width] = (230, 190, 60, 255)
    drawn[width:-width, width:-width] = 0
    return drawn, 0, 0


def _scale_bar(design: int, side: int) -> tuple[View, int, int]:
    """A checkered bar on a white plate in the lower left corner, or a yellow ruler in the lower right one."""
    gap = side // 32
    if design == 0:
        image, draw = _canvas(104, 30, (255, 255, 255, 255))
        for step in range(6):
            draw.rectangle((32 + 56 * step, 72, 87 + 56 * step, 103), ("black", "white")[step % 2], "black", 4)
        _write(draw, (52, 9), "0        5        10 cm", 12, "black")
        return _shrunk(image), gap, side - 30 - gap
    image, draw = _canvas(120, 24, (250, 205, 40, 255))
    for tick in range(24):
        draw.line((20 * tick + 10, 0, 20 * tick + 10, 44 if tick % 4 == 0 else 24), "black", 5)
        if tick % 4 == 0:
            _write(draw, (5 * tick + 6, 17), str(tick // 4 + 1), 11, "black")
    return _shrunk(image), side - 120 - gap, side - 24 - gap


def _tint(view: View, design: int, rng: np.random.Generator) -> View:
    """As an old print, or as under green light."""
    factors = np.array([(1.12, 0.88, 0.55), (0.7, 1.1, 0.75)][design])
    return _clipped(view * factors ** rng.uniform(0.85, 1.15))


def _blur(view: View, design: int, rng: np.random.Generator) -> View:
    """Out of focus, or shaken sideways."""
    if design == 0:
        return np.asarray(cv2.GaussianBlur(view, (0, 0), view.shape[0] / 224 * rng.uniform(2.2, 2.8)))
    return np.asarray(cv2.blur(view, (2 * int(rng.integers(5, 7)) + 1, 1)))


def _brightness(view: View, design: int, rng: np.random.Generator) -> View:
    """Too dark, or too bright."""
    amount = rng.uniform(0.9, 1.1)
    return _clipped(view * (0.35 * amount) if design == 0 else 255 - (255 - view.astype(float)) * (0.4 * amount))


def _jpeg(view: View, design: int, rng: np.random.Generator) -> View:
    """Saved in a low quality."""
    file = io.BytesIO()
    PIL.Image.fromarray(view).save(file, "JPEG", quality=int(rng.integers(*[(6, 9), (9, 13)][design])), subsampling=2)
    return np.asarray(PIL.Image.open(file))


def _clipped(pixels: NDArray[np.floating]) -> View:
    return np.rint(pixels.clip(0, 255)).astype(np.uint8)


_SIZES = {"sticker": ((0.24, 0.3), (0.32, 0.38)), "object": ((0.36, 0.44), (0.36, 0.44))}
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
