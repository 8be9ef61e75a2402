"""Planted wrong answers to lesson 00: {exercise: {words of the hint it must get: source}}."""

WRONG = {
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
