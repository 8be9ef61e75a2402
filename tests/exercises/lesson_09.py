"""Planted wrong answers to lesson 09: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "gram_matrix": {
        "left out the division": """
def gram_matrix(activation):
    return torch.einsum("bihw,bjhw->bij", activation, activation)
""",
        "divided by h·w twice": """
def gram_matrix(activation):
    a = activation.flatten(2) / (activation.shape[2] * activation.shape[3])
    return torch.einsum("bip,bjp->bij", a, activation.flatten(2)) / a.shape[2]
""",
        "which positions look alike": """
def gram_matrix(activation):
    a = activation.flatten(2)
    return torch.einsum("bcp,bcq->bpq", a, a) / a.shape[2]
""",
        "positions by positions, and not divided": """
def gram_matrix(activation):
    a = activation.flatten(2)
    return a.transpose(1, 2) @ a
""",
        "mixed the pictures of the batch": """
def gram_matrix(activation):
    a = activation.transpose(0, 1).flatten(1)
    return a @ a.T / a.shape[1]
""",
        "added up the pictures": """
def gram_matrix(activation):
    places = activation.shape[2] * activation.shape[3]
    return torch.einsum("bihw,bjhw->ij", activation, activation) / places
""",
        "reshape does not move axes": """
def gram_matrix(activation):
    b, c, h, w = activation.shape
    a = activation.reshape(b, h * w, c)
    return torch.einsum("bpi,bpj->bij", a, a) / (h * w)
""",
        "number of channels too": """
def gram_matrix(activation):
    a = activation.flatten(2)
    return a @ a.transpose(1, 2) / (a.shape[1] * a.shape[2])
""",
        "no gradient reaches": """
def gram_matrix(activation):
    a = activation.detach().flatten(2)
    return a @ a.transpose(1, 2) / a.shape[2]
""",
    },
    "keep_colours": {
        "green most": """
def keep_colours(result, photo):
    return (photo + result.mean(1, keepdim=True) - photo.mean(1, keepdim=True)).clamp(0, 1)
""",
        "blue, green, red": """
def keep_colours(result, photo):
    r, g, b = (result - photo).unbind(1)
    return (photo + (0.114 * r + 0.587 * g + 0.299 * b)[:, None]).clamp(0, 1)
""",
        "exchanged the two": """
def keep_colours(result, photo):
    w = torch.tensor([0.299, 0.587, 0.114])
    return (result + torch.einsum("bchw,c->bhw", photo - result, w)[:, None]).clamp(0, 1)
""",
        "leaves [0, 1]": """
def keep_colours(result, photo):
    w = torch.tensor([0.299, 0.587, 0.114])
    return photo + torch.einsum("bchw,c->bhw", result - photo, w)[:, None]
""",
        "still in your picture": """
def keep_colours(result, photo):
    w = torch.tensor([0.299, 0.587, 0.114])
    return (photo + torch.einsum("bchw,c->bhw", result, w)[:, None]).clamp(0, 1)
""",
        "should return shape": """
def keep_colours(result, photo):
    w = torch.tensor([0.299, 0.587, 0.114])
    return torch.einsum("bchw,c->bhw", result - photo, w)
""",
    },
}
