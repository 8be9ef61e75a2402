"""The loop: one number → better parameters.

loop.py       optimize and Run: picture → views → activations → value → gradient → step
settings.py   what may change while a run goes on: learning rate, objective, views, a picture's own knobs
store.py      checkpoints, rewinding, files
checks.py     whether parts fit together, and what a failed step is told

It may import the rest of the core. Begin reading with loop.py.
"""

from .checks import OPTIMIZERS
from .loop import Run, RunError, Step, optimize

__all__ = ["OPTIMIZERS", "Run", "RunError", "Step", "optimize"]
