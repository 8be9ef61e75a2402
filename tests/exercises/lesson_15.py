"""Planted wrong answers to lesson 15: {exercise: {words of the hint it must get: source}}."""

WRONG = {
    "pareto_front": {
        "throw each other out": """
def pareto_front(points):
    front = []
    for i, p in enumerate(points):
        others = torch.cat([points[:i], points[i + 1 :]])
        front.append(not (others >= p).all(dim=1).any())
    return torch.tensor(front)
""",
        "better in every column": """
def pareto_front(points):
    return torch.stack([~(points > p).all(dim=1).any() for p in points])
""",
        "the front is the others": """
def pareto_front(points):
    beaten = [((points >= p).all(dim=1) & (points > p).any(dim=1)).any() for p in points]
    return torch.stack(beaten)
""",
        "larger is better": """
def pareto_front(points):
    beaten = [((points <= p).all(dim=1) & (points < p).any(dim=1)).any() for p in points]
    return ~torch.stack(beaten)
""",
        "best of each column": """
def pareto_front(points):
    top = points.max(dim=0).values
    return torch.tensor([any(float(v) == float(t) for v, t in zip(p, top)) for p in points])
""",
        "added the columns up": """
def pareto_front(points):
    total = points.sum(dim=1)
    return total >= total.max()
""",
        "must be nowhere worse": """
def pareto_front(points):
    return torch.stack([~(points > p).any() for p in points])
""",
        "should return shape": """
def pareto_front(points):
    return (points.argmax(dim=0)).unique()
""",
    },
    "permutation_test": {
        "not only larger": """
def permutation_test(a, b):
    import itertools
    pool = torch.cat([a, b])
    seen, total, deals = a.mean() - b.mean(), pool.sum(), 0
    found = 0
    for chosen in itertools.combinations(range(len(pool)), len(a)):
        mine = pool[list(chosen)].sum()
        deals += 1
        found += bool(mine / len(a) - (total - mine) / len(b) > seen + 1e-4)
    return found / deals
""",
        "in both directions": """
def permutation_test(a, b):
    import itertools
    pool, seen = torch.cat([a, b]), (a.mean() - b.mean()).abs()
    found = []
    for chosen in itertools.combinations(range(len(pool)), len(a)):
        mine = pool[list(chosen)].sum()
        found.append((mine / len(a) - (pool.sum() - mine) / len(b)).abs() >= seen - 1e-4)
    return torch.stack(found).float().mean()
""",
        "or that of b over a": """
def permutation_test(a, b):
    import itertools
    pool, seen = torch.cat([a, b]), b.mean() - a.mean()
    found = []
    for chosen in itertools.combinations(range(len(pool)), len(b)):
        mine = pool[list(chosen)].sum()
        found.append(mine / len(b) - (pool.sum() - mine) / len(a) >= seen - 1e-4)
    return torch.stack(found).float().mean()
""",
        "with at most this difference": """
def permutation_test(a, b):
    import itertools
    pool, seen = torch.cat([a, b]), a.mean() - b.mean()
    found = []
    for chosen in itertools.combinations(range(len(pool)), len(a)):
        mine = pool[list(chosen)].sum()
        found.append(mine / len(a) - (pool.sum() - mine) / len(b) <= seen + 1e-4)
    return torch.stack(found).float().mean()
""",
        "did not divide": """
def permutation_test(a, b):
    import itertools
    pool, seen, found = torch.cat([a, b]), a.mean() - b.mean(), 0
    for chosen in itertools.combinations(range(len(pool)), len(a)):
        mine = pool[list(chosen)].sum()
        found += int(mine / len(a) - (pool.sum() - mine) / len(b) >= seen - 1e-4)
    return found
""",
        "pair by pair": """
def permutation_test(a, b):
    return sum(float(y >= x) for x in a for y in b) / (len(a) * len(b))
""",
        "returns nothing": """
def permutation_test(a, b):
    (a.mean() > b.mean()).float()
""",
    },
}
