"""Differentiable image parameterizations: a picture is a function of parameters.

parameters → picture → many views → activations → one number → better parameters
"""

from __future__ import annotations

import ast
import importlib
from functools import cache
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


@cache
def _vocabulary() -> dict[str, tuple[str, str]]:
    """{name: (module, name there)}: what ``__init__.pyi`` imports, which type checkers read, too."""
    lines = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    imports = [node for node in lines if isinstance(node, ast.ImportFrom)]
    return {
        name.asname or name.name: (node.module or "", name.name) for node in imports for name in node.names
    }


__all__ = list(_vocabulary())


def __getattr__(name: str) -> Any:
    """A name of the vocabulary is imported when it is first used (PEP 562), with the room that it lives in."""
    if name not in _vocabulary():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, inside = _vocabulary()[name]
    owner = importlib.import_module(f".{module}" if module else __name__, __name__)
    if inside not in vars(owner):  # a module is part of the vocabulary itself
        importlib.import_module(f".{inside}", owner.__name__)
    globals()[name] = value = getattr(owner, inside)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
