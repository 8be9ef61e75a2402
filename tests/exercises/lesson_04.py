"""Planted wrong answers to lesson 04: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "same_sign": {
        "one half-plane only": """
def same_sign(rho):
    return (math.pi / 2 + torch.arcsin(rho)) / (2 * math.pi)
""",
        "the half is missing": """
def same_sign(rho):
    return torch.arcsin(rho) / torch.pi
""",
        "*different* signs": """
def same_sign(rho):
    return torch.arccos(rho) / torch.pi
""",
        "cosine of acos": """
def same_sign(rho):
    return 0.5 + rho.acos() / math.pi
""",
        "not ρ itself": """
def same_sign(rho):
    return 1 / 2 + rho / math.pi
""",
        "a straight line": """
def same_sign(rho):
    return (1 + rho) / 2
""",
        "gains the angle": """
def same_sign(rho):
    return 0.5 + torch.asin(rho) / math.tau
""",
        "no gradient reaches": """
def same_sign(rho):
    return torch.tensor([0.5 + math.asin(r) / math.pi for r in rho.tolist()])
""",
    },
    "weighted_frames": {
        "B − 1 steps": """
def weighted_frames(a, b):
    w = torch.linspace(0, 1, len(a) + 1)[:-1]
    return a + w * (b - a)
""",
        "counted from 0": """
def weighted_frames(a, b):
    w = torch.linspace(0, 1, len(a) + 1)[1:]
    return torch.lerp(a, b, w)
""",
        "runs backwards": """
def weighted_frames(a, b):
    w = torch.linspace(0, 1, len(a))
    return w * a + (1 - w) * b
""",
        "add up to 1": """
def weighted_frames(a, b):
    return a + b * torch.arange(len(a)) / (len(a) - 1)
""",
        "the same mixture": """
def weighted_frames(a, b):
    return 0.5 * a + 0.5 * b
""",
        "should return shape (6,)": """
def weighted_frames(a, b):
    w = torch.linspace(0, 1, len(a))[:, None]
    return (1 - w) * a + w * b
""",
    },
    "shared_picture": {
        "shared part is missing": """
def shared_picture(unique, shared, A):
    return torch.sigmoid(torch.einsum("rc,bchw->brhw", A, unique))
""",
        "never got its colours": """
def shared_picture(unique, shared, A):
    B, _, H, W = unique.shape
    common = F.interpolate(shared[None], (B, H, W), mode="trilinear")[0].permute(1, 0, 2, 3)
    return (torch.einsum("rc,bchw->brhw", A, unique) + common).sigmoid()
""",
        "A stands transposed": """
def shared_picture(unique, shared, A):
    B, _, H, W = unique.shape
    z = unique + F.interpolate(shared[None], (B, H, W), mode="trilinear")[0].permute(1, 0, 2, 3)
    return torch.einsum("cr,bchw->brhw", A, z).sigmoid()
""",
        "the sigmoid is missing": """
def shared_picture(unique, shared, A):
    B, _, H, W = unique.shape
    z = unique + F.interpolate(shared[None], (B, H, W), mode="trilinear")[0].permute(1, 0, 2, 3)
    return (A @ z.flatten(2)).view_as(z)
""",
        "in squares": """
def shared_picture(unique, shared, A):
    B, _, H, W = unique.shape
    z = unique + F.interpolate(shared[None], (B, H, W))[0].permute(1, 0, 2, 3)
    return (A @ z.flatten(2)).view_as(z).sigmoid()
""",
        "corners lie on the corners": """
def shared_picture(unique, shared, A):
    B, _, H, W = unique.shape
    z = unique + F.interpolate(shared[None], (B, H, W), mode="trilinear", align_corners=True)[0].transpose(0, 1)
    return (A @ z.flatten(2)).view_as(z).sigmoid()
""",
        "frames and colours stand exchanged": """
def shared_picture(unique, shared, A):
    B, _, H, W = unique.shape
    z = unique + F.interpolate(shared[None], (B, H, W), mode="trilinear")[0]
    return (A @ z.flatten(2)).view_as(z).sigmoid()
""",
        "the mean of two pictures": """
def shared_picture(unique, shared, A):
    B, _, H, W = unique.shape
    common = F.interpolate(shared[None], (B, H, W), mode="trilinear")[0].transpose(0, 1)
    own, all_of_us = ((A @ z.flatten(2)).view_as(z).sigmoid() for z in (unique, common))
    return (own + all_of_us) / 2
""",
    },
    "alignment_penalty": {
        "d times decay": """
def alignment_penalty(a, decay, reach):
    a = a.flatten(1)
    total = 0
    for d in range(1, min(reach, len(a) - 1) + 1):
        total = total + ((a[d:] - a[:-d]) ** 2).mean(dim=1).sum() / (decay * d)
    return total
""",
        "take their mean": """
def alignment_penalty(a, decay, reach):
    pairs = [(i, i + d) for d in range(1, reach + 1) for i in range(len(a) - d)]
    return sum((a[i] - a[j]).square().sum() / decay ** (j - i) for i, j in pairs)
""",
        "mean over pairs": """
def alignment_penalty(a, decay, reach):
    ds = [d for d in range(1, reach + 1) if d < len(a)]
    return sum((a[d:] - a[:-d]).square().mean() / decay**d for d in ds)
""",
        "a ring": """
def alignment_penalty(a, decay, reach):
    n = len(a)
    ds = [d for d in range(1, reach + 1) if d < n]
    return sum((a[i] - a[(i + d) % n]).square().mean() / decay**d for d in ds for i in range(n))
""",
        "neighbours only": """
def alignment_penalty(a, decay, reach):
    return sum((a[i] - a[i + 1]).square().mean() for i in range(len(a) - 1)) / decay
""",
        "to the power d": """
def alignment_penalty(a, decay, reach):
    pairs = [(i, i + d) for d in range(1, reach + 1) for i in range(len(a) - d)]
    return sum((a[i] - a[j]).square().mean() for i, j in pairs)
""",
        "divided by decay already": """
def alignment_penalty(a, decay, reach):
    pairs = [(i, i + d) for d in range(1, reach + 1) for i in range(len(a) - d)]
    return sum((a[i] - a[j]).square().mean() * decay ** (1 - j + i) for i, j in pairs)
""",
        "twice": """
def alignment_penalty(a, decay, reach):
    n = len(a)
    pairs = [(i, j) for i in range(n) for j in range(n) if 0 < abs(i - j) <= reach]
    return sum((a[i] - a[j]).square().mean() / decay ** abs(i - j) for i, j in pairs)
""",
    },
}

RIGHT = {
    "shared_picture": """
def shared_picture(unique, shared, A):
    frames, _, height, width = unique.shape
    maps = F.interpolate(shared.unsqueeze(0), size=(frames, height, width), mode="trilinear").squeeze(0)
    raw = unique + maps.permute(1, 0, 2, 3)
    return torch.sigmoid((A @ raw.flatten(2)).view_as(unique))
""",
}
