"""Every name of the vocabulary has an example in its docstring, and every example does what it says.

An example is read as a learner has it: with ``import torch`` and ``import dip_lessons as dip`` behind it, in an
empty working directory. It leaves torch's global generator and grad mode as they were.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
import torch

import dip_lessons as dip

TORCHS_OWN = ("forward", "backward", "extra_repr")  # called by torch: a module is called itself
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(dip.__path__, "dip_lessons.")
    if not found.name.endswith("__main__")
]


def ours(thing: object) -> bool:
    return getattr(thing, "__module__", "").startswith("dip_lessons")


def full_name(thing: object) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def functions_and_classes(things: list[object]) -> dict[str, object]:
    """The public ones among them by their full names, exceptions left out."""
    kept = [t for t in things if (inspect.isfunction(t) or inspect.isclass(t)) and ours(t)]
    return {
        full_name(t): t
        for t in kept
        if not t.__name__.startswith("_") and not (inspect.isclass(t) and issubclass(t, BaseException))
    }


def defined_in(module: object) -> list[object]:
    return [thing for thing in vars(module).values() if getattr(thing, "__module__", "") == module.__name__]


def vocabulary() -> dict[str, object]:
    """What the package and its rooms name in ``__all__``; of a module that is named there, all that it defines."""
    found = [getattr(m, name) for m in (dip, *MODULES) for name in getattr(m, "__all__", ())]
    return functions_and_classes(found + [t for m in found if inspect.ismodule(m) for t in defined_in(m)])


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


FUNCTION = (type(vocabulary), classmethod, staticmethod)
PUBLIC = vocabulary()
DOCUMENTED = {
    name: thing
    for name, thing in functions_and_classes([t for m in MODULES for t in defined_in(m)]).items()
    if ">>>" in (inspect.getdoc(thing) or "")
}
METHODS = {
    f"{name}.{method}": getattr(owner, method)
    for name, owner in PUBLIC.items()
    if inspect.isclass(owner)
    for method in members(owner, FUNCTION)
}
CALLED = {**DOCUMENTED, **PUBLIC, **METHODS}


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
        shown = re.compile(rf"^\s*(>>>|\.\.\.) .*(\.|def ){method}\(", re.MULTILINE)
        assert shown.search(inspect.getdoc(PUBLIC[owner]) or ""), f"{name} stands in no example"
        return
    assert example.examples, f"{name} has no example"
    if "StyleGAN(" in text or "load_generator(" in text:
        request.getfixturevalue("faces")
    monkeypatch.chdir(tmp_path)
    before, told = torch.get_rng_state(), []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE  # a bar of progress begins with \\r
    doctest.DocTestRunner(optionflags=flags).run(example, out=told.append)
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


def test_the_reference_has_a_page_for_every_room(root: Path) -> None:
    """It documents what a page's modules define; docs/conf.py gives each room's page all of the room's modules."""
    text = (root / "docs" / "reference" / "index.rst").read_text(encoding="utf-8")
    pages = re.findall(r"^   (dip_lessons\.[\w.]+)$", text, re.MULTILINE)
    rooms = {m.__name__ for m in MODULES if m.__name__.count(".") == 1}
    assert len(set(pages)) == len(pages)
    assert {page for page in pages if page.count(".") == 1} == rooms
    assert set(pages) <= {m.__name__ for m in MODULES}
