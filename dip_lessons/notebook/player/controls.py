"""Knobs: which setting of a run they turn, and the widgets they become."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import ipywidgets as widgets

from ...networks import Network
from ...objectives import Objective, channel
from ...views import knobs

Inputs = list[widgets.DOMWidget]  # of one control, each with a trait `value`


class Control:
    """A knob for one setting, before it is drawn. It holds no widgets, so one can stand on several panels."""

    setting: str
    label: str | None = None

    def inputs(self) -> Inputs:
        """Make the widgets."""
        raise NotImplementedError

    def show(self, inputs: Inputs, value: Any) -> None:
        """Make the widgets say what is in force."""
        inputs[0].value = value

    def read(self, inputs: Inputs) -> Any:
        """Return the value that the widgets ask the setting to have."""
        return inputs[0].value


@dataclass(frozen=True)
class Slider(Control):
    """A slider for a number among a run's settings.

    Args:
        setting: a name that ``run.set`` takes, such as ``"lr"`` or ``"decay"``. For ``"scale"`` the slider's
            s stands for the range (1 − s, 1 + s).
        low, high: its ends; whole numbers make it move in whole numbers.
        log: whether equal distances are equal ratios.
        step: between two places, in log₁₀ where ``log``; None chooses.
        label: what is written beside it; None takes the setting's name.

    Raises ValueError for ends that make no range.

    >>> dip.slider("lr", 0.001, 1.0, log=True, label="learning rate")
    Slider(setting='lr', low=0.001, high=1.0, log=True, step=None, label='learning rate')
    """

    setting: str
    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    step: float | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            above = ", above 0" if self.log else ""
            raise ValueError(
                f"a slider goes from low to a larger high{above}; got {self.low!r}, {self.high!r}"
            )

    def inputs(self) -> Inputs:
        low, high = self.low, self.high
        if self.log:
            kind, low, high, step = widgets.FloatLogSlider, math.log10(low), math.log10(high), 0.05
        elif all(isinstance(n, int) for n in (low, high, self.step or 1)):
            kind, step = widgets.IntSlider, 1
        else:
            kind, step = widgets.FloatSlider, (high - low) / 100
        options = {"readout_format": ".2g"} if self.log else {}
        step = self.step or step
        return [_knob(self, kind, min=low, max=high, step=step, continuous_update=False, **options)]

    def show(self, inputs: Inputs, value: Any) -> None:
        (slider,) = inputs
        number = (value[1] - value[0]) / 2 if isinstance(value, tuple) else value  # scale: half its range
        place = math.log10(number) if self.log else number
        slider.max, slider.min = max(slider.max, place), min(slider.min, place)  # code may go beyond the ends
        slider.value = number

    def read(self, inputs: Inputs) -> Any:
        number = inputs[0].value
        return (1 - number, 1 + number) if self.setting == "scale" else number


@dataclass(frozen=True)
class Choice(Control):
    """A menu: ``dip.choice("views", {"none": None, "shifts": dip.random_views(jitter=8)})``.

    Args:
        setting: a name that ``run.set`` takes, such as ``"objective"`` or ``"views"``.
        options: values by what is written for them.
        label: what is written beside it; None takes the setting's name.

    Raises ValueError where there is nothing to choose from.

    >>> menu = dip.choice("views", {"none": None, "shifts": dip.random_views(jitter=8)})
    >>> menu.setting, list(menu.options)
    ('views', ['none', 'shifts'])
    """

    setting: str
    options: Mapping[str, object]
    _: KW_ONLY
    label: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.options, Mapping) or not self.options:
            raise ValueError(
                f"a choice needs its options by name, as in {{'none': None}}; got {self.options!r}"
            )

    def inputs(self) -> Inputs:
        return [_knob(self, widgets.Dropdown, options=list(self.options), value=None)]

    def show(self, inputs: Inputs, value: Any) -> None:
        inputs[0].value = next((name for name, option in self.options.items() if same(option, value)), None)

    def read(self, inputs: Inputs) -> Any:
        return self.options[inputs[0].value]


@dataclass(frozen=True)
class ChannelPicker(Control):
    """See :func:`pick_channel`."""

    channels: Mapping[str, int]  # by layer
    setting: str = "objective"

    def inputs(self) -> Inputs:
        layer = _knob(self, widgets.Dropdown, "layer", options=list(self.channels))
        return [layer, _knob(self, widgets.BoundedIntText, "channel", max=self.channels[layer.value] - 1)]

    def show(self, inputs: Inputs, value: Any) -> None:
        layer, index = inputs
        name, *arguments = getattr(value, "specification", None) or (None,)
        index.disabled = not (name == "channel" and arguments[0] in self.channels)
        if index.disabled:  # another kind of objective: choosing a layer replaces it
            layer.value = None
        else:
            layer.value, index.max = arguments[0], self.channels[arguments[0]] - 1
            index.value = arguments[1]

    def read(self, inputs: Inputs) -> Any:
        layer, index = inputs
        index.max = self.channels[layer.value] - 1  # of a narrower layer, the last channel is taken
        return channel(layer.value, index.value)


def pick_channel(network: Network, layers: Sequence[str] | None = None) -> ChannelPicker:
    """A layer menu and a channel number, which together set ``objective=channel(layer, index)``.

    Args:
        network: where the layers are.
        layers: the names to choose from; None takes all.

    Raises KeyError for a layer that does not exist.

    >>> picker = dip.pick_channel(dip.load_network(device="cpu"), ["features.3", "features.9"])
    >>> picker.channels
    {'features.3': 128, 'features.9': 384}
    """
    return ChannelPicker({name: network.layers[name].channels for name in layers or network.layers})


STANDARD = {
    control.setting: control
    for control in (
        Slider("lr", 0.001, 1.0, log=True, label="learning rate"),
        Slider("strength", 0.0, 2.0, step=0.05, label="view strength"),
        Slider("jitter", 0, 32, label="jitter (px)"),
        Slider("scale", 0.0, 0.5, step=0.01, label="scale (±)"),
        Slider("rotate", 0, 45, label="rotate (±°)"),
        Slider("blur", 0.0, 4.0, step=0.1, label="blur (px)"),
        Slider("noise", 0.0, 0.5, step=0.01, label="noise (sd)"),
        Slider("decay", 0.0, 2.0, step=0.05),
        Slider("noise_sd", 0.0, 0.3, step=0.01, label="input noise (sd)"),
    )
}


class Knob:
    """A control on a panel: its widgets, and word of what the reader does with them.

    Args:
        control: what it is, or the name of a standard one (a key of ``STANDARD``).
        settings: those of the run, as they are.

    Raises TypeError or ValueError for a control that this run cannot have.
    """

    def __init__(self, control: Control | str, settings: Mapping[str, object]) -> None:
        if isinstance(control, str):
            if control not in STANDARD:
                known = ", ".join(STANDARD)
                advice = f"give its ends: dip.slider({control!r}, low, high)"
                raise ValueError(f"standard sliders are {known}; for {control!r}, {advice}")
            control = STANDARD[control]
        if not isinstance(control, Control):
            made = "dip.slider, dip.choice or dip.pick_channel"
            raise TypeError(f"a control is a setting's name, or made by {made}; got {control!r}")
        if control.setting not in (*settings, *knobs()):
            raise ValueError(f"this run has no setting {control.setting!r}; it has {', '.join(settings)}")
        if control.setting in knobs() and not hasattr(settings["views"], control.setting):
            advice = "dip.optimize(…, views=dip.standard_views())"
            raise ValueError(f"{control.setting!r} belongs to random views, which this run has not: {advice}")
        self.control, self.inputs = control, control.inputs()
        self._writer: int | None = None  # the thread that changes the widgets from in here
        self.show(settings)

    def listen(self, turned: Callable[[Knob], None]) -> None:
        """Call ``turned`` with this knob whenever the reader turns it."""
        for widget in self.inputs:
            widget.observe(lambda _: None if self._writer == threading.get_ident() else turned(self), "value")

    def current(self, settings: Mapping[str, object]) -> Any:
        """The value in force; None for a field of views where there are none."""
        name = self.control.setting
        return settings[name] if name in settings else getattr(settings["views"], name, None)

    def show(self, settings: Mapping[str, object]) -> None:
        """Say what is in force."""
        value = self.current(settings)
        gone = value is None and self.control.setting in knobs()
        with self._writing():
            for widget in self.inputs:
                widget.disabled = gone
            if not gone:
                self.control.show(self.inputs, value)

    def asked(self) -> Any:
        """The value that the reader asks for."""
        with self._writing():
            return self.control.read(self.inputs)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._writer = threading.get_ident()
        try:
            yield
        finally:
            self._writer = None


def same(one: object, other: object) -> bool:
    """Whether two values of a setting mean the same: objectives do if they are made alike."""
    if isinstance(one, Objective) and isinstance(other, Objective) and one.specification is not None:
        return one.specification == other.specification
    return one is other or bool(one == other)


def labelled(kind: type, label: str, tooltip: str, **options: object) -> widgets.DOMWidget:
    """A widget with a label and a tooltip; ipywidgets 7 and 8 call the latter differently."""
    style, layout = {"description_width": "7.5em"}, widgets.Layout(width="100%")
    widget = kind(description=label, style=style, layout=layout, **options)
    explain(widget, tooltip)
    return widget


def explain(widget: widgets.DOMWidget, tooltip: str) -> None:
    """Say what a widget does when the pointer rests on it."""
    setattr(widget, "tooltip" if widget.has_trait("tooltip") else "description_tooltip", tooltip)


def _knob(control: Control, kind: type, label: str | None = None, **options: object) -> widgets.DOMWidget:
    label = label or control.label or control.setting
    return labelled(kind, label, f"{label}: acts from the next step on", **options)
