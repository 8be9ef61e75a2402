"""Planted wrong answers to lesson 02: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "sum_components": {
        "dividing makes high frequencies weak": """
def sum_components(theta, size, decay=1.0):
    f = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])).clamp(min=1 / max(size))
    return torch.fft.irfft2(torch.view_as_complex(theta) * f**decay, s=size, norm="ortho") / 4
""",
        "left the exponent out": """
def sum_components(theta, size, decay=1.0):
    f = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])).clamp(min=1 / max(size))
    return torch.fft.irfft2(torch.view_as_complex(theta) / f, s=size, norm="ortho") / 4
""",
        'too small: irfft2 needs norm="ortho"': """
def sum_components(theta, size, decay=1.0):
    f = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])).clamp(min=1 / max(size))
    return torch.fft.irfft2(torch.view_as_complex(theta) / f**decay, s=size) / 4
""",
        "the quarter is missing": """
def sum_components(theta, size, decay=1.0):
    f = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])).clamp(min=1 / max(size))
    return torch.fft.irfft2(torch.view_as_complex(theta) / f**decay, s=size, norm="ortho")
""",
        "only the real part": """
def sum_components(theta, size, decay=1.0):
    f = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])).clamp(min=1 / max(size))
    return torch.fft.irfft2(theta[..., 0] / f**decay, s=size, norm="ortho") / 4
""",
    },
    "preconditioned_step": {
        "downhill": """
def preconditioned_step(x, gradient, M, lr):
    return x - lr * torch.einsum("ik,jk,j->i", M, M, gradient)
""",
        "plain step in x": """
def preconditioned_step(x, gradient, M, lr):
    theta = torch.linalg.solve(M, x)
    return M @ theta + lr * gradient
""",
        "added a step of θ to x": """
def preconditioned_step(x, gradient, M, lr):
    grad_theta = gradient @ M
    return x + lr * grad_theta
""",
        "took the gradient of x for that of θ": """
def preconditioned_step(x, gradient, M, lr):
    return M @ (torch.linalg.solve(M, x) + lr * gradient)
""",
        "in the wrong order": """
def preconditioned_step(x, gradient, M, lr):
    return x + lr * (M.T @ M) @ gradient
""",
        "transposes it once": """
def preconditioned_step(x, gradient, M, lr):
    return x + lr * torch.linalg.matrix_power(M, 2) @ gradient
""",
        "learning rate is missing": """
def preconditioned_step(x, gradient, M, lr):
    return x + (M @ M.T) @ gradient
""",
        "starts at x": """
def preconditioned_step(x, gradient, M, lr):
    return (M @ M.T) @ (lr * gradient)
""",
        "in place": """
def preconditioned_step(x, gradient, M, lr):
    x += lr * (M @ M.T) @ gradient
    return x
""",
        "returns nothing": """
def preconditioned_step(x, gradient, M, lr):
    step = lr * (M @ M.T) @ gradient
""",
    },
    "color_root": {
        "U and Uᵀ are exchanged": """
def color_root(covariance):
    values, V = torch.linalg.eigh(covariance)
    return V.T @ torch.diag(values.sqrt()) @ V
""",
        "root of each entry": """
def color_root(covariance):
    return covariance**0.5
""",
        "not the symmetric one: turn back": """
def color_root(covariance):
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(torch.sqrt(values))
""",
        "triangular": """
def color_root(covariance):
    lower, _ = torch.linalg.cholesky_ex(covariance)
    return lower
""",
        "variances as they are": """
def color_root(covariance):
    u, s, vt = torch.linalg.svd(covariance)
    return u @ torch.diag(s) @ vt
""",
        "lack their root": """
def color_root(covariance):
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values
""",
        "inverse of the root": """
def color_root(covariance):
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(1 / values.sqrt()) @ vectors.T
""",
        "largest variance only": """
def color_root(covariance):
    u, s, _ = torch.linalg.svd(covariance)
    return s[0] ** 0.5 * u[:, :1] @ u[:, :1].T
""",
        "should return shape": """
