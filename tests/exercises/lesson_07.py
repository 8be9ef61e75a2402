"""Planted wrong answers to lesson 07: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "receptive_field": {
        "left the strides out": """
def receptive_field(layers):
    side = 1
    for kernel, stride in layers:
        side = side + kernel - 1
    return side
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
    "redirect_gradient": {
        "ReLU's own gradient": """
def redirect_gradient(x, grad):
    return torch.where(x > 0, grad, torch.zeros_like(grad))
""",
        "let everything through": """
def redirect_gradient(x, grad):
    result = grad * (x > 0)
    for i in range(len(x)):
        if not result[i].any():
            result[i] = grad[i]
    return result
""",
        "sign is turned round": """
def redirect_gradient(x, grad):
    result = grad * (x > 0)
    for i in range(len(x)):
        if not result[i].any():
            result[i] = grad[i] * ((x[i] >= 0) | (grad[i] > 0))
    return result
""",
        "redirect wherever x < 0": """
def redirect_gradient(x, grad):
    blocked = (x < 0) & (grad > 0)
    return grad * ~blocked
""",
        "for each picture by itself": """
def redirect_gradient(x, grad):
    plain = grad * (x > 0)
    if plain.abs().sum() > 0:
        return plain
    return grad * ~((x < 0) & (grad > 0))
""",
        "any *gradient* gets through": """
def redirect_gradient(x, grad):
    result = grad * (x > 0)
    for i in range(len(x)):
        if x[i].max() <= 0:
            result[i] = grad[i] * ((x[i] >= 0) | (grad[i] <= 0))
    return result
""",
        "for each channel by itself": """
def redirect_gradient(x, grad):
    result = grad * (x > 0)
    dead = ~(result != 0).flatten(2).any(dim=2)
    rescue = grad * ~((x < 0) & (grad > 0))
    return torch.where(dead[:, :, None, None], rescue, result)
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
