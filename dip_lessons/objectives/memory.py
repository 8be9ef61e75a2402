"""What an objective keeps from view to view: running means. They belong to a run and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


class Memory:
    """Running means by name, for objectives that ask for the layer ``"memory"``.

    A run has one of its own: what is remembered is stored, rewound and repeated with it, and an objective that
    serves two runs carries nothing from one to the other. Outside of runs it is new at each forward pass, and empty.

    Args:
        means: {name: (the mean, the sum of the weights in it)}, as ``means`` holds them.

    >>> from dip_lessons.objectives import Memory
    >>> memory = Memory()
    >>> for number in (1.0, 2.0):
    ...     mean = memory.mean("level", torch.tensor(number), decay=0.5)
    ...     memory.keep()
    >>> mean  # (2 + .5 · 1) / (1 + .5)
    tensor(1.6667)
    """

    def __init__(self, means: Mapping[str, tuple[Tensor, float]] | None = None) -> None:
        self.means: dict[str, tuple[Tensor, float]] = dict(means or {})
        self._learned: dict[str, tuple[Tensor, float]] = {}

    def mean(self, name: str, value: Tensor, decay: float) -> Tensor:
        """The mean of this value and of those before it under this name, detached.

        A value that lies n forward passes back counts decayⁿ times as much as this one, so the first mean is the value.
        Whoever asks in one forward pass, for the same thing under the same name, gets the same answer.

        Args:
            name: of what is remembered.
            value: what is there now.
            decay: in [0, 1]; 0 remembers nothing.

        Raises ValueError for another shape than that of the values before.

        >>> from dip_lessons.objectives import Memory
        >>> Memory().mean("level", torch.tensor([3.0]), decay=0.9)  # the first one is the mean
        tensor([3.])
        """
        before, weight = self.means.get(name, (value.detach(), 0.0))
        if before.shape != value.shape:
            raise ValueError(
                f"{name} was {tuple(before.shape)} before, and is {tuple(value.shape)} now: a running mean "
                "needs one shape"
            )
        total = decay * weight + 1
        mean = before.to(value).lerp(value.detach(), 1 / total)
        self._learned[name] = (mean, total)
        return mean

    def keep(self) -> None:
        """Make what this forward pass added the past of the next one.

        >>> from dip_lessons.objectives import Memory
        >>> memory = Memory()
        >>> mean = memory.mean("level", torch.tensor(1.0), decay=0.5)
        >>> list(memory.means), memory.keep(), list(memory.means)
        ([], None, ['level'])
        """
        self.means |= self._learned
        self._learned = {}

    def of(self, index: int) -> Memory:
        """The part of it that belongs to one picture of a batch alone.

        >>> from dip_lessons.objectives import Memory
        >>> memory = Memory()
        >>> mean = memory.of(3).mean("level", torch.tensor(1.0), decay=0.5)
        >>> memory.keep()
        >>> list(memory.means)
        ['3: level']
        """
        return _Part(self, f"{index}: ")


class _Part(Memory):
    def __init__(self, whole: Memory, prefix: str) -> None:
        super().__init__()
        self.whole, self.prefix = whole, prefix

    def mean(self, name: str, value: Tensor, decay: float) -> Tensor:
        return self.whole.mean(self.prefix + name, value, decay)

    def of(self, index: int) -> Memory:
        return _Part(self.whole, f"{self.prefix}{index}: ")
