"""Differentiable image parameterizations: a picture is a function of parameters.

parameters → picture → many views → activations → one number → better parameters
"""

from . import assets, check, metrics, spherical_harmonics
from .environment import budget, by_budget, device, setup
from .generator import load_generator, load_official
from .mesh import Mesh, load_mesh, save_mesh
from .mesh_views import MeshViews, mesh_views, render, turntable
from .networks import Network, load_network, redirected_relu
from .objectives import (
    Objective,
    activation_grid,
    alignment,
    caricature,
    channel,
    content,
    direction,
    diversity,
    each,
    gram,
    high_frequency,
    interpolate,
    l1,
    layer,
    logit,
    neuron,
    opacity,
    perceptual_distance,
    squared_error,
    style,
    total_variation,
)
from .optimize import Run, RunError, optimize
from .panorama import TangentViews, look_around, save_panorama, tangent_views
from .parameterizations import (
    CPPN,
    RGBA,
    DeepImagePrior,
    Fourier,
    Parameterization,
    PhaseOnly,
    Pixels,
    Pyramid,
    Shared,
    Siren,
    Solid,
    SphericalHarmonics,
    StyleGAN,
    Texture,
)
from .player import Player, choice, compare, pick_channel, play, slider
from .player.chooser import PictureChooser, choose_picture
from .player.explore import Explorer, explore
from .projection import project
from .rasterize import Camera, rasterize
from .show import curves, film, finish, say, sheet, show, table
from .sweep import sweep
from .viewer import view_mesh, view_panorama
from .views import Views, random_views, standard_views

__version__ = "0.1.0"
