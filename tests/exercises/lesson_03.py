"""Planted wrong answers to lesson 03: {exercise: {words of the hint it must get: source}}; and good ones."""

RIGHT = {
    "cppn": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    x = weights[0] @ x + biases[0]
    for w, b in zip(weights[1:], biases[1:]):
        a = torch.arctan(x)
        w_1, w_2 = w.chunk(2, dim=1)
        x = w_1 @ (a / 0.67) + w_2 @ (a.square() / 0.6) + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
    "cppn_start": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.normal(0.0, n**-0.5, (units, n), generator=generator) for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
    "first_step": """
@torch.no_grad()
def first_step(picture, signs, lr):
    before, kept = picture().clone(), [p.clone() for p in picture.parameters()]
    for p, s in zip(picture.parameters(), signs):
        p += lr * s
    step = (picture() - before).pow(2).mean().sqrt().item()
    for p, old in zip(picture.parameters(), kept):
        p.copy_(old)
    return step
""",
    "morph_loop": """
def morph_loop(a, b, frames):
    turn = torch.linspace(0, 2 * math.pi, frames + 1)[:-1]
    return torch.stack([torch.lerp(a, b, float(1 - torch.cos(s)) / 2) for s in turn])
""",
    "siren_bounds": """
def siren_bounds(inputs, omega):
    bounds = (6 / torch.tensor(inputs)).sqrt() / omega
    bounds[0] = 1 / inputs[0]
    return bounds
""",
}

WRONG = {
    "cppn": {
        "not scaled": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a, a * a])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "square of the scaled first one": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            a = a / 0.67
            x = torch.cat([a, a * a])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "the constant divides the square": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, (a / 0.6) ** 2])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "squared before the atan": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, torch.arctan(x * x) / 0.6])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "in the other order": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a * a / 0.6, a / 0.67])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "features alternate": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.stack([a / 0.67, a * a / 0.6], 1).flatten(0, 1)
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "subtracted the mean": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, (a * a - 0.45) / 0.396])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "biases are missing": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "last step is missing": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return x.reshape(1, 3, size, size)
""",
        "right after the head": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(torch.arctan(x) / 0.67).reshape(1, 3, size, size)
""",
        "exchanged x and y": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat_interleave(size), line.repeat(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "y grows upwards": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.flip(0).repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "they have variance 1": """
def cppn(weights, biases, size):
    line = torch.linspace(-1, 1, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "positions run from 0": """
def cppn(weights, biases, size):
    line = torch.linspace(0, 1, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "n − 1 distances": """
def cppn(weights, biases, size):
    line = 3**0.5 * (2 * torch.arange(size) / size - 1)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
        "should return shape": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x)
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(x)
""",
        "no gradient reaches": """
def cppn(weights, biases, size):
    line = torch.linspace(-(3**0.5), 3**0.5, size)
    x = torch.stack([line.repeat(size), line.repeat_interleave(size)])
    for i, (w, b) in enumerate(zip(weights, biases)):
        if i > 0:
            a = torch.arctan(x.detach())
            x = torch.cat([a / 0.67, a * a / 0.6])
        x = w @ x + b
    return torch.sigmoid(x).reshape(1, 3, size, size)
""",
    },
    "cppn_start": {
        "have the right shape": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [units]
    weights = [torch.randn(units, n, generator=generator) / n**0.5 for n in fan_in]
    weights.append(torch.zeros(3, units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "two different starts": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n) / n**0.5 for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "another generator gives the same": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n, generator=torch.Generator().manual_seed(0)) / n**0.5 for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "head is not zero": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n, generator=generator) / n**0.5 for n in fan_in]
    weights.append(torch.randn(3, 2 * units, generator=generator) / 7)
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "biases are not zero": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n, generator=generator) / n**0.5 for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.ones(w.shape[0], 1) for w in weights]
""",
        "have variance 1": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n, generator=generator) for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "so divide by its root": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n, generator=generator) / n for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "two a unit": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n, generator=generator) / (n if n == 2 else units) ** 0.5 for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "are uniform": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [(2 * torch.rand(units, n, generator=generator) - 1) / n**0.5 for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
        "times as large": """
def cppn_start(generator, layers=8, units=24):
    fan_in = [2] + (layers - 1) * [2 * units]
    weights = [torch.randn(units, n, generator=generator) / (2 * n) ** 0.5 for n in fan_in]
    weights.append(torch.zeros(3, 2 * units))
    return weights, [torch.zeros(w.shape[0], 1) for w in weights]
""",
    },
    "first_step": {
        "mean of |change|": """
@torch.no_grad()
def first_step(picture, signs, lr):
    before, kept = picture().clone(), [p.clone() for p in picture.parameters()]
    for p, s in zip(picture.parameters(), signs):
        p += lr * s
    step = (picture() - before).abs().mean().item()
    for p, old in zip(picture.parameters(), kept):
        p.copy_(old)
    return step
""",
        "root is missing": """
