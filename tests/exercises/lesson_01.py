"""Planted wrong answers to lesson 01: {exercise: {words of the hint it must get: source}}; and good ones."""

RIGHT = {
    "climb": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += lr * theta.grad
        theta.grad = None
        history.append(v.item())
    return theta.detach(), history
""",
    "ascend": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    objective(y).sum().backward()
    g = y.grad.flatten(1)
    return x + lr * (g / g.pow(2).mean(1, keepdim=True).sqrt()).view_as(x)
""",
    "high_frequency_share": """
def high_frequency_share(image, cutoff):
    fy, fx = (torch.fft.fftfreq(n) for n in image.shape[1:])
    power = torch.fft.fft2(image).abs() ** 2
    power = power.flatten(1)[:, 1:].sum(dim=0)  # without the means
    high = (fy[:, None] ** 2 + fx**2).flatten()[1:] > cutoff**2
    return (power * high).sum() / power.sum()
""",
    "grid_share": """
def grid_share(size, period):
    height, width = size.shape
    means = size.view(height // period, period, width // period, period).mean(dim=(0, 2))
    return means.var(correction=0) / size.var(correction=0)
""",
}

WRONG = {
    "climb": {
        "goes downhill": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta -= lr * theta.grad
        theta.grad = None
        history.append(v.item())
    return theta.detach(), history
""",
        "add up from step to step": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += lr * theta.grad
        history.append(v.item())
    return theta.detach(), history
""",
        "took the gradient once": """
def climb(theta, value, steps, lr):
    start, history = theta.clone().requires_grad_(), []
    value(start).backward()
    for _ in range(steps):
        history.append(value(theta).item())
        theta = theta + lr * start.grad
    return theta, history
""",
        "begins after the first step": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += lr * theta.grad
        theta.grad = None
        history.append(value(theta).item())
    return theta.detach(), history
""",
        "one value too many": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += lr * theta.grad
        theta.grad = None
        history.append(v.item())
    return theta.detach(), history + [value(theta).item()]
""",
        "one step only": """
def climb(theta, value, steps, lr):
    history = []
    for _ in range(steps):
        x = theta.clone().requires_grad_()
        v = value(x)
        v.backward()
        history.append(v.item())
        end = (x + lr * x.grad).detach()
    return end, history
""",
        "lr is missing": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += theta.grad
        theta.grad = None
        history.append(v.item())
    return theta.detach(), history
""",
        "sign of the gradient": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += lr * theta.grad.sign()
        theta.grad = None
        history.append(v.item())
    return theta.detach(), history
""",
        "gradient length 1": """
def climb(theta, value, steps, lr):
    theta, history = theta.clone().requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += lr * F.normalize(theta.grad.flatten(), dim=0).view_as(theta)
        theta.grad = None
        history.append(v.item())
    return theta.detach(), history
""",
        "changed its argument in place": """
def climb(theta, value, steps, lr):
    theta, history = theta.requires_grad_(), []
    for _ in range(steps):
        v = value(theta)
        v.backward()
        with torch.no_grad():
            theta += lr * theta.grad
        theta.grad = None
        history.append(v.item())
    return theta.detach(), history
""",
    },
    "ascend": {
        "goes downhill": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    (-objective(y).sum()).backward()
    return (y + lr * y.grad / y.grad.pow(2).mean((1, 2, 3), keepdim=True).sqrt()).detach()
""",
        "not normalised": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    objective(y).sum().backward()
    return (y + lr * y.grad).detach()
""",
        "a larger picture moves less": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    objective(y).sum().backward()
    return (y + lr * F.normalize(y.grad.flatten(1), dim=1).view_as(y)).detach()
""",
        "each picture has an rms of its own": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    objective(y).sum().backward()
    return (y + lr * y.grad / y.grad.pow(2).mean() ** 0.5).detach()
""",
        "divided each number by its own size": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    objective(y).sum().backward()
    return (y + lr * y.grad.sign()).detach()
""",
        "in place": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    objective(y).sum().backward()
    x += lr * y.grad / y.grad.pow(2).mean((1, 2, 3), keepdim=True).sqrt()
    return x
""",
        "should return shape (1, 3, 16, 16)": """
def ascend(x, objective, lr):
    y = x.clone().detach().requires_grad_(True)
    objective(y).sum().backward()
    return (y + lr * y.grad / y.grad.pow(2).mean((1, 2, 3)).sqrt())[0].detach()
""",
    },
    "high_frequency_share": {
        "a mean of its own": """
def high_frequency_share(image, cutoff):
    p = torch.fft.fft2(image - image.mean()).abs().pow(2).sum(0)
    fy = torch.fft.fftfreq(image.shape[1]).view(-1, 1)
    fx = torch.fft.fftfreq(image.shape[2]).view(1, -1)
    return (p * ((fx**2 + fy**2).sqrt() > cutoff)).sum() / p.sum()
""",
        "counted the mean as a frequency": """
def high_frequency_share(image, cutoff):
    p = torch.fft.fft2(image).abs().pow(2).sum(0)
    fy = torch.fft.fftfreq(image.shape[1]).view(-1, 1)
    fx = torch.fft.fftfreq(image.shape[2]).view(1, -1)
    return (p * ((fx**2 + fy**2).sqrt() > cutoff)).sum() / p.sum()
""",
        "power is their square": """
def high_frequency_share(image, cutoff):
    p = torch.fft.fft2(image - image.mean((1, 2), keepdim=True)).abs().sum(0)
    fy = torch.fft.fftfreq(image.shape[1]).view(-1, 1)
    fx = torch.fft.fftfreq(image.shape[2]).view(1, -1)
    return (p * ((fx**2 + fy**2).sqrt() > cutoff)).sum() / p.sum()
""",
        "length of the frequency vector": """
def high_frequency_share(image, cutoff):
    p = torch.fft.fft2(image - image.mean((1, 2), keepdim=True)).abs().pow(2).sum(0)
    fy = torch.fft.fftfreq(image.shape[1]).view(-1, 1)
    fx = torch.fft.fftfreq(image.shape[2]).view(1, -1)
    low = (fy.abs() <= cutoff) & (fx.abs() <= cutoff)
    return 1 - p[low].sum() / p.sum()
""",
        "use fft2": """
def high_frequency_share(image, cutoff):
    p = torch.fft.rfft2(image - image.mean((1, 2), keepdim=True)).abs().pow(2).sum(0)
    fy = torch.fft.fftfreq(image.shape[1]).view(-1, 1)
    fx = torch.fft.rfftfreq(image.shape[2]).view(1, -1)
    return (p * ((fx**2 + fy**2).sqrt() > cutoff)).sum() / p.sum()
""",
        "divide by the total": """
def high_frequency_share(image, cutoff):
    p = torch.fft.fft2(image - image.mean((1, 2), keepdim=True)).abs().pow(2).sum(0)
    fy = torch.fft.fftfreq(image.shape[1]).view(-1, 1)
    fx = torch.fft.fftfreq(image.shape[2]).view(1, -1)
    return (p * ((fx**2 + fy**2).sqrt() > cutoff)).sum()
""",
        "no gradient reaches": """
def high_frequency_share(image, cutoff):
    p = torch.fft.fft2(image.detach() - image.detach().mean((1, 2), keepdim=True)).abs().pow(2).sum(0)
    fy = torch.fft.fftfreq(image.shape[1]).view(-1, 1)
    fx = torch.fft.fftfreq(image.shape[2]).view(1, -1)
    return (p * ((fx**2 + fy**2).sqrt() > cutoff)).sum() / p.sum()
""",
    },
    "grid_share": {
        "take the mean away first": """
def grid_share(size, period):
    p = torch.fft.fft2(size).abs().pow(2)
    fy = torch.arange(size.shape[0]) * period % size.shape[0] == 0
    fx = torch.arange(size.shape[1]) * period % size.shape[1] == 0
    return p[fy][:, fx].sum() / p.sum()
""",
        "H/period apart": """
def grid_share(size, period):
    p = torch.fft.fft2(size - size.mean()).abs().pow(2)
    fy = torch.arange(size.shape[0]) % period == 0
    fx = torch.arange(size.shape[1]) % period == 0
    return p[fy][:, fx].sum() / p.sum()
""",
        "theirs is W/period": """
def grid_share(size, period):
    p = torch.fft.fft2(size - size.mean()).abs().pow(2)
    apart = len(size) // period
    return p[::apart, ::apart].sum() / p.sum()
""",
        "fx *and* fy": """
def grid_share(size, period):
    p = torch.fft.fft2(size - size.mean()).abs().pow(2)
    fy = (torch.arange(size.shape[0]) * period % size.shape[0] == 0).view(-1, 1)
    fx = (torch.arange(size.shape[1]) * period % size.shape[1] == 0).view(1, -1)
    return (p * (fy | fx)).sum() / p.sum()
""",
        "one frequency only": """
def grid_share(size, period):
    p = torch.fft.fft2(size - size.mean()).abs().pow(2)
    return p[size.shape[0] // period, size.shape[1] // period] / p.sum()
""",
        "add them up": """
def grid_share(size, period):
    p = torch.fft.fft2(size - size.mean()).abs().pow(2)
    return p[:: size.shape[0] // period, :: size.shape[1] // period].mean() / p.mean()
""",
    },
}
