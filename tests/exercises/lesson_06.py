"""Planted wrong answers to lesson 06: {exercise: {words of the hint it must get: source}}; and good ones."""

_FIT = """
def fitted(picture, goal, where, lr, steps, penalty=lambda x: 0):
    adam = torch.optim.Adam(picture.parameters(), lr=lr)
    for _ in range(steps):
        x = picture()
        loss = ((x - goal) * where).square().sum() / where.sum() / 3 + penalty(x)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return picture()

def seeded():
    return torch.Generator().manual_seed(0)

"""

RIGHT = {
    "from_phases": """
def from_phases(phase, magnitude, size):
    components = torch.complex(magnitude * torch.cos(phase), magnitude * torch.sin(phase))
    return torch.fft.irfft2(components, s=size, norm="ortho")
""",
    "restored": _FIT
    + """
def restored(given, known):
    def rough(x):
        return 0.02 * (x.diff(dim=3).abs().sum() + x.diff(dim=2).abs().sum()) / x.numel()
    return fitted(dip.Pixels(given.shape[-1], generator=seeded()), given, known, 0.1, 200, rough)
""",
    "blur_pull": """
def blur_pull(x):
    kernel = torch.tensor([[1.0, 1, 1], [1, 2, 1], [1, 1, 1]]) / 10
    kernel[1, 1] -= 1
    y = F.pad(x, (1, 1, 1, 1), mode="circular")
    return F.conv2d(y, kernel.repeat(x.shape[1], 1, 1, 1), groups=x.shape[1])
""",
}

WRONG = {
    "from_phases": {
        "your phases are lost": """
def from_phases(phase, magnitude, size):
    components = magnitude.expand_as(phase) * torch.exp(1j * phase).abs()
    return torch.fft.irfft2(components.to(torch.complex64), s=size, norm="ortho")
""",
        "the real part alone": """
def from_phases(phase, magnitude, size):
    return torch.fft.irfft2((magnitude * phase.cos()).to(torch.complex64), s=size, norm="ortho")
""",
        "the way back needs it": """
def from_phases(phase, magnitude, size):
    return torch.fft.irfft2(magnitude * torch.exp(1j * phase), s=size)
""",
        "turned upside down": """
def from_phases(phase, magnitude, size):
    return torch.fft.irfft2(magnitude * torch.exp(-1j * phase), s=size, norm="ortho")
""",
        "it should return shape": """
def from_phases(phase, magnitude, size):
    return torch.fft.irfft2(magnitude * torch.exp(1j * phase), norm="ortho")
""",
        "a phase is an angle": """
def from_phases(phase, magnitude, size):
    return torch.fft.irfft2(magnitude * phase.to(torch.complex64), s=size, norm="ortho")
""",
    },
    "restored": {
        "came out black": _FIT
        + """
def restored(given, known):
    picture = dip.Pyramid(given.shape[-1], generator=seeded())
    return fitted(picture, given, torch.ones_like(known), 0.05, 80)
""",
        "no prior reaches those pixels": _FIT
        + """
def restored(given, known):
    return fitted(dip.Pixels(given.shape[-1], generator=seeded()), given, known, 0.05, 80)
""",
        "was not kept": """
def restored(given, known):
    return (given.sum(dim=(2, 3), keepdim=True) / known.sum()).expand_as(given)
""",
        "too weak, or at too fine a scale": _FIT
        + """
def restored(given, known):
    return fitted(dip.Fourier(given.shape[-1], decay=2, generator=seeded()), given, known, 0.05, 25)
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
}
