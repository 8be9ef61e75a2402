"""Every public function, class and method has an example in its docstring, which does what it says.

An example is read as a learner has it: with ``import torch`` and ``import dip_lessons as dip`` behind it, in an
empty working directory. It leaves torch's global generator and grad mode as they were.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch

import dip_lessons as dip

# What the __init__ of these imports is their vocabulary ...
PACKAGES = ("", "check", "generator", "networks", "objectives", "parameterizations", "player", "teaching")
# ... and of these modules all that has no underscore.
MODULES = (
    "assets",
    "benchmark",
    "environment",
    "mesh",
    "mesh_views",
    "metrics",
    "optimize",
    "panorama",
    "parameterizations.base",
    "parameterizations.color",
    "parameterizations.fourier",
    "parameterizations.phase_only",
    "projection",
    "rasterize",
    "show",
    "spherical_cnn",
    "spherical_harmonics",
    "views",
    "atomic_write",
)
TORCHS_OWN = ("forward", "backward", "extra_repr")  # called by torch: a module is called itself


def module(name: str) -> ModuleType:
    return importlib.import_module(f"dip_lessons.{name}".rstrip("."))


def ours(thing: object) -> bool:
    return getattr(thing, "__module__", "").startswith("dip_lessons")


def public() -> dict[str, object]:
    """Public functions and classes by their full name."""
    found = []
    for package in map(module, PACKAGES):
        found += [getattr(package, name) for name in getattr(package, "__all__", vars(package))]
    for room in map(module, MODULES):
        found += [thing for thing in vars(room).values() if getattr(thing, "__module__", "") == room.__name__]
    kept = [t for t in found if (inspect.isfunction(t) or inspect.isclass(t)) and ours(t)]
    return {
        f"{t.__module__}.{t.__qualname__}": t
        for t in kept
        if not t.__name__.startswith("_") and not (inspect.isclass(t) and issubclass(t, BaseException))
    }


def members(owner: type, kinds: tuple[type, ...]) -> dict[str, object]:
    """Of a class, what it and its private bases define, and no public class of this package before it."""
    bases = [base for base in owner.__mro__[1:] if ours(base)]
    hidden = [base for base in bases if base.__name__.startswith("_")]
    above = {name for base in bases if base not in hidden for name in vars(base)}
    own = {name: member for part in (*reversed(hidden), owner) for name, member in vars(part).items()}
    above |= {name for name in own if name in getattr(owner, "__dataclass_fields__", ())}  # what fields hold
    return {
        name: member
        for name, member in own.items()
        if isinstance(member, kinds) and not name.startswith("_") and name not in above | {*TORCHS_OWN}
    }


FUNCTION = (type(public), classmethod, staticmethod)
PUBLIC = public()
METHODS = {
    f"{name}.{method}": getattr(owner, method)
    for name, owner in PUBLIC.items()
    if inspect.isclass(owner)
    for method in members(owner, FUNCTION)
}
CALLED = {**PUBLIC, **METHODS}


@pytest.fixture(scope="module")
def faces() -> None:
    """The generator's weights: fetched when they are first asked for."""
    try:
        dip.load_generator(device="cpu")
    except dip.assets.AssetError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", CALLED)
def test_the_example_does_what_it_says(
    name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = inspect.getdoc(CALLED[name]) or ""
    example = doctest.DocTestParser().get_doctest(text, {"torch": torch, "dip": dip}, name, None, None)
    if not example.examples and name in METHODS:  # its class's example may show it
        owner, _, method = name.rpartition(".")
        shown = re.compile(rf"^\s*(>>>|\.\.\.) .*\.{method}\(", re.MULTILINE)
        assert shown.search(inspect.getdoc(PUBLIC[owner]) or ""), f"{name} stands in no example"
        return
    assert example.examples, f"{name} has no example"
    if "StyleGAN(" in text or "load_generator(" in text:
        request.getfixturevalue("faces")
    monkeypatch.chdir(tmp_path)
    before, told = torch.get_rng_state(), []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=told.append)
    assert not told, "".join(told)
    assert torch.equal(torch.get_rng_state(), before), "the example draws from the global generator"
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", [name for name, owner in PUBLIC.items() if inspect.isclass(owner)])
def test_properties_are_described_and_stand_in_an_example(name: str) -> None:
    owner = PUBLIC[name]
    texts = [inspect.getdoc(owner) or ""]
    texts += [inspect.getdoc(getattr(owner, method)) or "" for method in members(owner, FUNCTION)]
    for prop, member in members(owner, (property,)).items():
        assert inspect.getdoc(member), f"{name}.{prop} has no docstring"
        used = re.compile(rf"^\s*(>>>|\.\.\.) .*\.{prop}\b", re.MULTILINE)
        assert any(used.search(text) for text in texts), f"{name}.{prop} stands in no example of its class"


def test_the_reference_names_everything_once(root: Path) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (root / "docs" / "reference").glob("*.rst"))
    spelled = re.findall(r"^\.\. auto(?:function|class):: dip_lessons\.?(\S*)\.(\w+)$", pages, re.MULTILINE)
    listed = [id(getattr(module(place), name)) for place, name in spelled]
    missing = [name for name, thing in PUBLIC.items() if id(thing) not in listed]
    assert not missing, f"no page of docs/reference names {', '.join(missing)}"
    twice = {name for (_, name), thing in zip(spelled, listed, strict=True) if listed.count(thing) > 1}
    assert not twice, f"docs/reference names {', '.join(sorted(twice))} twice"
