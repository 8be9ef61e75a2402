"""Planted wrong answers to lesson 05: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "my_views": {
        "as many; yours has 68 × 68": """
def my_views(image, generator):
    dy, dx = torch.randint(0, 13, (2,), generator=generator).tolist()
    return image[..., dy : dy + 68, dx : dx + 68]
""",
        "draw from the generator that you are given": """
def my_views(image, generator):
    dy, dx = torch.randint(-12, 13, (2,)).tolist()
    return torch.roll(image, (dy, dx), (-2, -1))
""",
        "every seed gives the same view": """
def my_views(image, generator):
    generator.manual_seed(0)
    dy, dx = torch.randint(-12, 13, (2,), generator=generator).tolist()
    return torch.roll(image, (dy, dx), (-2, -1))
""",
        "no gradient reaches": """
def my_views(image, generator):
    dy, dx = torch.randint(-12, 13, (2,), generator=generator).tolist()
    return torch.roll(image.detach(), (dy, dx), (-2, -1))
""",
        "keep them in [0, 1]": """
def my_views(image, generator):
    return image + 0.3 * torch.randn(image.shape, generator=generator)
""",
        "let your views shift as far": """
def my_views(image, generator):
    return F.avg_pool2d(image, 3, 1, 1) * torch.rand(1, generator=generator)
""",
    },
    "fair_best": {
        "the table's rule": """
def fair_best(values):
    best = values.mean(dim=2).argmax(dim=1)
    return torch.stack([arm[rate] for arm, rate in zip(values, best)])
""",
        "let the others choose": """
def fair_best(values):
    return values.max(dim=1).values
""",
        "one η for all arms": """
def fair_best(values):
    n = values.shape[2]
    columns = []
    for i in range(n):
        rest = [j for j in range(n) if j != i]
        best = values[:, :, rest].mean(dim=(0, 2)).argmax()
        columns.append(values[:, best, i])
    return torch.stack(columns, dim=1)
""",
    },
    "affine_matrix": {
        "shrinks what it should magnify": """
def affine_matrix(scale, angle, shift):
    phi = angle * math.pi / 180
    a, b = scale * phi.cos(), scale * phi.sin()
    top = torch.stack([a, -b, shift[:, 0]], dim=1)
    bottom = torch.stack([b, a, shift[:, 1]], dim=1)
    return torch.stack([top, bottom], dim=1)
""",
        "turns the other way": """
def affine_matrix(scale, angle, shift):
    phi = angle * math.pi / 180
    a, b = phi.cos() / scale, phi.sin() / scale
    top = torch.stack([a, b, shift[:, 0]], dim=1)
    bottom = torch.stack([-b, a, shift[:, 1]], dim=1)
    return torch.stack([top, bottom], dim=1)
""",
        "want radians": """
def affine_matrix(scale, angle, shift):
    a, b = angle.cos() / scale, angle.sin() / scale
    top = torch.stack([a, -b, shift[:, 0]], dim=1)
    return torch.stack([top, torch.stack([b, a, shift[:, 1]], dim=1)], dim=1)
""",
        "turned and scaled along": """
def affine_matrix(scale, angle, shift):
    phi = angle * math.pi / 180
    a, b = phi.cos() / scale, phi.sin() / scale
    x, y = shift.unbind(dim=1)
    top = torch.stack([a, -b, a * x - b * y], dim=1)
    bottom = torch.stack([b, a, b * x + a * y], dim=1)
    return torch.stack([top, bottom], dim=1)
""",
        "two numbers exchanged": """
def affine_matrix(scale, angle, shift):
    phi = angle * math.pi / 180
    a, b = phi.cos() / scale, phi.sin() / scale
    top = torch.stack([a, -b, shift[:, 1]], dim=1)
    bottom = torch.stack([b, a, shift[:, 0]], dim=1)
    return torch.stack([top, bottom], dim=1)
""",
        "no gradient reaches": """
def affine_matrix(scale, angle, shift):
    rows = []
    for s, d, (x, y) in zip(scale.tolist(), angle.tolist(), shift.tolist()):
        a, b = math.cos(math.radians(d)) / s, math.sin(math.radians(d)) / s
        rows.append([[a, -b, x], [b, a, y]])
    return torch.tensor(rows)
""",
    },
    "jitter": {
        "opposite side": """
def jitter(image, dx, dy):
    y = (torch.arange(image.shape[-2]) + dy) % image.shape[-2]
    x = (torch.arange(image.shape[-1]) + dx) % image.shape[-1]
    return image[:, :, y[:, None], x]
""",
        "border is black": """
def jitter(image, dx, dy):
    h, w = image.shape[-2:]
    M = torch.tensor([[1.0, 0.0, 2 * dx / w], [0.0, 1.0, 2 * dy / h]]).expand(len(image), 2, 3)
    grid = F.affine_grid(M, list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, padding_mode="zeros", align_corners=False)
""",
        "repeats the last pixel": """
def jitter(image, dx, dy):
    y = (torch.arange(image.shape[-2]) + dy).clamp(0, image.shape[-2] - 1)
    x = (torch.arange(image.shape[-1]) + dx).clamp(0, image.shape[-1] - 1)
    return image[:, :, y[:, None], x]
""",
        "mirror stands on the last pixel": """
def jitter(image, dx, dy):
    def fold(i, n):
        i = (i % (2 * (n - 1))).abs()
        return torch.where(i > n - 1, 2 * (n - 1) - i, i)
    y = fold(torch.arange(image.shape[-2]) + dy, image.shape[-2])
    x = fold(torch.arange(image.shape[-1]) + dx, image.shape[-1])
    return image[:, :, y[:, None], x]
""",
        "moves the other way": """
def jitter(image, dx, dy):
    h, w = image.shape[-2:]
    wide = torch.cat([image.flip(-1), image, image.flip(-1)], dim=-1)
    wide = torch.cat([wide.flip(-2), wide, wide.flip(-2)], dim=-2)
    return wide[..., h - dy : 2 * h - dy, w - dx : 2 * w - dx]
""",
    },
    "robust_value": {
        "value of the mean view": """
def robust_value(image, f, views, count, generator):
    total = 0
    for _ in range(count):
        total = total + views(image, generator) / count
    return f(total)
""",
        "divide by their number": """
def robust_value(image, f, views, count, generator):
    total = 0
    for _ in range(count):
        total = total + f(views(image, generator))
    return total
""",
        "looked once only": """
def robust_value(image, f, views, count, generator):
    view = views(image, generator)
    return torch.stack([f(view) for _ in range(count)]).mean(0)
""",
        "generator of your own": """
def robust_value(image, f, views, count, generator):
    own = torch.Generator()
    return sum(f(views(image, own)) for _ in range(count)) / count
""",
        "should return shape (2,)": """
def robust_value(image, f, views, count, generator):
    return torch.stack([f(views(image, generator)) for _ in range(count)]).mean()
""",
    },
}

RIGHT = {
    "my_views": """
def my_views(image, generator):
    views = []
    for picture in image:
        dy, dx = torch.randint(-12, 13, (2,), generator=generator).tolist()
        bright = 0.9 + 0.1 * torch.rand(1, generator=generator)
        views.append(torch.roll(picture, (dy, dx), (1, 2)) * bright)
    return torch.stack(views)
""",
    "fair_best": """
def fair_best(values):
    arms, rates, starts = values.shape
    out = torch.empty(arms, starts)
    for a in range(arms):
        for s in range(starts):
            rest = [i for i in range(starts) if i != s]
            out[a, s] = values[a, values[a][:, rest].mean(dim=1).argmax(), s]
    return out
""",
}
