"""Planted wrong answers to lesson 06: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "total_variation": {
        "squared the differences": """
def total_variation(x):
    a, d = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return ((a**2).sum(dim=(1, 2, 3)) + (d**2).sum(dim=(1, 2, 3))) / x[0, 0].numel()
""",
        "compared with the first": """
def total_variation(x):
    a, d = torch.roll(x, 1, dims=3) - x, torch.roll(x, 1, dims=2) - x
    return (a.abs() + d.abs()).sum(dim=(1, 2, 3)) / x[0, 0].numel()
""",
        "averaged over the differences": """
def total_variation(x):
    a, d = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return a.abs().mean(dim=(1, 2, 3)) + d.abs().mean(dim=(1, 2, 3))
""",
        "lower neighbour counts too": """
def total_variation(x):
    return (x[..., 1:] - x[..., :-1]).abs().sum(dim=(1, 2, 3)) / x[0, 0].numel()
""",
        "under a root": """
def total_variation(x):
    a, d = torch.zeros_like(x), torch.zeros_like(x)
    a[..., :-1] = x[..., 1:] - x[..., :-1]
    d[..., :-1, :] = x[..., 1:, :] - x[..., :-1, :]
    return (a**2 + d**2 + 1e-12).sqrt().sum(dim=(1, 2, 3)) / x[0, 0].numel()
""",
        "not divided by H·W": """
def total_variation(x):
    return x.diff(dim=3).abs().sum(dim=(1, 2, 3)) + x.diff(dim=2).abs().sum(dim=(1, 2, 3))
""",
        "rises and falls cancel": """
def total_variation(x):
    return (x.diff(dim=3).sum(dim=(1, 2, 3)) + x.diff(dim=2).sum(dim=(1, 2, 3))) / x[0, 0].numel()
""",
        "over channels too": """
def total_variation(x):
    return (x.diff(dim=3).abs().sum(dim=(1, 2, 3)) + x.diff(dim=2).abs().sum(dim=(1, 2, 3))) / x[0].numel()
""",
        "should return shape (2,)": """
def total_variation(x):
    return (x.diff(dim=3).abs().sum() + x.diff(dim=2).abs().sum()) / x[0, 0].numel()
""",
        "no gradient reaches": """
def total_variation(x):
    x = x.detach()
    return (x.diff(dim=3).abs().sum(dim=(1, 2, 3)) + x.diff(dim=2).abs().sum(dim=(1, 2, 3))) / x[0, 0].numel()
""",
    },
    "blur_pull": {
        "is the blurred picture": """
def blur_pull(x):
    y = sum(torch.roll(x, (i, j), (2, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1))
    return (y + x) / 10
""",
        "points the other way": """
def blur_pull(x):
    y = sum(torch.roll(x, (i, j), (2, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1))
    return x - (y + x) / 10
""",
        "wants 2πf": """
def blur_pull(x):
    h, w = x.shape[-2:]
    d, a = torch.cos(torch.fft.fftfreq(h))[:, None], torch.cos(torch.fft.rfftfreq(w))
    return torch.fft.irfft2(((2 + 2 * a + 2 * d + 4 * a * d) / 10 - 1) * torch.fft.rfft2(x), s=(h, w))
""",
        "border is black": """
def blur_pull(x):
    p = F.pad(x, (1, 1, 1, 1))
    h, w = x.shape[-2:]
    y = sum(p[..., i : i + h, j : j + w] for i in range(3) for j in range(3))
    return (y + x) / 10 - x
""",
        "border is mirrored": """
def blur_pull(x):
    p = F.pad(x, (1, 1, 1, 1), mode="reflect")
    h, w = x.shape[-2:]
    y = sum(p[..., i : i + h, j : j + w] for i in range(3) for j in range(3))
    return (y + x) / 10 - x
""",
        "middle counts twice": """
def blur_pull(x):
    return sum(torch.roll(x, (i, j), (2, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9 - x
""",
    },
    "with_magnitude": {
        "keeps its own magnitudes": """
def with_magnitude(z, magnitude):
    return torch.fft.irfft2(torch.fft.rfft2(z) * magnitude, s=z.shape[-2:])
""",
        "the way back needs it too": """
def with_magnitude(z, magnitude):
    phase = torch.fft.rfft2(z).angle()
    return torch.fft.irfft2(magnitude * torch.exp(1j * phase), s=z.shape[-2:])
""",
        "phases have the wrong sign": """
def with_magnitude(z, magnitude):
    phase = torch.fft.rfft2(z).angle()
    return torch.fft.irfft2(magnitude * torch.exp(-1j * phase), s=z.shape[-2:], norm="ortho")
""",
        "phases are all 0": """
def with_magnitude(z, magnitude):
    waves = torch.fft.rfft2(z)
    return torch.fft.irfft2(magnitude * waves.abs() / waves.abs() + 0j, s=z.shape[-2:], norm="ortho")
""",
    },
}