def color_root(covariance):
    return torch.linalg.eigvalsh(covariance).sqrt()
""",
    },
    "whiten": {
        "phases are lost": """
def whiten(image):
    height, width = image.shape[-2:]
    f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)).clamp(min=1 / max(height, width))
    return torch.fft.irfft2(torch.fft.rfft2(image).abs() * f, s=(height, width))
""",
        "multiplied by 1/f": """
def whiten(image):
    h, w = image.shape[-2:]
    fy, fx = torch.meshgrid(torch.fft.fftfreq(h), torch.fft.fftfreq(w), indexing="ij")
    f = (fy**2 + fx**2).sqrt().clamp(min=1 / max(h, w))
    return torch.fft.ifft2(torch.fft.fft2(image) / f).real
""",
        "took the constant away": """
def whiten(image):
    h, w = image.shape[-2:]
    fy, fx = torch.meshgrid(torch.fft.fftfreq(h), torch.fft.fftfreq(w), indexing="ij")
    return torch.fft.ifft2(torch.fft.fft2(image) * (fy**2 + fx**2).sqrt()).real
""",
        "you used the square": """
def whiten(image):
    h, w = image.shape[-2:]
    fy, fx = torch.meshgrid(torch.fft.fftfreq(h), torch.fft.fftfreq(w), indexing="ij")
    f = (fy * fy + fx * fx).clamp(min=1 / max(h, w))
    return torch.fft.ifft2(torch.fft.fft2(image) * f).real
""",
        "sum of its parts": """
def whiten(image):
    h, w = image.shape[-2:]
    fy, fx = torch.meshgrid(torch.fft.fftfreq(h).abs(), torch.fft.fftfreq(w).abs(), indexing="ij")
    return torch.fft.ifft2(torch.fft.fft2(image) * (fy + fx).clamp(min=1 / max(h, w))).real
""",
        "f²": """
def whiten(image):
    h, w = image.shape[-2:]
    fy, fx = torch.meshgrid(torch.fft.fftfreq(h), torch.fft.fftfreq(w), indexing="ij")
    f = (fy**2 + fx**2).sqrt().clamp(min=1 / max(h, w))
    return torch.fft.ifft2(torch.fft.fft2(image) * f * f).real
""",
        "fftshift": """
def whiten(image):
    h, w = image.shape[-2:]
    fy = (torch.arange(h) - h // 2) / h
    fx = (torch.arange(w) - w // 2) / w
    f = torch.hypot(fy[:, None], fx).clamp(min=1 / max(h, w))
    return torch.fft.ifft2(torch.fft.fft2(image) * f).real
""",
        "yours has (1, 3, 96, 96)": """
def whiten(image):
    h, w = image.shape[-2:]
    f = torch.hypot(torch.fft.fftfreq(h)[:, None], torch.fft.rfftfreq(w)).clamp(min=1 / max(h, w))
    return torch.fft.irfft2(torch.fft.rfft2(image) * f)
""",
        "no gradient reaches": """
def whiten(image):
    h, w = image.shape[-2:]
    f = torch.hypot(torch.fft.fftfreq(h)[:, None], torch.fft.rfftfreq(w)).clamp(min=1 / max(h, w))
    return torch.fft.irfft2(torch.fft.rfft2(image.detach()) * f, s=(h, w))
""",
        "no component was changed": """
def whiten(image):
    return torch.fft.irfft2(torch.fft.rfft2(image), s=image.shape[-2:])
""",
    },
}

RIGHT = {
    "sum_components": """
def sum_components(theta, size, decay=1.0):
    height, width = size
    fy, fx = torch.fft.fftfreq(height).view(-1, 1), torch.arange(width // 2 + 1) / width
    f = (fy**2 + fx**2).sqrt()
    f[0, 0] = 1 / max(height, width)
    complex_theta = torch.complex(theta[..., 0], theta[..., 1])
    return (height * width) ** 0.5 / 4 * torch.fft.irfft2(complex_theta * f.to(theta) ** -decay, s=(height, width))
""",
}
