"""# Gallery

One parameterization after another, each with the lines that make its pictures. `make pictures` makes all of them
again, in about a night on two CPU cores; what exists already stays. Channels and classes were chosen because one can
name what they paint; where several starts were tried, the text says so.
"""

import math

import torch
from build import Family

import dip_lessons as dip


def light_painting(layer, index, seed=0, steps=500, size=448, learned_at=176, lr=0.01):
    network = dip.load_network("inception_v3")
    generator = torch.Generator().manual_seed(seed)
    start = dip.CPPN(learned_at, decorrelate=True, generator=generator, device=network.device)
    run = dip.optimize(start, dip.channel(layer, index), network, steps=steps, lr=lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        run.optimizer, lambda k: min(1, (k + 1) / 40) * (1 + math.cos(math.pi * k / steps)) / 2
    )
    for _ in run:
        scheduler.step()
    return run.parameterization(size)


def waves(network, layer, index, seed=0, steps=512, size=448, lr=0.05):
    network = dip.load_network(network)
    start = dip.Fourier(size, generator=torch.Generator().manual_seed(seed), device=network.device)
    objective = dip.logit(network.classes.index(index)) if layer == "logits" else dip.channel(layer, index)
    views = dip.random_views(jitter=24, scale=(0.7, 1.2), rotate=10, blur=1.0, crop=5 * size // 7)
    return dip.optimize(start, objective, network, views=views, steps=steps, lr=lr).finish().image


def cut_out(layer, index, seed=0, steps=400, size=448, lr=0.04):
    network = dip.load_network("inception_v3")
    start = dip.RGBA(size, generator=torch.Generator().manual_seed(seed), device=network.device)
    wanted = dip.channel(layer, index)
    objective = wanted * (1 - dip.opacity()) / 2 + wanted * (1 - dip.opacity("view")) / 2
    views = dip.random_views(
        jitter=16, scale=(0.5, 1.1), rotate=10, blur=0.8, background="waves", crop=5 * size // 7
    )
    return dip.optimize(start, objective, network, views=views, steps=steps, lr=lr).finish().image


def textured(mesh, layer, index, seed=0, steps=300, texels=1024, size=448, seen_at=288, frames=1):
    network = dip.load_network("inception_v3")
    mesh = dip.load_mesh(mesh).to(network.device)
    start = dip.Solid(texels, mesh, generator=torch.Generator().manual_seed(seed), device=network.device)
    views = dip.mesh_views(mesh, size=seen_at)
    run = dip.optimize(dip.Texture(start, mesh), dip.channel(layer, index), network, views=views, steps=steps)
    cameras = dip.turntable(max(frames, 12), elevation=20, distance=12, fovy=10)
    seen = dip.render(run.finish().image, mesh, cameras, size=size, background=1.0, shading=0.3)
    return list(seen.split(1)) if frames > 1 else seen[1:2]


def panorama(network, layer, index, seed=0, steps=300, size=1024, degree=255, seen_at=224):
    network = dip.load_network(network)
    start = dip.SphericalHarmonics(
        (size, 2 * size), degree=degree, generator=torch.Generator().manual_seed(seed), device=network.device
    )
    views = dip.tangent_views(seen_at, fov=(50, 80), roll=10, blur=1.0, count=3)
    objective = dip.channel(layer, index)
    return dip.optimize(start, objective, network, views=views, steps=steps, lr=0.1).finish().image


def _of_mixed_6b(**named):
    """Channels of InceptionV3's Mixed_6b by what they paint."""
    return {name.replace("_", " "): {"layer": "Mixed_6b", "index": index} for name, index in named.items()}


FAMILIES = [
    Family(
        "CPPN: light paintings",
        "A small network that makes a colour of a position ([lesson 03](03_functions.ipynb)), learned at 176 pixels "
        "and drawn at 448: its contours are as sharp at any size. What made the difference: a rate that rises over "
        "40 steps and then falls to nothing, correlated colours, and a channel of a middle layer, which wants "
        "something everywhere (a class is content with one odd spot). Tried for three channels, one start each, 400 "
        "steps at 160 pixels: of the rates .006, .01 and .015, and of .01 with correlated colours, the last reached "
        "most twice and .006 once; .006 was the softest to look at. The blossoms of seed 0 ended as fog, so theirs "
        "is seed 1.",
        light_painting,
        _of_mixed_6b(
            knots=608, beetles=48, lianas=600, scallops=648, clockwork=664, buds=96, fans=56, stars=640
        )
        | {"blossoms": {"layer": "Mixed_6b", "index": 80, "seed": 1}},
    ),
    Family(
        "Fourier: waves",
        "Fourier components with the amplitudes of photographs ([lesson 02](02_decorrelation.ipynb)), seen through "
        "random views ([05](05_robustness.ipynb)). The channels were found by looking through 96 small pictures of "
        "the layer's 768.",
        waves,
        {
            name: {"network": "inception_v3", **of}
            for name, of in _of_mixed_6b(
                dogs=256,
                knots=608,
                beetles=48,
                shells=360,
                spider_eyes=168,
                lizard_eye=280,
                buds=96,
                blossoms=80,
                scallops=648,
                fluff=752,
                pine_cones=592,
                limes=128,
            ).items()
        },
    ),
    Family(
        "RGBA: what a neuron needs",
        "Colours and an alpha channel, both of Fourier components, over a random picture at each step; opacity "
        "costs ([lesson 10](10_transparency.ipynb)).",
        cut_out,
        _of_mixed_6b(spider_eyes=168, beetles=48, lizard_eye=280, dogs=256),
    ),
    Family(
        "Texture: Fourier components of space on a mesh",
        "A block of Fourier components, looked up where the mesh's texels lie, and painted by what random cameras "
        "see ([lesson 14](14_textures_3d.ipynb)): 1,024² texels, and no seam.",
        textured,
        {
            "teapot of eyes": {"mesh": "teapot", "layer": "Mixed_6b", "index": 168},
            "bunny of shells": {"mesh": "bunny", "layer": "Mixed_6b", "index": 592},
            "monkey of knots": {"mesh": "suzanne", "layer": "Mixed_6b", "index": 608},
        },
    ),
    Family(
        "Spherical harmonics: 360°",
        "Spherical harmonics, seen by cameras in the middle ([lesson 12](12_sphere.ipynb)): 2,048 × 1,024 pixels "
        "that close at the seam and at the poles.",
        panorama,
        {"beetles all around": {"network": "inception_v3", "layer": "Mixed_6b", "index": 48}},
    ),
]
