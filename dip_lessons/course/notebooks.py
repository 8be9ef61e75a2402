"""Notebooks as files: what they hold, and what of their code one answer needs. Nothing here is executed."""

from __future__ import annotations

import ast
import json
import re
import symtable
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

PREDICTION = "application/vnd.dip-lessons.prediction+json"  # what an output holds of a guess, for programs
LARGEST = 30_000_000  # bytes; lessons stay under three million
# What parsing a learner's text may raise: wrong Python, a null byte, a thousand brackets.
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


def read(path: Path) -> dict:
    """The notebook in a file, as plain data.

    Raises:
        ValueError: the file cannot be read, or is no notebook of format 4.
    """
    try:
        if not path.is_file():  # a pipe, a device, a folder: they would never end
            raise ValueError("is no regular file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"more than {LARGEST // 1_000_000} MB: clear its outputs first")
        notebook = json.loads(data.decode("utf-8"))
        for cell in notebook["cells"]:
            if not isinstance(cell["cell_type"], str) or not isinstance(source(cell), str):
                raise TypeError
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise ValueError("needs more memory than there is") from error
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"is no notebook of format 4 ({type(error).__name__})") from error
    return notebook


def source(cell: Mapping) -> str:
    """A cell's text, which a file may hold as a list of lines."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def code(notebook: Mapping) -> dict[int, str]:
    """The code cells: {number of the cell, counted from 1 with all others: source}."""
    cells = enumerate(notebook["cells"], start=1)
    return {number: source(cell) for number, cell in cells if cell["cell_type"] == "code"}


# --- what an answer needs ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Some statements of one cell: its number, its Python, and which of its statements to execute."""

    cell: int
    python: str
    statements: tuple[int, ...]


@dataclass(frozen=True)
class _Statement:
    """A statement at the top of a cell, and names: those it binds (``*`` for all), those whose objects it changes,
    those whose methods it calls, those it uses at once, and those that functions in it use when they are called.
    """

    cell: int
    index: int
    node: ast.stmt
    binds: frozenset[str]
    changes: frozenset[str]
    calls: frozenset[str]
    at_once: frozenset[str]
    later: frozenset[str]

    @property
    def settles(self) -> bool:
        """Whether a name that it binds owes nothing to what it was before."""
        simple = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
        return isinstance(self.node, simple) and "*" not in self.binds


def handed_in(cells: Mapping[int, str], name: str) -> str:
    """The name of the function that the last check of this name is given: the exercise's own, or a learner's.

    >>> from dip_lessons.course import notebooks
    >>> notebooks.handed_in({1: "def mine(x): return x", 2: "dip.check.double(mine)"}, "double")
    'mine'
    """
    python, _ = _parse(cells)
    calls = [n for text in python.values() for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    given = [
        call.args[0].id
        for call in calls
        if ast.unparse(call.func).endswith(f"check.{name}")
        and call.args
        and isinstance(call.args[0], ast.Name)
    ]
    if not given or given[-1] == name:
        return name
    bound = {b for number, text in python.items() for s in _statements(number, text) for b in s.binds}
    return given[-1] if given[-1] in bound else name


def syntax(cells: Mapping[int, str], name: str) -> str | None:
    """The syntax tree of the answer to an exercise as text, without its name, docstring, comments and layout.

    None where there is no function, or a stub only.

    >>> from dip_lessons.course import notebooks
    >>> one, other = "def double(x): return x*2", "def double(x): return (x * 2)  # twice"
    >>> notebooks.syntax({1: one}, "double") == notebooks.syntax({1: other}, "double")
    True
    """
    own, found = handed_in(cells, name), None
    for text in _parse(cells)[0].values():
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == own and not _is_stub(node):
                node.name = ""
                node.body = node.body[ast.get_docstring(node, clean=False) is not None :]
                found = ast.dump(node)
    return found


def predictions(notebook: Mapping) -> dict[str, Mapping]:
    """The guesses that a notebook's outputs hold, by name; they are a learner's, so that nothing is certain of them."""
    found: dict[str, Mapping] = {}
    for cell in notebook["cells"]:
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else []:
            data = output.get("data") if isinstance(output, dict) else None
            record = data.get(PREDICTION) if isinstance(data, dict) else None
            # What an answering cell holds goes before the guess alone, which may stand in an older output.
            if isinstance(record, dict) and (
                record.get("hit") is not None or str(record.get("name")) not in found
            ):
                found[str(record.get("name"))] = record
    return found


def answer(cells: Mapping[int, str], name: str, *, check: str | None = None) -> list[Part] | None:
    """The statements that a function of this name needs, itself included, in the order of the notebook.

    The last definition in the notebook counts. Whatever it uses is looked up as in a notebook executed from the
    top: names in its body as they stand at its check cell (at the end, if there is none), all others as they
    stand where they are used; and so on for what those statements use. Of a name, all statements are taken
    that bind or change it, back to the one that settles it: ``x = []``, ``x[0] = …``, ``x.append(…)``, in loops
    too. ``from … import *`` is always taken; shell commands and magics are only where a name is bound by them.

    Args:
        cells: {number: source}, the code cells.
        name: of the function.
        check: the name of its check; None is the same name.

    Returns:
        the statements cell by cell; an empty list where the function is a stub that raises
        NotImplementedError; None where nothing of this name is defined.

    Raises:
        SyntaxError: the cell that defines the function is no Python; ``filename`` names the cell.
    """
    python, broken = _parse(cells)
    statements = [s for number, text in python.items() for s in _statements(number, text)]
    own = [i for i, s in enumerate(statements) if name in s.binds]
    unreadable = [n for n in broken if re.search(rf"^\s*(async +)?def +{name}\b", cells[n], re.MULTILINE)]
    if unreadable and not (own and statements[own[-1]].cell > unreadable[-1]):
        raise broken[unreadable[-1]]
    if not own:
        return None
    if _is_stub(statements[own[-1]].node):
        return []
    checks = [
        i
        for i, s in enumerate(statements)
        if i > own[-1] and re.search(rf"\bcheck\.{check or name}\b", ast.unparse(s.node))
    ]
    end = checks[-1] if checks else len(statements)

    taken: set[int] = set()
    waiting = {(name, end), ("*", end)}
    seen = set(waiting)
    while waiting:
        used, place = waiting.pop()
        for i in _origin(statements, used, place) or _origin(statements, used, len(statements)):
            taken.add(i)
            # What runs at once finds names as they stand there; a body, as they stand where it is looked up.
            new = {(n, i) for n in statements[i].at_once} | {(n, place) for n in statements[i].later}
            waiting |= new - seen
            seen |= new
    parts: dict[int, list[int]] = {}
    for i in sorted(taken):
        parts.setdefault(statements[i].cell, []).append(statements[i].index)
    return [Part(number, python[number], tuple(indices)) for number, indices in parts.items()]


def _origin(statements: Sequence[_Statement], name: str, before: int) -> list[int]:
    """The statements before a place that make a name what it is there, as far back as it takes."""
    found, calls = [], []
    for i in range(before - 1, -1, -1):
        statement = statements[i]
        if name in statement.calls:
            calls.append(i)
        if name in statement.binds or name in statement.changes:
            found.append(i)
            if name in statement.binds and statement.settles:
                # A list may be changed by its methods; torch.manual_seed(0) and dip.show(…) change no module.
                is_module = isinstance(statement.node, (ast.Import, ast.ImportFrom))
                return found if is_module else found + calls
    return found


def _parse(cells: Mapping[int, str]) -> tuple[dict[int, str], dict[int, SyntaxError]]:
    """The Python of each cell, with IPython's own signs translated, and the errors of those that have none."""
    python: dict[int, str] = {}
    broken: dict[int, SyntaxError] = {}
    for number, text in cells.items():
        if text.lstrip().startswith("%%"):  # %%time and the like; what is no Python then will not parse
            text = text.lstrip().partition("\n")[2]
        try:
            text = TransformerManager().transform_cell(text)
            ast.parse(text)
            python[number] = text
        except UNREADABLE as error:
            what = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
            line = error.lineno if isinstance(error, SyntaxError) else None
            broken[number] = SyntaxError(what, (f"cell {number}", line, None, None))
    return python, broken


def _statements(number: int, python: str) -> Iterator[_Statement]:
    for index, node in enumerate(ast.parse(python).body):
        binds: set[str] = set()
        at_once: set[str] = set()
        later: set[str] = set()
        try:
            _scope(symtable.symtable(ast.unparse(node), f"cell {number}", "exec"), binds, at_once, later)
        except UNREADABLE:  # such as a `return` outside of a function
            continue
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            binds.add("*")
        changes, calls = map(frozenset, (_changed(node), _called(node)))
        yield _Statement(
            number, index, node, frozenset(binds), changes, calls, frozenset(at_once), frozenset(later)
        )


def _scope(table: symtable.SymbolTable, binds: set[str], at_once: set[str], later: set[str]) -> None:
    """Sort the global names of a statement. Functions run later; classes and comprehensions run at once."""
    module = table.get_type() == "module"
    comprehension = table.get_name().strip("<>") in ("listcomp", "setcomp", "dictcomp", "genexpr")
    is_later = table.get_type() == "function" and not comprehension
    for symbol in table.get_symbols():
        name = symbol.get_name()
        if module and (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()):
            binds.add(name)
        # A class's body looks a name up outside, even one that it binds: k = k.
        is_outside = module or table.get_type() == "class" or symbol.is_global()
        if is_outside and (symbol.is_referenced() or symbol.is_declared_global()):
            (later if is_later else at_once).add(name)
    for child in table.get_children():
        _scope(child, binds, later if is_later else at_once, later)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is in it, but for what runs later."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _walk(child)


def _changed(statement: ast.stmt) -> Iterator[str]:
    """Names whose objects a statement changes: ``x[…] = …``, ``x.y = …``, ``x += …``."""
    for node in _walk(statement):
        if isinstance(node, ast.AugAssign):
            yield from _root(node.target)
        if isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
            yield from _root(node)


def _called(statement: ast.stmt) -> Iterator[str]:
    """Names of which a method is called for its effect, in a line of its own: ``x.append(…)``."""
    for node in _walk(statement):
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            yield from _root(call.func)


def _root(node: ast.AST) -> Iterator[str]:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _is_stub(node: ast.stmt) -> bool:
    """Whether a function does nothing but raise NotImplementedError."""
    if not isinstance(node, ast.FunctionDef):
        return False
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if len(body) != 1 or not isinstance(body[0], ast.Raise) or body[0].exc is None:
        return False
    raised = body[0].exc.func if isinstance(body[0].exc, ast.Call) else body[0].exc
    return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
