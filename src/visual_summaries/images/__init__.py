"""Images: whatever the user gives, decoded one at a time into upright 8-bit RGB."""

from visual_summaries.images.decode import MAX_PIXELS, MIN_SIDE, ImageLike, open_image
from visual_summaries.images.gather import ImagesLike, ImageSource, gather_images, natural_key
from visual_summaries.images.kinds import IMAGE_SUFFIXES

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "ImageLike",
    "ImageSource",
    "ImagesLike",
    "gather_images",
    "natural_key",
    "open_image",
]
