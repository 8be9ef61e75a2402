"""Planted wrong answers to lesson 10: {exercise: {words of the hint it must get: source}}; and good ones."""

_KEEP = """
def only(rgba, where):
    return torch.cat([rgba[:, :3], rgba[:, 3:].where(where, torch.zeros(()))], dim=1)

def circle(side, radius):
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    middle = (side - 1) / 2
    return (y - middle) ** 2 + (x - middle) ** 2 < radius**2

"""

RIGHT = {
    "keep_test": _KEEP
    + """
def keep_test(rgba, region, measure):
    radius = (region.float().sum((1, 2, 3)) / math.pi).sqrt()
    discs = torch.stack([circle(rgba.shape[-1], r) for r in radius])[:, None]
    whole = measure(rgba)
    return torch.stack([measure(only(rgba, region)) / whole, measure(only(rgba, discs)) / whole])
""",
    "merged": """
def merged(front, back):
    a, b = front[:, 3:], back[:, 3:] - front[:, 3:] * back[:, 3:]
    colours = torch.where(a + b > 0, torch.lerp(back[:, :3], front[:, :3], a / (a + b)), torch.zeros(()))
    return torch.cat([colours, a + b], dim=1)
""",
}

WRONG = {
    "keep_test": {
        "hid the region": _KEEP
        + """
def keep_test(rgba, region, measure):
    radius = (region.sum((1, 2, 3)) / math.pi).sqrt()
    discs = torch.stack([circle(rgba.shape[-1], r) for r in radius])[:, None]
    return torch.stack([measure(only(rgba, ~region)), measure(only(rgba, ~discs))]) / measure(rgba)
""",
        "one disc for all": _KEEP
        + """
def keep_test(rgba, region, measure):
    radius = math.sqrt(region.sum() / len(region) / math.pi)
    disc = circle(rgba.shape[-1], radius)
    return torch.stack([measure(only(rgba, region)), measure(only(rgba, disc))]) / measure(rgba)
""",
        "too large": _KEEP
        + """
def keep_test(rgba, region, measure):
    radius = region.float().sum((1, 2, 3)).sqrt()
    discs = torch.stack([circle(rgba.shape[-1], r) for r in radius])[:, None]
    return torch.stack([measure(only(rgba, region)), measure(only(rgba, discs))]) / measure(rgba)
""",
        "values, not shares": _KEEP
        + """
def keep_test(rgba, region, measure):
    radius = (region.float().sum((1, 2, 3)) / math.pi).sqrt()
    discs = torch.stack([circle(rgba.shape[-1], r) for r in radius])[:, None]
    return torch.stack([measure(only(rgba, region)), measure(only(rgba, discs))])
""",
        "set alpha to 1": _KEEP
        + """
def keep_test(rgba, region, measure):
    radius = (region.float().sum((1, 2, 3)) / math.pi).sqrt()
    discs = torch.stack([circle(rgba.shape[-1], r) for r in radius])[:, None]
    kept = [measure(torch.cat([rgba[:, :3], where.float()], dim=1)) for where in (region, discs)]
    return torch.stack(kept) / measure(rgba)
""",
        "painted the rest black": _KEEP
        + """
def keep_test(rgba, region, measure):
    radius = (region.float().sum((1, 2, 3)) / math.pi).sqrt()
    discs = torch.stack([circle(rgba.shape[-1], r) for r in radius])[:, None]
    kept = [measure(torch.cat([rgba[:, :3] * where, rgba[:, 3:]], dim=1)) for where in (region, discs)]
    return torch.stack(kept) / measure(rgba)
""",
        "lies on the region": _KEEP
        + """
def keep_test(rgba, region, measure):
    y, x = torch.meshgrid(*[torch.arange(rgba.shape[-1]).float()] * 2, indexing="ij")
    kept = [measure(only(rgba, region))]
    area = region.sum((1, 2, 3), keepdim=True)
    cy, cx = ((region * c).sum((1, 2, 3), keepdim=True) / area for c in (y, x))
    kept.append(measure(only(rgba, (y - cy) ** 2 + (x - cx) ** 2 < area / math.pi)))
    return torch.stack(kept) / measure(rgba)
""",
    },
    "merged": {
        "still multiplied by alpha": """
def merged(front, back):
    a, b = front[:, 3:], back[:, 3:]
    return torch.cat([a * front[:, :3] + (1 - a) * b * back[:, :3], a + b - a * b], dim=1)
""",
        "laid the back layer over the front": """
def merged(front, back):
    a, b = back[:, 3:], front[:, 3:]
    total = a + b - a * b
    colours = (a * back[:, :3] + (1 - a) * b * front[:, :3]) / total.clamp(min=1e-9)
    return torch.cat([colours, total], dim=1)
""",
        "counts as opaque": """
def merged(front, back):
    a, b = front[:, 3:], back[:, 3:]
    return torch.cat([torch.lerp(back[:, :3], front[:, :3], a), a + b - a * b], dim=1)
""",
        "do not simply add up": """
def merged(front, back):
    a, b = front[:, 3:], back[:, 3:]
    colours = (a * front[:, :3] + (1 - a) * b * back[:, :3]) / (a + b - a * b).clamp(min=1e-9)
    return torch.cat([colours, a + b], dim=1)
""",
        "front layer alone": """
def merged(front, back):
    a, b = front[:, 3:], back[:, 3:]
    colours = (a * front[:, :3] + (1 - a) * b * back[:, :3]) / (a + b - a * b).clamp(min=1e-9)
    return torch.cat([colours, a], dim=1)
""",
        "NaN": """
def merged(front, back):
    a, b = front[:, 3:], back[:, 3:]
    total = a + b - a * b
    return torch.cat([(a * front[:, :3] + (1 - a) * b * back[:, :3]) / total, total], dim=1)
""",
    },
}
