"""Looking for the latent whose picture resembles a given one: projection."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .networks import Network
from .objectives import perceptual_distance, squared_error
from .optimize import Run, optimize
from .parameterizations.stylegan import StyleGAN

# Of SqueezeNet 1.1, those that LPIPS compares.
LAYERS = ("features.1", "features.4", "features.7", "features.9", "features.12")
KNOTS = 40  # the learning rate and the noise change this many times in a run


def project(
    picture: StyleGAN,
    image: Tensor,
    network: Network,
    *,
    layers: Sequence[str] = LAYERS,
    steps: int = 200,
    lr: float = 0.1,
    noise: float = 0.05,
    pixels: float = 1.0,
    seed: int = 0,
) -> Run:
    """Prepare the search for a latent, from the mean style on; ``run.finish()`` does it.

    What grows is −(perceptual distance) − ``pixels`` · (mean squared error). The learning rate rises over the
    first 5 % of the steps and falls over the last 25 %; noise on the latent fades over the first 75 %.

    Args:
        picture: whose latent is looked for; it starts anew from the mean style.
        image: (B or 1, 3, H, W) in [0, 1], of the picture's size.
        network: the eye that compares.
        layers: of the network, at which it compares.
        steps: the number of steps.
        lr: the largest learning rate.
        noise: the first standard deviation of the noise, in units of the latent's spread times √(size of w).
        pixels: the weight of the mean squared error of the pixels.
        seed: of the noise.

    Raises ValueError for a picture that does not fit.

    **Source:** Karras et al., *Analyzing and Improving the Image Quality of StyleGAN* (2020), appendix D: 1,000
    steps, and an optimization of the noise inputs, which is left out here.
    """
    image = picture.checked(image)
    with torch.no_grad():
        seen = network(image, layers)
    objective = -1 * perceptual_distance(seen) - pixels * squared_error(image)
    run = optimize(picture.set_mean(), objective, network, steps=steps, lr=lr, seed=seed)
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
