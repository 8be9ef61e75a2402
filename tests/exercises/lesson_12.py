"""Planted wrong answers to lesson 12: {exercise: {words of the hint it must get: source}}; and a good one."""

RIGHT = {
    "camera_rays": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    plane = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    return torch.nn.functional.normalize(plane @ torch.stack([right, down, forward]), dim=-1)
""",
}

WRONG = {
    "camera_rays": {
        "looks to the back": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw), math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "upside down": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * (-down)
""",
        "mirrored": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * (-right) + y[..., None] * down
""",
        "exchanged": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="ij")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "look up": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, -math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "pixels' edges": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = (torch.arange(side) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "too wide": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "equal angles": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.radians(fov / 2)
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "take radians": """
def camera_rays(yaw, pitch, fov, side):
    a, b = yaw + 180, pitch
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "off by up to": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * 1
    x, y = torch.meshgrid(q, q, indexing="xy")
    return forward + x[..., None] * right + y[..., None] * down
""",
        "directions of shape": """
def camera_rays(yaw, pitch, fov, side):
    a, b = math.radians(yaw) + math.pi, math.radians(pitch)
    forward = torch.tensor([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = torch.tensor([-math.sin(a), math.cos(a), 0.0])
    down = torch.tensor([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    q = ((torch.arange(side) + 0.5) / side * 2 - 1) * math.tan(math.radians(fov / 2))
    x, y = torch.meshgrid(q, q, indexing="xy")
    return (forward + x[..., None] * right + y[..., None] * down).permute(2, 0, 1)
""",
    },
    "inner_product": {
        "counted every pixel alike": """
def inner_product(f, g):
    H, W = f.shape[-2:]
    return (f * g).sum(dim=(-2, -1)) * (math.pi / H) * (2 * math.pi / W)
""",
        "shared the sphere's area": """
def inner_product(f, g):
    H, W = f.shape[-2:]
    return (f * g).sum(dim=(-2, -1)) * 4 * math.pi / (H * W)
""",
        "left out the size of a pixel": """
def inner_product(f, g):
    H = f.shape[-2]
    theta = (torch.arange(H) + 0.5) * math.pi / H
    return torch.einsum("...hw,...hw,h->...", f, g, theta.sin())
""",
        "4π times it": """
def inner_product(f, g):
    H = f.shape[-2]
    weight = torch.sin((torch.arange(H) + 0.5) * math.pi / H)[:, None].expand(f.shape[-2:])
    return (f * g * weight).sum(dim=(-2, -1)) / weight.sum()
""",
        "2π² times it": """
def inner_product(f, g):
    H = f.shape[-2]
    weight = torch.sin((torch.arange(H) + 0.5) * math.pi / H)[:, None]
    return (f * g * weight).mean(dim=(-2, -1))
""",
        "your sphere has the area 8": """
def inner_product(f, g):
    H = f.shape[-2]
    weight = torch.sin((torch.arange(H) + 0.5) * math.pi / H)[:, None]
    return 4 * math.pi * (f * g * weight).mean(dim=(-2, -1))
""",
        "upper edges": """
def inner_product(f, g):
    H, W = f.shape[-2:]
    theta = torch.linspace(0, math.pi, H + 1)[:-1, None]
    return (f * g * theta.sin()).sum(dim=(-2, -1)) * 2 * math.pi**2 / (H * W)
""",
        "latitude's sine": """
def inner_product(f, g):
    H, W = f.shape[-2:]
    latitude = math.pi / 2 - (torch.arange(H) + 0.5) * math.pi / H
    return (f * g * latitude.sin().abs()[:, None]).sum(dim=(-2, -1)) * 2 * math.pi**2 / (H * W)
""",
        "should return shape (2,)": """
def inner_product(f, g):
    H, W = f.shape[-2:]
    theta = (torch.arange(H) + 0.5) * math.pi / H
    return (f * g * theta.sin()[:, None]).sum() * 2 * math.pi**2 / (H * W)
""",
        "no gradient reaches": """
def inner_product(f, g):
    H, W = f.shape[-2:]
    theta = (torch.arange(H) + 0.5) * math.pi / H
    f, g = f.detach(), g.detach()
    return (f * g * theta.sin()[:, None]).sum(dim=(-2, -1)) * 2 * math.pi**2 / (H * W)
""",
    },
    "turn": {
        "turns the other way": """
def turn(c, angle):
    out = torch.empty_like(c)
    for l in range(math.isqrt(c.shape[-1])):
        for m in range(-l, l + 1):
            i = l * l + l
            out[..., i + m] = math.cos(m * angle) * c[..., i + m] + math.sin(m * angle) * c[..., i - m]
    return out
""",
        "left the partner out": """
def turn(c, angle):
    m = torch.cat([torch.arange(-l, l + 1) for l in range(math.isqrt(c.shape[-1]))])
    return c * (m * angle).cos()
""",
        "same sign": """
def turn(c, angle):
    l = dip.spherical_harmonics.degrees(math.isqrt(c.shape[-1]) - 1)
    m = torch.arange(len(l)) - l * (l + 1)
    return c * (m * angle).cos() - c[..., l * l + l - m] * (m.abs() * angle).sin()
""",
        "the degree l for m": """
def turn(c, angle):
    l = dip.spherical_harmonics.degrees(math.isqrt(c.shape[-1]) - 1)
    m = torch.arange(len(l)) - l * (l + 1)
    return c * (l * angle).cos() - c[..., l * l + l - m] * (l * angle).sin() * m.sign()
""",
        "turned every pair by α": """
def turn(c, angle):
    l = dip.spherical_harmonics.degrees(math.isqrt(c.shape[-1]) - 1)
    m = torch.arange(len(l)) - l * (l + 1)
    other = c[..., l * l + l - m] * m.sign() * math.sin(angle)
    return torch.where(m == 0, c, c * math.cos(angle) - other)
""",
        "radians already": """
def turn(c, angle):
    l = dip.spherical_harmonics.degrees(math.isqrt(c.shape[-1]) - 1)
    m = torch.arange(len(l)) - l * (l + 1)
    by = m * angle * math.pi / 180
    return c * by.cos() - c[..., l * l + l - m] * by.sin()
""",
    },
    "fair_pitch": {
        "looks at the poles far too often": """
def fair_pitch(u, highest):
    return -highest + 2 * highest * u
""",
        "look up only": """
def fair_pitch(u, highest):
    return torch.asin(u * math.sin(highest * math.pi / 180)) * 180 / math.pi
""",
        "left `highest` out": """
def fair_pitch(u, highest):
    return torch.acos(1 - 2 * u) * 180 / math.pi - 90
""",
        "in radians": """
def fair_pitch(u, highest):
    return torch.asin((2 * u - 1) * math.sin(math.radians(highest)))
""",
        "cut the sphere's pitch": """
def fair_pitch(u, highest):
    return torch.rad2deg((2 * u - 1).asin()).clamp(-highest, highest)
""",
        "squeezed the pitch": """
def fair_pitch(u, highest):
    return (2 * u - 1).asin() / (math.pi / 2) * highest
""",
        "counts from the pole": """
def fair_pitch(u, highest):
    return torch.rad2deg(torch.acos((2 * u - 1) * math.sin(math.radians(highest))))
""",
    },
}
