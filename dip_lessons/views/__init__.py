"""Views of a picture, for transformation robustness: picture → many views.

base.py        what all kinds of views share: fields to change, steps of one's own (``views.then``)
affine.py      random_views: shifted, scaled, rotated, cropped by one affine resampling, blurred, with noise
background.py  what a picture with transparency is seen over, and how the two are mixed

It may import ``parameterizations`` (a random background is a random picture). Begin reading with affine.py.
"""

from .affine import Views, gaussian_blur, random_views, resample, standard_views
from .background import BACKGROUNDS, composite
from .base import RandomViews, knobs

__all__ = [
    "BACKGROUNDS",
    "RandomViews",
    "Views",
    "composite",
    "gaussian_blur",
    "knobs",
    "random_views",
    "resample",
    "standard_views",
]
