"""Names of layers: one module may have several, and may run several times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from .layers import UnknownName, no_such
from .trials import Call


def named(module: nn.Module) -> dict[str, nn.Module]:
    """Every name that ``print(module)`` shows, with its module; a module that stands in two places has two.

    >>> from dip_lessons.networks.names import named
    >>> act = torch.nn.ReLU()
    >>> list(named(torch.nn.Sequential(torch.nn.Identity(), act, act)))
    ['0', '1', '2']
    """
    return {name: part for name, part in module.named_modules(remove_duplicate=False) if name}


def names_of(call: Call, names: Mapping[str, nn.Module], runs: int) -> list[str]:
    """The names by which one run of a module, which runs so often, is asked for."""
    mine = [name for name, part in names.items() if part is call.part]
    if len(mine) == runs:
        return [mine[call.number - 1]]
    if call.number == 1 and (len(mine) == 1 or runs == 1):
        return mine
    return [f"{mine[0]}:{call.number}"] if mine else []


def call_of(
    name: str, names: Mapping[str, nn.Module], runs: Callable[[nn.Module], int], others: Sequence[str]
) -> Call:
    """Which run of which module a name means: ``"relu"`` the first, ``"relu:2"`` the second.

    Args:
        name: of a layer.
        names: {name: module} of all layers.
        runs: module -> how often it runs; 0 where that is not known.
        others: names of what is no layer, for the message.

    Raises UnknownName, with what can be asked for.
    """
    if name in names:
        mine = [other for other, part in names.items() if part is names[name]]
        times = runs(names[name])
        if len(mine) == times:
            return Call(names[name], mine.index(name) + 1)
        if len(mine) > 1 and times > 1:
            raise UnknownName(
                f"{' and '.join(map(repr, mine))} are one module, which runs {times} times: ask for "
                + ", ".join(f"'{name}:{k}'" for k in range(1, times + 1)[:4])
            )
        return Call(names[name], 1)
    base, _, number = str(name).rpartition(":")
    if base in names and number.isdecimal():
        times = runs(names[base])
        if int(number) == 0 or (times and int(number) > times):
            raise UnknownName(
                f"there is no layer {name!r}: {base!r} runs {times} time{'s'[: times != 1]}, from 1"
            )
        return Call(names[base], int(number))
    raise UnknownName(no_such("layer", name, [*names, *others], "network.layers"))
