"""Planted wrong answers to lesson 07: {exercise: {words of the hint it must get: source}}; and good ones."""

RIGHT = {
    "receptive_field": """
def receptive_field(layers):
    side = 1
    for kernel, stride in reversed(layers):
        side = (side - 1) * stride + kernel
    return side
""",
    "freeing_objective": """
def freeing_objective(x):
    values = []
    for a in x:
        values.append(a.relu().mean() if a.max() > 0 else F.softplus(a).mean())
    return torch.stack(values)
""",
    "direction_objective": """
def direction_objective(activation, vector, power):
    a = activation.movedim(1, -1)
    cosine = F.cosine_similarity(a, vector, dim=-1).clamp(min=0.1)
    return ((a @ vector) * cosine**power).flatten(1).mean(dim=1)
""",
}

WRONG = {
    "receptive_field": {
        "left the strides out": """
def receptive_field(layers):
    side = 1
    for kernel, stride in layers:
        side = side + kernel - 1
    return side
""",
        "layer's own stride": """
def receptive_field(layers):
    r = 1
    for k, s in layers:
        r += (k - 1) * s
    return r
""",
        "strides multiply": """
def receptive_field(layers):
    side, distance = 1, 0
    for kernel, stride in layers:
        side += (kernel - 1) * distance
        distance += stride
    return side
""",
        "widen the side first": """
def receptive_field(layers):
    side = apart = 1
    for kernel, stride in layers:
        apart = apart * stride
        side = side + (kernel - 1) * apart
    return side
""",
        "do not overlap": """
def receptive_field(layers):
    total, distance = 1, 1
    for layer in layers:
        total += layer[0] * distance
        distance *= layer[1]
    return total
""",
        "sees one": """
def receptive_field(layers):
    n, jump = 0, 1
    for k, s in layers:
        n, jump = n + (k - 1) * jump, jump * s
    return n
""",
        "how far neighbours are apart": """
def receptive_field(layers):
    jump = 1
    for _, stride in layers:
        jump *= stride
    return jump
""",
    },
    "freeing_objective": {
        "flat below 0, and": """
def freeing_objective(x):
    return x.clamp(min=0).mean(dim=(1, 2))
""",
        "positions with x < 0 get a gradient": """
def freeing_objective(x):
    return F.leaky_relu(x, 0.1).mean(dim=(1, 2))
""",
        "decide for each picture by itself": """
def freeing_objective(x):
    if (x > 0).any():
        return x.relu().mean(dim=(1, 2))
    return x.mean(dim=(1, 2))
""",
        "sign is turned round": """
def freeing_objective(x):
    active = (x > 0).flatten(1).any(dim=1)
    return torch.where(active, x.relu().mean(dim=(1, 2)), x.abs().mean(dim=(1, 2)))
""",
        "the same value and gradient": """
def freeing_objective(x):
    active = (x > 0).flatten(1).any(dim=1)
    return torch.where(active, x.relu().sum(dim=(1, 2)), x.amax(dim=(1, 2)))
""",
        "one number for each picture": """
def freeing_objective(x):
    return x.mean() if (x <= 0).all() else x.relu().mean()
""",
    },
    "direction_objective": {
        "before the power": """
def direction_objective(activation, vector, power):
    dot = torch.einsum("bchw,c->bhw", activation, vector)
    cosine = dot / (activation.norm(dim=1) * vector.norm())
    return (dot * (cosine**power).clamp(min=0.1)).mean(dim=(1, 2))
""",
        "over the map first": """
def direction_objective(activation, vector, power):
    a = activation.flatten(2).mean(dim=2)
    dot = a @ vector
    return dot * F.cosine_similarity(a, vector[None], dim=1).clamp(min=0.1) ** power
""",
        "angle is left out": """
def direction_objective(activation, vector, power):
    return torch.einsum("bchw,c->bhw", activation, vector).flatten(1).mean(dim=1)
""",
        "bound is missing": """
def direction_objective(activation, vector, power):
    v = vector[None, :, None, None]
    cosine = F.cosine_similarity(activation, v, dim=1)
    return ((activation * v).sum(dim=1) * cosine**power).mean(dim=(1, 2))
""",
        "bound is 0": """
def direction_objective(activation, vector, power):
    v = vector[None, :, None, None]
    cosine = F.cosine_similarity(activation, v, dim=1)
    return ((activation * v).sum(dim=1) * cosine.relu() ** power).mean(dim=(1, 2))
""",
        "length of v": """
def direction_objective(activation, vector, power):
    dot = torch.einsum("bchw,c->bhw", activation, vector)
    cosine = dot / activation.square().sum(dim=1).sqrt()
    return (dot * cosine.clamp(min=0.1) ** power).mean(dim=(1, 2))
""",
        "angle alone": """
def direction_objective(activation, vector, power):
    cosine = F.cosine_similarity(activation, vector[None, :, None, None], dim=1)
    return (cosine.clamp(min=0.1) ** power).mean(dim=(1, 2))
""",
        "take their mean": """
def direction_objective(activation, vector, power):
    v = vector[None, :, None, None]
    cosine = F.cosine_similarity(activation, v, dim=1).clamp(min=0.1)
    return ((activation * v).sum(dim=1) * cosine**power).sum(dim=(1, 2))
""",
    },
}
