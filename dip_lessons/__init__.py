"""Differentiable image parameterizations: a picture is a function of parameters.

parameters → picture → many views → activations → one number → better parameters
"""

from .networks import Network, load_network, redirected_relu
from .objectives import Objective, channel, direction, layer, logit, neuron
from .optimize import Run, RunError, optimize
from .parameterizations import Fourier, Parameterization, Pixels
from .views import random_views, standard_views
