"""Planted wrong answers to lesson 10: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "laid_over": {
        "mixed stored values": """
def laid_over(rgba, background, gamma):
    return torch.lerp(background.expand(len(rgba), 3, *rgba.shape[2:]), rgba[:, :3], rgba[:, 3:])
""",
        "is light still": """
def laid_over(rgba, background, gamma):
    c, a = rgba.split([3, 1], dim=1)
    return a * c.pow(gamma) + (1 - a) * background.pow(gamma)
""",
        "background was mixed as it is stored": """
def laid_over(rgba, background, gamma):
    c, a = rgba.split([3, 1], dim=1)
    return (a * c.pow(gamma) + (1 - a) * background).pow(1 / gamma)
""",
        "colours were mixed as they are stored": """
def laid_over(rgba, background, gamma):
    c, a = rgba.split([3, 1], dim=1)
    return (a * c + (1 - a) * background.pow(gamma)).pow(1 / gamma)
""",
        "it gets no power": """
def laid_over(rgba, background, gamma):
    light = rgba.pow(gamma)
    a = light[:, 3:]
    return (a * light[:, :3] + (1 - a) * background.pow(gamma)).pow(1 / gamma)
""",
        "shines through what covers it": """
def laid_over(rgba, background, gamma):
    c, a = rgba.split([3, 1], dim=1)
    return (a * c.pow(gamma) + background.pow(gamma)).pow(1 / gamma)
""",
        "the wrong way round": """
def laid_over(rgba, background, gamma):
    c, a = rgba.split([3, 1], dim=1)
    return ((1 - a) * c.pow(gamma) + a * background.pow(gamma)).pow(1 / gamma)
""",
        "no number where all is black": """
def laid_over(rgba, background, gamma):
    c, a = rgba.split([3, 1], dim=1)
    return (a * c.pow(gamma) + (1 - a) * background.pow(gamma)).pow(1 / gamma)
""",
        "no gradient reaches": """
def laid_over(rgba, background, gamma):
    c, a = rgba.detach().split([3, 1], dim=1)
    return (a * c.pow(gamma) + (1 - a) * background.pow(gamma)).pow(1 / gamma)
""",
    },
    "under_pressure": {
        "averaged alpha over the batch": """
def under_pressure(f, alpha, seen):
    return 0.5 * f * (1 - alpha.mean()) + 0.5 * f * (1 - seen.mean())
""",
        "rewarded opacity": """
def under_pressure(f, alpha, seen):
    return f * (alpha.mean((1, 2, 3)) + seen.mean((1, 2, 3))) / 2
""",
        "subtracted the opacity": """
def under_pressure(f, alpha, seen):
    return f - alpha.mean((1, 2, 3)) / 2 - seen.mean((1, 2, 3)) / 2
""",
        "left the view out": """
def under_pressure(f, alpha, seen):
    return f - f * alpha.mean((1, 2, 3))
""",
        "counts one half": """
def under_pressure(f, alpha, seen):
    return f * (2 - alpha.mean((1, 2, 3)) - seen.mean((1, 2, 3)))
""",
        "averaged, not multiplied": """
def under_pressure(f, alpha, seen):
    for a in (alpha, seen):
        f = f - f * a.mean((1, 2, 3))
    return f
""",
        "should return shape (3,)": """
def under_pressure(f, alpha, seen):
    return (f * (1 - alpha.mean((1, 2, 3)) / 2 - seen.mean((1, 2, 3)) / 2)).mean()
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
