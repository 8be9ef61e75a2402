"""Planted wrong answers to lesson 14: {exercise: {words of the hint it must get: source}}; and good ones."""

LOOKUP = """
def bilinear(texture, uv):
    C, H, W = texture.shape
    x, y = uv[:, 0] * W - 0.5, (1 - uv[:, 1]) * H - 0.5
    j, i = x.floor().long(), y.floor().long()
    a, b = x - x.floor(), y - y.floor()
    upper = torch.lerp(texture[:, i % H, j % W], texture[:, i % H, (j + 1) % W], a)
    lower = torch.lerp(texture[:, (i + 1) % H, j % W], texture[:, (i + 1) % H, (j + 1) % W], a)
    return torch.lerp(upper, lower, b).T
"""
COVERAGE = """
def soft_coverage(corners, points, softness):
    whole = torch.linalg.det(torch.cat([corners, torch.ones(3, 1)], dim=1)).sign()
    distances = []
    for a, b in zip(corners, corners[[1, 2, 0]]):
        (ex, ey), (qx, qy) = b - a, (points - a).T
        distances.append(whole * (ex * qy - ey * qx) / (b - a).norm())
    distance = torch.stack(distances).min(dim=0).values
    return torch.sigmoid(distance / softness)
"""
RIGHT = {
    "perspective_weights": """
def perspective_weights(screen, depth):
    b = screen * (1 / depth)
    return b / (b @ torch.ones(3, 1))
""",
    "bilinear": LOOKUP,
    "soft_coverage": COVERAGE,
    "match_step": """
def match_step(first_step, wanted, rate=0.05):
    low, high = 0.0, rate
    while first_step(high) < wanted:
        low, high = high, 2 * high
    for _ in range(9):
        middle = (low + high) / 2
        low, high = (middle, high) if first_step(middle) < wanted else (low, middle)
    return (low + high) / 2
""",
}

WRONG = {
    "perspective_weights": {
        "still the weights in the picture": """
def perspective_weights(screen, depth):
    return screen
""",
        "you multiplied by the depth": """
def perspective_weights(screen, depth):
    w = screen * depth
    return w / w.sum(-1, keepdim=True)
""",
        "must add up to 1": """
def perspective_weights(screen, depth):
    return screen / depth
""",
        "sum over all pixels": """
def perspective_weights(screen, depth):
    w = screen / depth
    return w / w.sum()
""",
        "once is enough": """
def perspective_weights(screen, depth):
    w = screen / depth / depth
    return w / w.sum(-1, keepdim=True)
""",
    },
    "bilinear": {
        "stands on its head": LOOKUP.replace("(1 - uv[:, 1])", "uv[:, 1]"),
        "half a texel off": LOOKUP.replace(" - 0.5", ""),
        "fractions are exchanged": LOOKUP.replace("a, b =", "b, a ="),
        "you took one texel": """
def bilinear(texture, uv):
    h, w = texture.shape[1:]
    u, v = (uv - uv.floor()).unbind(1)
    return texture[:, ((1 - v) * h).long() % h, (u * w).long()].T
""",
        "ends at its border": """
def bilinear(texture, uv):
    grid = (uv * torch.tensor([2, -2]) + torch.tensor([-1, 1]))[None, None]
    return F.grid_sample(texture[None], grid, padding_mode="border", align_corners=False)[0, :, 0].T
""",
        "exchanged u and v": LOOKUP.replace("C, H, W =", "uv = uv.flip(1)\n    C, H, W ="),
        "take `.floor()` first": LOOKUP.replace("x - x.floor(), y - y.floor()", "x - j, y - i").replace(
            ".floor().long()", ".long()"
        ),
        "from the wrong side": LOOKUP.replace("x - x.floor(), y - y.floor()", "j + 1 - x, i + 1 - y"),
        "turn yours around": LOOKUP.replace("b).T", "b)"),
    },
    "soft_coverage": {
        "multiplied three soft edges": COVERAGE.replace(
            "return torch.sigmoid(distance / softness)",
            "return torch.sigmoid(torch.stack(distances) / softness).prod(dim=0)",
        ),
        "hard edges": COVERAGE.replace("torch.sigmoid(distance / softness)", "(distance > 0).float()"),
        "no distances": COVERAGE.replace(" / (b - a).norm()", ""),
        "one order only": COVERAGE.replace("whole * (", "("),
        "sign of the whole triangle's area": COVERAGE.replace("whole * (", "-1 * ("),
        "smallest decides": COVERAGE.replace("min(dim=0)", "max(dim=0)"),
        "a wider edge": COVERAGE.replace("distance / softness", "distance * softness"),
        "your inside is outside": COVERAGE.replace("sigmoid(distance", "sigmoid(-distance"),
    },
    "match_step": {
        "one rule of three is not enough": """
def match_step(first_step, wanted, rate=0.05):
    return rate * wanted / first_step(rate)
""",
        "upside down": """
def match_step(first_step, wanted, rate=0.05):
    return rate * first_step(rate) / wanted
""",
        "20 are enough": """
def match_step(first_step, wanted, rate=0.05):
    rate = 0.001
    while first_step(rate) < wanted:
        rate += 0.001
    return rate
""",
        "of the goal; 98 to 102 % will do": """
def match_step(first_step, wanted, rate=0.05):
    moved = first_step(rate)
    return rate + (wanted - moved)
""",
    },
}
