"""# Gallery

One parameterization after another, each with the lines that make its pictures. `make pictures` makes all of them
again, in about a night on two CPU cores; what exists already stays. Channels and classes were chosen because one can
name what they paint; where several starts were tried, the text says so.
"""

import math

import torch
from build import Family

import dip_lessons as dip


def light_painting(layer, index, seed=0, steps=1000, size=448, learned_at=192, lr=0.015, decorrelate=False):
    network = dip.load_network("inception_v3")
    start = dip.CPPN(
        learned_at,
        decorrelate=decorrelate,
        generator=torch.Generator().manual_seed(seed),
        device=network.device,
    )
    objective = dip.logit(network.classes.index(index)) if layer == "logits" else dip.channel(layer, index)
    run = dip.optimize(start, objective, network, steps=steps, lr=lr)
    rise_and_fall = lambda k: min(1, k / 40) * (1 + math.cos(math.pi * k / steps)) / 2 + 0.001  # noqa: E731
    scheduler = torch.optim.lr_scheduler.LambdaLR(run.optimizer, rise_and_fall)
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
    wanted = dip.logit(network.classes.index(index)) if layer == "logits" else dip.channel(layer, index)
    objective = wanted * (1 - dip.opacity()) / 2 + wanted * (1 - dip.opacity("view")) / 2
    views = dip.random_views(
        jitter=16, scale=(0.5, 1.1), rotate=10, blur=0.8, background="waves", crop=5 * size // 7
    )
    return dip.optimize(start, objective, network, views=views, steps=steps, lr=lr).finish().image


def painted(photo, painting, seed=0, steps=200, size=512, weight=1.0, lr=0.02):
    network = dip.load_network("vgg16")
    layers, keep = [f"features.{i}" for i in (1, 6, 11, 18)], "features.20"
    photo = dip.assets.picture(photo, size).to(network.device)
    painting = dip.assets.picture(painting, size).to(network.device)[..., 16:-16, 16:-16]
    start = dip.Fourier(tuple(photo.shape[-2:]), device=network.device).set_image(photo)
    style, content = dip.style(network(painting, layers)), dip.content(network(photo, [keep]))
    return dip.optimize(start, -1 * style - weight * content, network, steps=steps, lr=lr).finish().image


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


FAMILIES = [
    Family(
        "Fourier: waves",
        "Channels of InceptionV3's Mixed_6b, found by looking through 96 small pictures of its 768 channels.",
        waves,
        {
            name: {"network": "inception_v3", "layer": "Mixed_6b", "index": index}
            for name, index in [
                ("spiders' eyes", 168),
                ("knots", 608),
                ("dogs", 256),
                ("a lizard's eye", 280),
                ("shells", 360),
                ("beetles", 48),
                ("buds", 96),
                ("blossoms", 80),
                ("scallops", 648),
                ("fluff", 752),
                ("pine cones", 592),
                ("limes", 128),
            ]
        },
    ),
]
