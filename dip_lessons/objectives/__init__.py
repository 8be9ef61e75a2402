"""What to maximise: functions of activations, which can be added, subtracted and weighted."""

from .activations import caricature, channel, direction, layer, logit, neuron, perceptual_distance
from .batches import activation_grid, alignment, diversity, each, interpolate
from .memory import Memory
from .objective import MEMORY, OUTSIDE, PICTURE, VIEW, Activations, Objective, from_specification, look
from .pictures import high_frequency, l1, opacity, squared_error, total_variation
from .style import content, gram, style