@torch.no_grad()
def first_step(picture, signs, lr):
    before, kept = picture().clone(), [p.clone() for p in picture.parameters()]
    for p, s in zip(picture.parameters(), signs):
        p += lr * s
    step = (picture() - before).pow(2).mean().item()
    for p, old in zip(picture.parameters(), kept):
        p.copy_(old)
    return step
""",
        "grows with the number of pixels": """
@torch.no_grad()
def first_step(picture, signs, lr):
    before, kept = picture().clone(), [p.clone() for p in picture.parameters()]
    for p, s in zip(picture.parameters(), signs):
        p += lr * s
    step = (picture() - before).norm().item()
    for p, old in zip(picture.parameters(), kept):
        p.copy_(old)
    return step
""",
        "cancel in a mean": """
@torch.no_grad()
def first_step(picture, signs, lr):
    before, kept = picture().clone(), [p.clone() for p in picture.parameters()]
    for p, s in zip(picture.parameters(), signs):
        p += lr * s
    step = (picture() - before).mean().item()
    for p, old in zip(picture.parameters(), kept):
        p.copy_(old)
    return step
""",
        "largest change": """
@torch.no_grad()
def first_step(picture, signs, lr):
    before, kept = picture().clone(), [p.clone() for p in picture.parameters()]
    for p, s in zip(picture.parameters(), signs):
        p += lr * s
    step = (picture() - before).abs().max().item()
    for p, old in zip(picture.parameters(), kept):
        p.copy_(old)
    return step
""",
        "lr itself": """
def first_step(picture, signs, lr):
    return (sum((lr * s).pow(2).sum() for s in signs) / sum(s.numel() for s in signs)) ** 0.5
""",
        "left moved": """
@torch.no_grad()
def first_step(picture, signs, lr):
    before, kept = picture().clone(), [p.clone() for p in picture.parameters()]
    for p, s in zip(picture.parameters(), signs):
        p += lr * s
    step = (picture() - before).pow(2).mean().sqrt().item()
    for p, old in zip(picture.parameters(), kept):
        pass
    return step
""",
    },
    "morph_loop": {
        "last frame is the first one again": """
def morph_loop(a, b, frames):
    t = (1 - torch.linspace(0, 2 * math.pi, frames).cos()) / 2
    return torch.stack([(1 - s) * a + s * b for s in t])
""",
        "jumps back at its end": """
def morph_loop(a, b, frames):
    return torch.stack([torch.lerp(a, b, i / frames) for i in range(frames)])
""",
        "goes there only": """
def morph_loop(a, b, frames):
    t = [(1 - math.cos(math.pi * i / frames)) / 2 for i in range(frames)]
    return torch.stack([torch.lerp(a, b, s) for s in t])
""",
        "begins at b": """
def morph_loop(a, b, frames):
    t = [(1 + math.cos(2 * math.pi * i / frames)) / 2 for i in range(frames)]
    return torch.stack([torch.lerp(a, b, s) for s in t])
""",
        "goes up to 2": """
def morph_loop(a, b, frames):
    t = [1 - math.cos(2 * math.pi * i / frames) for i in range(frames)]
    return torch.stack([(1 - s) * a + s * b for s in t])
""",
        "with a jerk": """
def morph_loop(a, b, frames):
    t = [min(2 * i / frames, 2 - 2 * i / frames) for i in range(frames)]
    return torch.stack([(1 - s) * a + s * b for s in t])
""",
        "should return shape": """
def morph_loop(a, b, frames):
    t = (1 - torch.cos(2 * math.pi * torch.arange(frames) / frames)) / 2
    return a[:, None] * (1 - t) + b[:, None] * t
""",
    },
    "siren_bounds": {
        "bound of the others": """
def siren_bounds(inputs, omega):
    return (6 / torch.tensor(inputs)).sqrt() / omega
""",
        "could not turn fast": """
def siren_bounds(inputs, omega):
    bounds = (6 / torch.tensor(inputs)).sqrt()
    bounds[0] = 1 / inputs[0]
    return bounds / omega
""",
        "you forgot ω₀": """
def siren_bounds(inputs, omega):
    return [1 / inputs[0]] + [math.sqrt(6 / n) for n in inputs[1:]]
""",
        "inside your root": """
def siren_bounds(inputs, omega):
    return [1 / inputs[0]] + [math.sqrt(6 / (n * omega)) for n in inputs[1:]]
""",
        "you multiplied by ω₀": """
def siren_bounds(inputs, omega):
    return [1 / inputs[0]] + [math.sqrt(6 / n) * omega for n in inputs[1:]]
""",
        "outside your root": """
def siren_bounds(inputs, omega):
    return [1 / inputs[0]] + [math.sqrt(6) / (n * omega) for n in inputs[1:]]
""",
        "are standard deviations": """
def siren_bounds(inputs, omega):
    return [1 / inputs[0]] + [math.sqrt(6 / n / 3) / omega for n in inputs[1:]]
""",
    },
}
