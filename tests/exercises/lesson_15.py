"""Planted wrong answers to lesson 15: {exercise: {words of the hint it must get: source}}; and good ones."""

RIGHT = {
    "pareto_front": """
def pareto_front(points):
    kept = []
    for mine in points:
        dominates = (points >= mine).all(dim=1) & (points > mine).any(dim=1)
        kept.append(not dominates.any())
    return torch.tensor(kept)
""",
    "permutation_test": """
def permutation_test(a, b):
    from itertools import combinations
    pool = [float(x) for x in a] + [float(x) for x in b]
    n, everything = len(a), range(len(pool))
    def lead(first):
        second = [i for i in everything if i not in first]
        return sum(pool[i] for i in first) / n - sum(pool[i] for i in second) / len(second)
    seen = lead(range(n))
    leads = [lead(first) for first in combinations(everything, n)]
    return sum(x >= seen - 1e-6 for x in leads) / len(leads)
""",
    "retune": """
def retune(measure, rates, seeds=3):
    def mean(rate):
        return sum(measure(rate, s) for s in range(seeds)) / seeds
    def height(rate):
        return means[rate] if means[rate] == means[rate] else float("-inf")
    means = {rate: mean(rate) for rate in rates}
    while True:
        best = max(means, key=height)
        if best == max(means):
            means[2 * best] = mean(2 * best)
        elif best == min(means):
            means[best / 2] = mean(best / 2)
        else:
            break
    good = [rate for rate in means if height(rate) >= 0.9 * height(best)]
    return sorted(good, key=lambda rate: max(rate, 1 / rate))[0]
""",
}

WRONG = {
    "pareto_front": {
        "nobody is left": """
def pareto_front(points):
    dominates = (points[:, None] >= points[None]).all(dim=2)
    return ~dominates.any(dim=0)
""",
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
    "retune": {
        "is an end of those tried": """
def retune(measure, rates, seeds=3):
    means = {r: sum(measure(r, s) for s in range(seeds)) / seeds for r in rates}
    best = max(m for m in means.values() if not math.isnan(m))
    good = [r for r in rates if means[r] >= 0.9 * best]
    return min(good, key=lambda r: abs(math.log2(r)))
""",
        "fewer than three seeds": """
def retune(measure, rates, seeds=3):
    values = {r: measure(r, 0) for r in rates}
    return max(values, key=values.get)
""",
        "nearer to the arm's own": """
def retune(measure, rates, seeds=3):
    rates = [rates[0] / 32, rates[0] / 16, rates[0] / 8, rates[0] / 4, rates[0] / 2, *rates]
    rates += [2 * rates[-1], 4 * rates[-1], 8 * rates[-1], 16 * rates[-1], 32 * rates[-1]]
    means = torch.tensor([[measure(r, s) for s in range(seeds)] for r in rates]).mean(dim=1)
    return rates[int(means.nan_to_num(-1).argmax())]
""",
        "NaN is never the best": """
def retune(measure, rates, seeds=3):
    values = torch.tensor([[measure(r, s) for s in range(seeds)] for r in [*rates, 2 * rates[-1], 4 * rates[-1]]])
    return [*rates, 2 * rates[-1], 4 * rates[-1]][int(values.mean(dim=1).argmax())]
""",
        "of the best mean; it must be within": """
def retune(measure, rates, seeds=3):
    rates = [r * 2.0**k for k in (-5, 0, 5) for r in rates]
    found = {r: max(measure(r, s) for s in range(seeds)) for r in rates}
    top = max(v for v in found.values() if v == v)
    return min((r for r in rates if found[r] >= 0.9 * top), key=lambda r: abs(math.log2(r)))
""",
        "neither its place": """
def retune(measure, rates, seeds=3):
    values = torch.tensor([[measure(r, s) for s in range(seeds)] for r in rates])
    return int(values.mean(dim=1).nan_to_num(0).argmax()) + 10
""",
    },
}
