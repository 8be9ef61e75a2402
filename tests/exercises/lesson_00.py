"""Planted wrong answers to lesson 00: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "four_numbers": {
        "adds the batch": """
def four_numbers(theta, size):
    x = torch.linspace(-1, 1, size)
    r = torch.sqrt((x - theta[0]) ** 2 + (x[:, None] - theta[1]) ** 2)
    return torch.sigmoid(10 * (theta[2] - r) + theta[3]).expand(3, size, size)
""",
        "keeps them in [0, 1]": """
def four_numbers(theta, size):
    x = torch.linspace(-1, 1, size)
    wave = theta[2] * torch.sin(20 * theta[0] * x + 20 * theta[1] * x[:, None]) + theta[3]
    return wave.expand(1, 3, size, size)
""",
        "one flat grey": """
def four_numbers(theta, size):
    return torch.sigmoid(theta.sum()).expand(1, 3, size, size)
""",
        "are its edges jumps": """
def four_numbers(theta, size):
    x = torch.linspace(-1, 1, size)
    r = torch.sqrt((x - theta[0]) ** 2 + (x[:, None] - theta[1]) ** 2)
    return ((r < theta[2]) * 0.8 + (x > theta[3]) * 0.2).expand(1, 3, size, size)
""",
        "theta[3] changes nothing": """
def four_numbers(theta, size):
    x = torch.linspace(-1, 1, size)
    wave = torch.sin(20 * theta[0] * x + theta[1]) * torch.sin(20 * theta[2] * x[:, None])
    color = torch.cos(2 * math.pi * torch.arange(3) / 3)
    return (0.5 + 0.5 * color[:, None, None] * wave)[None]
""",
        "softer edges": """
def four_numbers(theta, size):
    x = torch.linspace(-1, 1, size)
    shift = (theta * torch.tensor([0.001, 0.002, -0.001, 0.003])).sum()
    return (0.5 + 0.3 * torch.sin(9 * x + 4 * x[:, None] + shift)).expand(1, 3, size, size)
""",
    },
    "rings": {
        "centred on a corner": """
def rings(width, size):
    i = torch.arange(size, dtype=torch.float32)
    r = (i[None, :] ** 2 + i[:, None] ** 2).sqrt()
    grey = (torch.cos(2 * torch.pi * r / width) + 1) / 2
    return grey.repeat(1, 3, 1, 1)
""",
        "half a pixel off": """
def rings(width, size):
    i = torch.arange(size) - size / 2
    r = torch.hypot(i[None, :].expand(size, size), i[:, None].expand(size, size))
    return (0.5 + 0.5 * torch.cos(2 * torch.pi * r / width)).repeat(1, 3, 1, 1)
""",
        "no gradient reaches": """
def rings(width, size):
    i = torch.arange(size) - (size - 1) / 2
    r = (i[None, :] ** 2 + i[:, None] ** 2).sqrt()
    return (0.5 + 0.5 * torch.cos(2 * torch.pi * r / width.item())).repeat(1, 3, 1, 1)
""",
        "should return shape (1, 3, 48, 48)": """
def rings(width, size):
    i = torch.arange(size) - (size - 1) / 2
    r = (i[None, :] ** 2 + i[:, None] ** 2).sqrt()
    return 0.5 + 0.5 * torch.cos(2 * torch.pi * r / width)
""",
        "from −1 to 1": """
def rings(width, size):
    i = torch.arange(size) - (size - 1) / 2
    r = (i[None, :] ** 2 + i[:, None] ** 2).sqrt()
    return torch.cos(2 * torch.pi * r / width).repeat(1, 3, 1, 1)
""",
    },
    "step_uphill": {
        "downhill": """
def step_uphill(theta, function, lr):
    x = theta.clone().detach()
    x.requires_grad = True
    function(x).backward()
    return (x - lr * x.grad).detach()
""",
        "learning rate is missing": """
def step_uphill(theta, function, lr):
    x = theta.clone().detach().requires_grad_()
    function(x).backward()
    return (x + x.grad).detach()
""",
        "gradient alone": """
def step_uphill(theta, function, lr):
    x = theta.clone().detach().requires_grad_()
    function(x).backward()
    return x.grad
""",
        "in place": """
def step_uphill(theta, function, lr):
    x = theta.clone().detach().requires_grad_()
    function(x).backward()
    theta.add_(lr * x.grad)
    return theta.detach()
""",
    },
}

RIGHT = {
    "four_numbers": """
def four_numbers(theta, size):
    x = torch.linspace(-1, 1, size, device=theta.device)
    r = torch.sqrt((x - theta[0]) ** 2 + (x[:, None] - theta[1]) ** 2 + 1e-6)
    inside = torch.sigmoid(10 * (theta[2] - r))  # a disc with a soft edge
    color = torch.stack([theta[3], 0 * theta[3] + 0.2, -theta[3]]).sigmoid()
    return (inside * color[:, None, None] + (1 - inside) * 0.5)[None]
""",
    "rings": """
def rings(width, size):
    i = torch.linspace(-(size - 1) / 2, (size - 1) / 2, size)
    r = torch.linalg.vector_norm(torch.stack(torch.meshgrid(i, i, indexing="ij")), dim=0)
    return torch.cos(torch.pi * r / width).square().repeat(1, 3, 1, 1)
""",
}
