"""Planted wrong answers to lesson 13: {exercise: {words of the hint it must get: source}}; and good ones."""

RIGHT = {
    "adam_by_degree": """
def adam_by_degree(gradient, memory):
    L = math.isqrt(gradient.shape[-1]) - 1
    counts = [2 * l + 1 for l in range(L + 1)]
    memory.setdefault("m", torch.zeros_like(gradient))
    memory.setdefault("v", torch.zeros_like(gradient))
    memory["t"] = memory.get("t", 0) + 1
    squares = [part.pow(2).mean(-1, keepdim=True).expand_as(part) for part in gradient.split(counts, dim=-1)]
    memory["m"].lerp_(gradient, 0.1)
    memory["v"].lerp_(torch.cat(squares, dim=-1), 0.001)
    m, v = memory["m"] / (1 - 0.9 ** memory["t"]), memory["v"] / (1 - 0.999 ** memory["t"])
    return m / (v.sqrt() + 1e-8)
""",
    "zonal_convolution": """
def zonal_convolution(f, h):
    parts = f.split([2 * l + 1 for l in range(len(h))], dim=-1)
    return torch.cat([h[l] * math.sqrt(4 * math.pi / (2 * l + 1)) * part for l, part in enumerate(parts)], dim=-1)
""",
}

