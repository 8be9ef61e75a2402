"""Planted wrong answers to lesson 11: {exercise: {words of the hint it must get: source}}; and good ones."""

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
        "acos is missing": """
def slerp(a, b, t):
    omega = F.cosine_similarity(a, b, dim=-1)[..., None]
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
""",
        "goes down the columns": """
def slerp(a, b, t):
    omega = torch.acos(F.cosine_similarity(a, b, dim=0))
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
""",
        "one for the whole batch": """
def slerp(a, b, t):
    omega = torch.acos((a * b).sum() / (a.norm() * b.norm()))
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
""",
        "no gradient reaches": """
def slerp(a, b, t):
    a, b = a.detach(), b.detach()
    omega = torch.acos(F.cosine_similarity(a, b, dim=-1))[..., None]
    return (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
""",
    },
    "matched_rate": {
        "one rule of three is not enough": """
def matched_rate(moved, goal, rate):
    return rate * goal / moved(rate)
""",
        "upside down": """
def matched_rate(moved, goal, rate):
    return rate * moved(rate) / goal
""",
        "gave back the rate": """
def matched_rate(moved, goal, rate):
    while moved(rate) > goal:
        rate = rate / 2
    return rate
""",
        "that is how far the picture moves": """
def matched_rate(moved, goal, rate):
    for _ in range(20):
        rate = rate * goal / moved(rate)
    return moved(rate)
""",
        "of the goal; 98 to 102 % will do": """
def matched_rate(moved, goal, rate):
    while moved(rate) < goal:
        rate = rate * 1.5
    return rate
""",
    },
    "conditional_direction": {
        "that is f's own direction": """
def conditional_direction(u, f, g):
    b = torch.linalg.lstsq(u - u.mean(0), (f - f.mean())[:, None]).solution[:, 0]
    return b / b.norm()
""",
        "you took away all of g's direction": """
def conditional_direction(u, f, g):
    answers = torch.stack([f - f.mean(), g - g.mean()], dim=1)
    b, c = torch.linalg.lstsq(u - u.mean(0), answers).solution.T
    return F.normalize(b - c, dim=0)
""",
        "divide by the length of g's direction": """
def conditional_direction(u, f, g):
    answers = torch.stack([f - f.mean(), g - g.mean()], dim=1)
    b, c = torch.linalg.lstsq(u - u.mean(0), answers).solution.T
    return F.normalize(b - (b @ c) * c, dim=0)
""",
        "f's share out of g's": """
def conditional_direction(u, f, g):
    answers = torch.stack([f - f.mean(), g - g.mean()], dim=1)
    b, c = torch.linalg.lstsq(u - u.mean(0), answers).solution.T
    return F.normalize(c - (b @ c) / (b @ b) * b, dim=0)
""",
        "a direction has length 1": """
def conditional_direction(u, f, g):
    answers = torch.stack([f - f.mean(), g - g.mean()], dim=1)
    b, c = torch.linalg.lstsq(u - u.mean(0), answers).solution.T
    return b - (b @ c) / (c @ c) * c
""",
        "take the means away": """
def conditional_direction(u, f, g):
    b, c = torch.linalg.lstsq(u, torch.stack([f, g], dim=1)).solution.T
    return F.normalize(b - (b @ c) / (c @ c) * c, dim=0)
""",
        "turn it round": """
def conditional_direction(u, f, g):
    answers = torch.stack([f - f.mean(), g - g.mean()], dim=1)
    b, c = torch.linalg.lstsq(u - u.mean(0), answers).solution.T
    return F.normalize((b @ c) / (c @ c) * c - b, dim=0)
""",
        "it should return shape": """
def conditional_direction(u, f, g):
    answers = torch.stack([f - f.mean(), g - g.mean()], dim=1)
    return torch.linalg.lstsq(u - u.mean(0), answers).solution
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
        "each column of eigh's matrix is a direction": """
def principal_directions(w, count):
    variance, vectors = torch.linalg.eigh(torch.cov(w.T))
    rows = vectors.flip(0)[:count] * variance.flip(0)[:count, None].sqrt()
    return rows * rows.sum(1, keepdim=True).sign()
""",
        "and left them at length 1": """
def principal_directions(w, count):
    variance, vectors = torch.linalg.eigh(torch.cov(w.T))
    rows = vectors.flip(0)[:count]
    return rows * rows.sum(1, keepdim=True).sign()
""",
        "right up to the sign": """
def principal_directions(w, count):
    _, s, rows = torch.linalg.svd(w - w.mean(0), full_matrices=False)
    rows = s[:count, None] * rows[:count] / len(w) ** 0.5
    return rows * rows[:, :1].sign()
""",
    },
}

RIGHT = {
    "slerp": """
def slerp(a, b, t):
    unit = a / a.norm(dim=-1, keepdim=True)
    side = b / b.norm(dim=-1, keepdim=True)
    omega = torch.arccos((unit * side).sum(dim=-1, keepdim=True))
    weight = torch.sin(t * omega) / torch.sin(omega)
    return torch.sin(omega - t * omega) / torch.sin(omega) * a + weight * b
""",
    "matched_rate": """
def matched_rate(moved, goal, rate):
    low, high = 0.0, rate
    while moved(high) < goal:
        high = 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if moved(middle) < goal else (low, middle)
    return middle
""",
    "conditional_direction": """
def conditional_direction(u, f, g):
    b, c = (((y - y.mean()) @ (u - u.mean(dim=0))) / len(u) for y in (f, g))
    c = F.normalize(c, dim=0)
    return F.normalize(b - (b @ c) * c, dim=0)
""",
    "principal_directions": """
def principal_directions(w, count):
    _, s, rows = torch.linalg.svd(w - w.mean(dim=0), full_matrices=False)
    rows = s[:count, None] * rows[:count] / len(w) ** 0.5
    return torch.where(rows.sum(dim=1, keepdim=True) < 0, -rows, rows)
""",
}
