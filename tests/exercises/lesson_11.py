"""Planted wrong answers to lesson 11: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "slerp": {
        "straight line through the ball": """
def slerp(a, b, t):
    return (1 - t) * a + t * b
""",
        "you walk from b to a": """
def slerp(a, b, t):
    omega = torch.acos(F.cosine_similarity(a, b, dim=-1))[..., None]
    return (torch.sin(t * omega) * a + torch.sin((1 - t) * omega) * b) / torch.sin(omega)
""",
        "lost their lengths": """
def slerp(a, b, t):
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    omega = torch.acos((a * b).sum(dim=1, keepdim=True))
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
""",
        "pushed out to the sphere": """
def slerp(a, b, t):
    middle = (1 - t) * a + t * b
    length = (1 - t) * a.norm(dim=-1, keepdim=True) + t * b.norm(dim=-1, keepdim=True)
    return middle / middle.norm(dim=-1, keepdim=True) * length
""",
        "must be divided by sin": """
def slerp(a, b, t):
    omega = torch.acos(F.cosine_similarity(a, b, dim=-1))[..., None]
    return torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b
""",
        "no gradient reaches": """
def slerp(a, b, t):
    a, b = a.detach(), b.detach()
    omega = torch.acos(F.cosine_similarity(a, b, dim=-1))[..., None]
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
""",
    },
    "style_mix": {
        "gave b to the layers outside": """
def style_mix(a, b, first, last, layers):
    w = b[:, None].repeat(1, layers, 1)
    w[:, first:last] = a[:, None]
    return w
""",
        "layer last has b too": """
def style_mix(a, b, first, last, layers):
    rows = [b if first <= k <= last else a for k in range(layers)]
    return torch.stack(rows, dim=1)
""",
        "begins at first": """
def style_mix(a, b, first, last, layers):
    return torch.stack([b if k < last else a for k in range(layers)], dim=1)
""",
        "ends before last": """
def style_mix(a, b, first, last, layers):
    return torch.stack([b if k >= first else a for k in range(layers)], dim=1)
""",
        "should return shape": """
def style_mix(a, b, first, last, layers):
    return torch.stack([b if first <= k < last else a for k in range(layers)])
""",
    },
    "principal_directions": {
        "forgot to take away the mean": """
def principal_directions(w, count):
    variance, vectors = torch.linalg.eigh(w.T @ w / len(w))
    rows = (vectors * variance.clamp(min=0).sqrt()).T.flip(0)[:count]
    return rows * rows.sum(1, keepdim=True).sign()
""",
        "have length 1": """
def principal_directions(w, count):
    _, vectors = torch.linalg.eigh(torch.cov(w.T))
    rows = vectors.T.flip(0)[:count]
    return rows * rows.sum(1, keepdim=True).sign()
""",
        "take its root": """
def principal_directions(w, count):
    x = w - w.mean(0)
    _, s, rows = torch.linalg.svd(x, full_matrices=False)
    rows = (s**2 / len(w))[:count, None] * rows[:count]
    return rows * rows.sum(1, keepdim=True).sign()
""",
        "from weak to strong": """
def principal_directions(w, count):
    x = w - w.mean(0)
    variance, vectors = torch.linalg.eigh(x.T @ x / len(w))
    rows = (vectors * variance.sqrt()).T[:count]
    return rows * rows.sum(1, keepdim=True).sign()
""",
    },
}