WRONG = {
    "zonal_convolution": {
        "forgot √(4π/(2l+1))": """
def zonal_convolution(f, h):
    counts = 2 * torch.arange(len(h)) + 1
    return f * h.repeat_interleave(counts)
""",
        "go by m": """
def zonal_convolution(f, h):
    out = torch.zeros_like(f)
    for l in range(len(h)):
        for m in range(-l, l + 1):
            i = l * l + l + m
            out[..., i] = math.sqrt(4 * math.pi / (2 * l + 1)) * h[abs(m)] * f[..., i]
    return out
""",
        "stands on its head": """
def zonal_convolution(f, h):
    counts = 2 * torch.arange(len(h)) + 1
    return f * (h * (counts / (4 * math.pi)) ** 0.5).repeat_interleave(counts)
""",
        "wants its square root": """
def zonal_convolution(f, h):
    counts = 2 * torch.arange(len(h)) + 1
    return f * (h * 4 * math.pi / counts).repeat_interleave(counts)
""",
        "2π too many": """
def zonal_convolution(f, h):
    counts = 2 * torch.arange(len(h)) + 1
    return f * (2 * math.pi * h * (4 * math.pi / counts) ** 0.5).repeat_interleave(counts)
""",
        "left m ≠ 0 out": """
def zonal_convolution(f, h):
    out = torch.zeros_like(f)
    for l in range(len(h)):
        out[..., l * l + l] = math.sqrt(4 * math.pi / (2 * l + 1)) * h[l] * f[..., l * l + l]
    return out
""",
        "no gradient reaches": """
def zonal_convolution(f, h):
    counts = 2 * torch.arange(len(h)) + 1
    return f * (h.detach() * (4 * math.pi / counts) ** 0.5).repeat_interleave(counts)
""",
    },
    "adam_by_degree": {
        "a rotation mixes": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = 0.999 * memory.get("v", 0) + 0.001 * gradient**2
    memory.update(t=t, m=m, v=v)
    return m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
""",
        "each degree has a size of its own": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = 0.999 * memory.get("v", 0) + 0.001 * (gradient**2).mean(dim=-1, keepdim=True)
    memory.update(t=t, m=m, v=v)
    return m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
""",
        "not their sum": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    squares = dip.spherical_harmonics.power(gradient)[..., l]
    v = 0.999 * memory.get("v", 0) + 0.001 * squares * (2 * l + 1)
    memory.update(t=t, m=m, v=v)
    return m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
""",
        "1 − βᵗ": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = 0.999 * memory.get("v", 0) + 0.001 * dip.spherical_harmonics.power(gradient)[..., l]
    memory.update(t=t, m=m, v=v)
    return m / ((v).sqrt() + 1e-8)
""",
        "not over the batch": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = 0.999 * memory.get("v", 0) + 0.001 * dip.spherical_harmonics.power(gradient).mean(dim=0)[l]
    memory.update(t=t, m=m, v=v)
    return m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
""",
        "running mean of the gradient": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = gradient
    v = 0.999 * memory.get("v", 0) + 0.001 * dip.spherical_harmonics.power(gradient)[..., l]
    memory.update(t=t, v=v)
    return m / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
""",
        "running mean of squares": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = dip.spherical_harmonics.power(gradient)[..., l]
    memory.update(t=t, m=m)
    return m / (1 - 0.9**t) / ((v).sqrt() + 1e-8)
""",
        "against the gradient": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = 0.999 * memory.get("v", 0) + 0.001 * dip.spherical_harmonics.power(gradient)[..., l]
    memory.update(t=t, m=m, v=v)
    return -m / (1 - 0.9**t) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
""",
        "of the gradient's shape": """
def adam_by_degree(gradient, memory):
    t = memory.get("t", 0) + 1
    l = dip.spherical_harmonics.degrees(math.isqrt(gradient.shape[-1]) - 1)
    m = 0.9 * memory.get("m", 0) + 0.1 * gradient
    v = 0.999 * memory.get("v", 0) + 0.001 * dip.spherical_harmonics.power(gradient)[..., l]
    memory.update(t=t, m=m, v=v)
    return (m / (v.sqrt() + 1e-8))[0]
""",
    },
    "sphere_mean": {
        "forgot sin θ": """
def sphere_mean(values):
    return values.flatten(-2).mean(dim=-1)
""",
        "weigh by cos θ": """
def sphere_mean(values):
    theta = torch.pi * (torch.arange(values.shape[-2]) + 0.5) / values.shape[-2]
    w = theta.cos().abs()
    return torch.einsum("...hw,h->...", values, w) / w.sum() / values.shape[-1]
""",
        "begin at the pole itself": """
def sphere_mean(values):
    theta = torch.pi * torch.arange(values.shape[-2]) / values.shape[-2]
    w = theta.sin()[:, None].expand(values.shape[-2:])
    return (values * w).sum(dim=(-2, -1)) / w.sum()
""",
        "mean of the constant 1 is not 1": """
def sphere_mean(values):
    H, W = values.shape[-2:]
    theta = torch.pi * (torch.arange(H) + 0.5) / H
    area = theta.sin()[:, None] * (torch.pi / H) * (2 * torch.pi / W)
    return (values * area).sum(dim=(-2, -1)) / (4 * torch.pi)
""",
        "the mean is the integral over 4π": """
def sphere_mean(values):
    H, W = values.shape[-2:]
    w = (torch.pi * (torch.arange(H) + 0.5) / H).sin()[:, None].expand(H, W)
    return 4 * torch.pi * (values * w).sum(dim=(-2, -1)) / w.sum()
""",
        "have the integral": """
def sphere_mean(values):
    H, W = values.shape[-2:]
    theta = torch.pi * (torch.arange(H) + 0.5) / H
    area = theta.sin()[:, None] * (torch.pi / H) * (2 * torch.pi / W)
    return (values * area).sum(dim=(-2, -1))
""",
        "unnormalised": """
def sphere_mean(values):
    H = values.shape[-2]
    w = (torch.pi * (torch.arange(H) + 0.5) / H).sin()[:, None]
    return (values * w).mean(dim=(-2, -1))
""",
    },
    "correlation": {
        "transposed": """
def correlation(f, psi):
    L = math.isqrt(len(f)) - 1
    parts = []
    for l in range(L + 1):
        a, b = f[l * l : (l + 1) ** 2], psi[l * l : (l + 1) ** 2]
        parts.append((b[:, None] * a[None, :]).flatten())
    return torch.cat(parts)
""",
        "middle column only": """
def correlation(f, psi):
    parts = []
    for l in range(math.isqrt(len(f))):
        a = f[l * l : (l + 1) ** 2]
        m = torch.zeros(2 * l + 1, 2 * l + 1)
        m[:, l] = a * psi[l * l + l]
        parts.append(m.flatten())
    return torch.cat(parts)
""",
        "diagonal only": """
def correlation(f, psi):
    parts = []
    for l in range(math.isqrt(len(f))):
        a, b = f[l * l : (l + 1) ** 2], psi[l * l : (l + 1) ** 2]
        parts.append((torch.eye(2 * l + 1) * (a * b)[:, None]).flatten())
    return torch.cat(parts)
""",
        "divided by 2l + 1": """
def correlation(f, psi):
    parts = []
    for l in range(math.isqrt(len(f))):
        a, b = f[l * l : (l + 1) ** 2], psi[l * l : (l + 1) ** 2]
        parts.append((a[:, None] * b / (2 * l + 1)).flatten())
    return torch.cat(parts)
""",
        "should return shape": """
def correlation(f, psi):
    return torch.outer(f, psi).flatten()
""",
    },
}
