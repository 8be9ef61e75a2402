"""Planted wrong answers to lesson 03: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "coordinates": {
        "there are n − 1 distances": """
def coordinates(height, width, extent):
    apart = 2 * extent / max(height, width)
    y = (torch.arange(height) - (height - 1) / 2) * apart
    x = (torch.arange(width) - (width - 1) / 2) * apart
    return torch.stack([x.repeat(height), y.repeat_interleave(width)])
""",
        "picture is stretched": """
def coordinates(height, width, extent):
    y = torch.linspace(-extent, extent, height)[:, None].expand(height, width)
    x = torch.linspace(-extent, extent, width)[None].expand(height, width)
    return torch.stack([x, y]).reshape(2, -1)
""",
        "longer side sticks out": """
def coordinates(height, width, extent):
    step = 2 * extent / (min(height, width) - 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return step * torch.stack([x - (width - 1) / 2, y - (height - 1) / 2]).flatten(1)
""",
        "exchanged x and y": """
def coordinates(height, width, extent):
    step = 2 * extent / (max(height, width) - 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return step * torch.stack([y - (height - 1) / 2, x - (width - 1) / 2]).flatten(1)
""",
        "column by column": """
def coordinates(height, width, extent):
    step = 2 * extent / (max(height, width) - 1)
    x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="ij")
    return step * torch.stack([x - (width - 1) / 2, y - (height - 1) / 2]).flatten(1)
""",
        "begin at 0": """
def coordinates(height, width, extent):
    step = 2 * extent / (max(height, width) - 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return step * torch.stack([x, y]).flatten(1)
""",
        "grows upwards": """
def coordinates(height, width, extent):
    step = 2 * extent / (max(height, width) - 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return step * torch.stack([x - (width - 1) / 2, (height - 1) / 2 - y]).flatten(1)
""",
        "should return shape": """
def coordinates(height, width, extent):
    step = 2 * extent / (max(height, width) - 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return step * torch.stack([x - (width - 1) / 2, y - (height - 1) / 2])
""",
    },
    "composite_layer": {
        "not scaled": """
def composite_layer(x, weight, bias):
    a = torch.arctan(x)
    return weight @ torch.cat([a, a * a]) + bias
""",
        "square of the scaled first one": """
def composite_layer(x, weight, bias):
    a = torch.arctan(x) / 0.67
    return weight @ torch.cat([a, a * a]) + bias
""",
        "the constant divides the square": """
def composite_layer(x, weight, bias):
    a = torch.arctan(x)
    return weight @ torch.cat([a / 0.67, (a / 0.6) ** 2]) + bias
""",
        "squared before the atan": """
def composite_layer(x, weight, bias):
    return weight @ torch.cat([torch.atan(x) / 0.67, torch.atan(x * x) / 0.6]) + bias
""",
        "in the other order": """
def composite_layer(x, weight, bias):
    a, n = torch.arctan(x), len(x)
    return weight[:, :n] @ (a * a / 0.6) + weight[:, n:] @ (a / 0.67) + bias
""",
        "features alternate": """
def composite_layer(x, weight, bias):
    a = torch.arctan(x)
    return weight[:, ::2] @ (a / 0.67) + weight[:, 1::2] @ (a * a / 0.6) + bias
""",
        "subtracted the mean": """
def composite_layer(x, weight, bias):
    a = torch.arctan(x)
    return weight @ torch.cat([a / 0.67, (a * a - 0.45) / 0.396]) + bias
""",
        "bias is missing": """
def composite_layer(x, weight, bias):
    a = torch.arctan(x)
    return weight @ torch.cat([a / 0.67, a * a / 0.6])
""",
        "no gradient reaches": """
def composite_layer(x, weight, bias):
    a = torch.arctan(x.detach())
    return weight @ torch.cat([a / 0.67, a * a / 0.6]) + bias
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
