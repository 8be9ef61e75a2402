"""Planted wrong answers to lesson 14: {exercise: {words of the hint it must get: source}}."""

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
        "stands on its head": """
def bilinear(texture, uv):
    return dip.check.bilinear.target(texture.flip(1), uv)
""",
        "half a texel off": """
def bilinear(texture, uv):
    h, w = texture.shape[1:]
    return dip.check.bilinear.target(texture, uv + torch.tensor([0.5 / w, -0.5 / h]))
""",
        "fractions are exchanged": """
def bilinear(texture, uv):
    C, H, W = texture.shape
    x, y = uv[:, 0] * W - 0.5, (1 - uv[:, 1]) * H - 0.5
    j, i = x.floor().long(), y.floor().long()
    a, b = y - i, x - j
    upper = (1 - a) * texture[:, i % H, j % W] + a * texture[:, i % H, (j + 1) % W]
    lower = (1 - a) * texture[:, (i + 1) % H, j % W] + a * texture[:, (i + 1) % H, (j + 1) % W]
    return ((1 - b) * upper + b * lower).T
""",
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
        "exchanged u and v": """
def bilinear(texture, uv):
    return dip.check.bilinear.target(texture, uv[:, [1, 0]])
""",
        "turn yours around": """
def bilinear(texture, uv):
    return dip.check.bilinear.target(texture, uv).T
""",
    },
    "soft_coverage": {
        "multiplied three soft edges": """
def soft_coverage(corners, points, softness):
    covered = 1.0
    whole = torch.linalg.det(torch.cat([corners, torch.ones(3, 1)], dim=1)).sign()
    for a, b in zip(corners, corners[[1, 2, 0]]):
        (ex, ey), (qx, qy) = b - a, (points - a).T
        covered = covered * torch.sigmoid(whole * (ex * qy - ey * qx) / (b - a).norm() / softness)
    return covered
""",
        "hard edges": """
def soft_coverage(corners, points, softness):
    soft = dip.check.soft_coverage.target(corners, points, softness)
    return (soft > 0.5).float()
""",
        "no distances": """
def soft_coverage(corners, points, softness):
    along = corners.roll(-1, 0) - corners
    to = points[:, None] - corners
    e = along[:, 0] * to[..., 1] - along[:, 1] * to[..., 0]
    e = e * torch.sign(e.sum(1)[:1])
    return torch.sigmoid(e.min(dim=1).values / softness)
""",
        "one order only": """
def soft_coverage(corners, points, softness):
    along = corners.roll(-1, 0) - corners
    to = points[:, None] - corners
    e = (along[:, 0] * to[..., 1] - along[:, 1] * to[..., 0]) / along.norm(dim=1)
    return torch.sigmoid(e.min(dim=1).values / softness)
""",
        "smallest decides": """
def soft_coverage(corners, points, softness):
    along = corners.roll(-1, 0) - corners
    to = points[:, None] - corners
    e = (along[:, 0] * to[..., 1] - along[:, 1] * to[..., 0]) / along.norm(dim=1)
    e = e * torch.sign(e[:, :1].sum() * 0 + torch.linalg.det(along[:2]))
    return torch.sigmoid(e.max(dim=1).values / softness)
""",
        "a wider edge": """
def soft_coverage(corners, points, softness):
    return dip.check.soft_coverage.target(corners, points, 1 / softness)
""",
        "your inside is outside": """
def soft_coverage(corners, points, softness):
    return 1 - dip.check.soft_coverage.target(corners, points, softness)
""",
    },
}
