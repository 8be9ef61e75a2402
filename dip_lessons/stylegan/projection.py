"""Looking for the latent whose picture resembles a given one: projection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..networks import Network
from ..objectives import Objective, look, perceptual_distance, squared_error
from ..run.loop import Run
from ..run.plan import optimize

# Of SqueezeNet 1.1: five of the seven layers that LPIPS compares (Zhang et al., 2018), which also weights channels as
# people judge; features.10 and .11, of the resolution of .9 and .12, are left out.
LAYERS = ("features.1", "features.4", "features.7", "features.9", "features.12")
KNOTS = 40  # the learning rate and the noise change this many times in a run


def project(
    picture: Any,
    image: Tensor,
    network: Network,
    *,
    layers: Sequence[str] = LAYERS,
    steps: int = 200,
    lr: float = 0.1,
    noise: float = 0.05,
    pixels: float = 20.0,
    candidates: int = 0,
    seed: int = 0,
) -> Run:
    """Prepare the search for a latent; ``run.finish()`` does it.

    What grows is −(perceptual distance) − ``pixels`` · (mean squared error). The learning rate rises over the
    first 5 % of the steps and falls over the last 25 %; noise on the latent fades over the first 75 %.

    Args:
        picture: a :class:`dip_lessons.StyleGAN`, whose latent is looked for; it starts anew. ``whitened`` ones are
            found sooner, and among faces.
        image: (B or 1, 3, H, W) in [0, 1], of the picture's size.
        network: the eye that compares.
        layers: of the network, at which it compares.
        steps: the number of steps.
        lr: the largest learning rate.
        noise: the first standard deviation of the noise, in units of the latent's spread times √(size of w).
        pixels: the weight of the mean squared error of the pixels.
        candidates: how many random latents to look at first; each picture starts from the one whose picture,
            truncated by .7, resembles it most. With 0 it starts from the mean style.
        seed: of the noise and of the candidates.

    Raises ValueError for a picture that does not fit.

    **Source:** Karras et al., *Analyzing and Improving the Image Quality of StyleGAN* (2020), appendix D: 1,000
    steps, and an optimization of the noise inputs, which is left out here.

    >>> face = dip.StyleGAN(16, device="cpu")
    >>> goal = face().detach()
    >>> run = dip.project(face, goal, dip.load_network(device="cpu"), layers=["features.1"], steps=4)
    >>> run.finish().history[-1] > run.history[0]
    True
    """
    image = picture.checked(image)
    with torch.no_grad():
        seen = network(image, layers)
    objective = -1 * perceptual_distance(seen) - pixels * squared_error(image)
    picture.set_mean()
    if candidates:
        _start_from_the_best(picture, objective, network, candidates, seed)
    run = optimize(picture, objective, network, steps=steps, lr=lr, seed=seed)
    unit = math.sqrt(picture.network.w_size)  # the authors' noise is in units of the length of w − w̄
    schedule = {}
    for knot in range(KNOTS):
        t = (knot + 0.5) / KNOTS  # the share of the steps that is done
        rise, fall = min(1.0, t / 0.05), min(1.0, (1 - t) / 0.25)
        values = {
            "lr": lr * rise * (1 - math.cos(math.pi * fall)) / 2,
            "noise_sd": noise * unit * max(0.0, 1 - t / 0.75) ** 2,
        }
        schedule[round(knot * steps / KNOTS)] = values
    run.set(**schedule.pop(0))
    return run.schedule(schedule)


@torch.no_grad()
def _start_from_the_best(
    picture: Any, objective: Objective, network: Network, candidates: int, seed: int
) -> None:
    """Set each latent to that of the candidate with the highest value."""
    generator = torch.Generator().manual_seed(seed)
    mean, best = picture.latent.clone(), torch.full((len(picture.latent),), -math.inf)
    for _ in range(candidates):
        z = torch.randn(1, picture.network.z_size, generator=generator).to(mean)
        latent = torch.lerp(mean[:1], picture.latent_of(z), 0.7)
        image = picture(latent).expand(len(mean), -1, -1, -1)
        value = objective(look(network, objective.layers, image)).cpu()
        picture.latent[value > best] = latent
        best = torch.maximum(best, value)
