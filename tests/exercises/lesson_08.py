"""Planted wrong answers to lesson 08: {exercise: {words of the hint it must get: source}}; and good ones."""

RIGHT = {
    "texture_diversity": """
def texture_diversity(activation):
    n, c = activation.shape[:2]
    G = torch.einsum("bchw,bdhw->bcd", activation, activation).reshape(n, c * c)
    likeness = F.cosine_similarity(G[:, None], G[None], dim=2)
    return -(likeness * (1 - torch.eye(n))).sum(dim=1)
""",
    "control": """
def control(treatment):
    changed = dict(treatment)
    changed["late"] = 0.5
    return changed
""",
    "caricature_objective": """
def caricature_objective(activation, target, power):
    dot = (activation * target).sum(dim=(1, 2, 3))
    length, other = activation.square().sum(dim=(1, 2, 3)).sqrt(), target.norm()
    return dot / other * (dot / other / length).clamp(min=0.1) ** power
""",
    "pair_gain": """
def pair_gain(answers, alone):
    n = len(alone)
    gain = torch.zeros(n, n)
    for i in range(n):
        for j in range(n):
            if i != j:
                gain[i, j] = answers[i, j, i] / alone[i] + answers[i, j, j] / alone[j] - 1
    return gain
""",
}

WRONG = {
    "control": {
        "repeats the treatment": """
def control(treatment):
    return treatment | {"seed": treatment["seed"] + 1}
""",
        "which you know already": """
def control(treatment):
    return treatment | {"weight": 0.0}
""",
        "another question": """
def control(treatment):
    return treatment | {"index": 299}
""",
        "weight and late differ": """
def control(treatment):
    return treatment | {"weight": 0.03, "late": 0.3}
""",
        "still acts from the first step": """
def control(treatment):
    return treatment | {"weight": treatment["weight"] / 10}
""",
        "not their number": """
def control(treatment):
    return treatment | {"late": 20}
""",
        "hardly any are left": """
def control(treatment):
    return treatment | {"late": 0.95}
""",
        "four keys": """
def control(treatment):
    return {"late": 0.3}
""",
    },
    "texture_diversity": {
        "too: only the *other* pictures": """
def texture_diversity(activation):
    a = activation.flatten(2)
    G = F.normalize((a @ a.transpose(1, 2)).flatten(1), dim=1)
    return -(G @ G.T).sum(dim=1)
""",
        "sign is turned round": """
def texture_diversity(activation):
    a = activation.flatten(2)
    G = (a @ a.transpose(1, 2)).flatten(1)
    return F.cosine_similarity(G[:, None], G[None], dim=2).sum(dim=1) - 1
""",
        "not divided by their length": """
def texture_diversity(activation):
    a = activation.flatten(2)
    G = (a @ a.transpose(1, 2)).flatten(1)
    product = G @ G.T
    return product.diagonal() - product.sum(dim=1)
""",
        "maps themselves": """
def texture_diversity(activation):
    a = F.normalize(activation.flatten(1), dim=1)
    return 1 - (a @ a.T).sum(dim=1)
""",
        "channels' means": """
def texture_diversity(activation):
    a = F.normalize(activation.mean(dim=(2, 3)), dim=1)
    return 1 - (a @ a.T).sum(dim=1)
""",
        "leaves positions": """
def texture_diversity(activation):
    a = activation.flatten(2)
    G = F.normalize((a.transpose(1, 2) @ a).flatten(1), dim=1)
    return 1 - (G @ G.T).sum(dim=1)
""",
        "mean over the other pictures": """
def texture_diversity(activation):
    a = activation.flatten(2)
    G = F.normalize((a @ a.transpose(1, 2)).flatten(1), dim=1)
    return (1 - (G @ G.T).sum(dim=1)) / (len(a) - 1)
""",
    },
    "caricature_objective": {
        "angle is left out": """
def caricature_objective(activation, target, power):
    a, t = activation.flatten(1), target.flatten(1)[0]
    return a @ t / t.norm()
""",
        "did not divide by": """
def caricature_objective(activation, target, power):
    a, t = activation.flatten(1), target.flatten(1)
    return a @ t[0] * F.cosine_similarity(a, t).clamp(min=0.1) ** power
""",
        "angle alone": """
def caricature_objective(activation, target, power):
    return F.cosine_similarity(activation.flatten(1), target.flatten(1)).clamp(min=0.1) ** power
""",
        "bound is missing": """
def caricature_objective(activation, target, power):
    a, t = activation.flatten(1), target.flatten(1)
    return (a @ t[0]) / t.norm() * F.cosine_similarity(a, t) ** power
""",
        "bound is 0": """
def caricature_objective(activation, target, power):
    a, t = activation.flatten(1), target.flatten(1)
    return (a @ t[0]) / t.norm() * F.cosine_similarity(a, t).relu() ** power
""",
        "grows with the activations": """
def caricature_objective(activation, target, power):
    a, t = activation.flatten(1), target.flatten(1)[0]
    along = a @ t / t.norm()
    return along * along.clamp(min=0.1) ** power
""",
        "position by position": """
def caricature_objective(activation, target, power):
    along = (activation * target).sum(dim=1) / target.norm(dim=1).clamp(min=1e-6)
    cosine = F.cosine_similarity(activation, target, dim=1)
    return (along * cosine.clamp(min=0.1) ** power).flatten(1).mean(dim=1)
""",
    },
    "pair_gain": {
        "diagonal is not 0": """
def pair_gain(answers, alone):
    n = len(alone)
    gain = torch.zeros(n, n)
    for i in range(n):
        for j in range(n):
            gain[i, j] = answers[i, j, i] / alone[i] + answers[i, j, j] / alone[j] - 1
    return gain
""",
        "not divided by what each channel reaches alone": """
def pair_gain(answers, alone):
    n = len(alone)
    gain = torch.zeros(n, n)
    for i in range(n):
        for j in range(n):
            if i != j:
                gain[i, j] = answers[i, j, i] + answers[i, j, j] - 1
    return gain
""",
        "did not take 1 away": """
def pair_gain(answers, alone):
    n = len(alone)
    gain = torch.zeros(n, n)
    for i in range(n):
        for j in range(n):
            if i != j:
                gain[i, j] = answers[i, j, i] / alone[i] + answers[i, j, j] / alone[j]
    return gain
""",
        "second channel of each pair only": """
def pair_gain(answers, alone):
    gain = torch.stack([answers[:, j, j] / alone[j] for j in range(len(alone))], dim=1) - 1
    return gain.fill_diagonal_(0)
""",
        "shares of *all* channels": """
def pair_gain(answers, alone):
    gain = (answers / alone).sum(dim=-1) - 1
    return gain.fill_diagonal_(0)
""",
        "belongs to the last axis": """
def pair_gain(answers, alone):
    n = len(alone)
    gain = torch.zeros(n, n)
    for i in range(n):
        for j in range(n):
            if i != j:
                gain[i, j] = (answers[i, j, i] + answers[i, j, j]) / alone[i] - 1
    return gain
""",
    },
}
