"""What a user calls: the parts of a run, and what can be chosen about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..objectives import Objective
from ..parameterizations import Parameterization
from .checks import BETAS
from .loop import Optimizer, Run


def optimize(
    parameterization: Parameterization,
    objective: Objective,
    network: Callable[[Tensor, tuple[str, ...]], Mapping[str, Tensor]],
    *,
    views: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    steps: int = 256,
    lr: float | None = None,
    seed: int = 0,
    optimizer: Optimizer = "adam",
    betas: tuple[float, float] = BETAS,
    redirect_relu: int = 16,
) -> Run:
    """Prepare the maximisation of an objective; iterate over the :class:`Run`, or call its ``finish()``.

    Args:
        parameterization: the picture; its parameters are changed in place.
        objective: what shall grow.
        network: a :class:`Network`, or any callable (pictures, layers) -> {layer: activation}.
        views: random views of the picture (:func:`random_views`), or any function (pictures, generator) ->
            (N, C, h, w); None shows the picture itself.
        steps: the planned number of steps.
        lr: learning rate; None takes the parameterization's own (.05; .005 for a CPPN; see its ``lr``).
        seed: of the generator that the views draw from.
        optimizer: ``"adam"``, ``"nadam"``, ``"sgd"``, or a function (parameters, lr) -> torch.optim.Optimizer.
        betas: what share of Adam's two running means, of the gradient and of its square, each step keeps. The
            second one remembers some 1/(1 − β₂) steps: a thousand, if nothing else is said. Only ``"adam"`` and
            ``"nadam"`` have them.
        redirect_relu: for this many first steps, dead ReLUs let gradients through (:func:`redirected_relu`).

    Raises TypeError or ValueError for parts that do not fit together.

    >>> network = dip.load_network(device="cpu")
    >>> views = dip.random_views(jitter=4)
    >>> run = dip.optimize(dip.Fourier(48), dip.channel("features.3", 0), network, views=views, steps=8)
    >>> run.finish().step, run.image.shape
    (8, torch.Size([1, 3, 48, 48]))
    >>> run.history[-1] > run.history[0]
    True
    """
    return Run(
        parameterization,
        objective,
        network,
        views=views,
        steps=steps,
        lr=getattr(parameterization, "lr", 0.05) if lr is None else lr,
        seed=seed,
        optimizer=optimizer,
        betas=betas,
        redirect_relu=redirect_relu,
    )
