"""Panels of widgets: they play, pause, rewind and steer runs, redraw a picture by sliders, take in a file.

player.py   play, compare, Player: one engine with one or several panels
engine.py   how steps are taken; turns.py, who may touch a run meanwhile
side.py     one run on the page; reel.py, the film of what it has shown; replay.py, the code that makes it again
panel.py    the widgets, with controls.py, the knobs; drawing.py, what they show
cells.py    one panel for each cell
sliders.py  explore: sliders that redraw a picture; chooser.py: a picture of the learner's own

Begin reading with player.py.
"""

from .controls import Choice as choice
from .controls import Slider as slider
from .controls import pick_channel
from .player import Player, compare, play

__all__ = ["Player", "choice", "compare", "pick_channel", "play", "slider"]
