"""The loop: one number → better parameters.

plan.py       optimize: what a user calls
step.py       the mathematics of one: picture → views → activations → value → gradient → step
loop.py       Run: take steps, go back, change settings, save and load
settings.py   what may change while a run goes on: learning rate, objective, views, a picture's own knobs
store.py      checkpoints, rewinding, files
checks.py     whether parts fit together, and what a failed step is told

It may import the rest of the core. Begin reading with step.py.
"""

from .checks import OPTIMIZERS
from .loop import Run, RunError, Step
from .plan import optimize

__all__ = ["OPTIMIZERS", "Run", "RunError", "Step", "optimize"]
