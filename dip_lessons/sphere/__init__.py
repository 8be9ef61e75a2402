"""Pictures of all directions: spherical harmonics, and what a camera in the centre sees.

harmonics.py   the basis: synthesis, analysis, rotation, power; real, orthonormal, by FFT along the rows
picture.py     SphericalHarmonics: the coefficients of a panorama as parameters
panorama.py    tangent_views, what random cameras see from inside; look_around; files for 360° viewers
measures.py    how visible the poles are; part of ``dip.metrics``

It may import the core. Begin reading with picture.py.
"""

from .harmonics import analyze, synthesize
from .measures import pole_energy, pole_spread
from .panorama import TangentViews, look_around, save_panorama, tangent_views
from .picture import SphericalHarmonics

__all__ = [
    "SphericalHarmonics",
    "TangentViews",
    "analyze",
    "look_around",
    "pole_energy",
    "pole_spread",
    "save_panorama",
    "synthesize",
    "tangent_views",
]
