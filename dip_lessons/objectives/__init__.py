"""What to maximise: functions of activations, which can be added, subtracted and weighted."""

from .activations import channel, direction, layer, logit, neuron
from .objective import PICTURE, VIEW, Activations, Objective, from_recipe, look
