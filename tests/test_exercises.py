"""Every exercise: the notebook's solution is right, its stub unattempted, planted mistakes get their hints."""

import importlib.util
import json
import math
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import dip_lessons as dip

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
CHECK = re.compile(r"^dip\.check\.(\w+)\((\w+)\)$", re.MULTILINE)
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>(.*?)</details>", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def exercises():
    """(notebook, name, source of the stub, source of the solution) of each exercise."""
    for notebook in NOTEBOOKS:
        cells = json.loads(notebook.read_text())["cells"]
        sources = [(c["cell_type"], "".join(c["source"])) for c in cells]
        for i, (kind, source) in enumerate(sources):
            for name, answer in CHECK.findall(source) if kind == "code" else []:
                assert name == answer, f"{notebook.name}: the check {name} is given {answer}"
                stub = next(s for k, s in reversed(sources[:i]) if k == "code" and f"def {name}(" in s)
                texts = [t for k, s in sources[i + 1 :] if k == "markdown" for t in SOLUTION.findall(s)]
                yield notebook.stem, name, stub, "\n".join(PYTHON.findall(texts[0])) if texts else ""


EXERCISES = list(exercises())
NAMES = [name for _, name, _, _ in EXERCISES]


def run(source, name):
    namespace = {"torch": torch, "F": F, "math": math, "dip": dip}
    exec(source, namespace)
    return getattr(dip.check, name)(namespace[name])


def handed_in():
    """(lesson, its module of answers) of each file in tests/exercises."""
    for file in sorted((ROOT / "tests" / "exercises").glob("lesson_*.py")):
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield file.stem, module


def planted():
    for lesson, module in handed_in():
        for name, answers in module.WRONG.items():
            for hint, source in answers.items():
                yield pytest.param(name, hint, source, id=f"{lesson}-{name}-{hint[:24]}")


def good():
    for lesson, module in handed_in():
        for name, source in getattr(module, "RIGHT", {}).items():
            yield pytest.param(name, source, id=f"{lesson}-{name}")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_each_lesson_has_two_exercises(notebook):
    assert sum(stem == notebook.stem for stem, *_ in EXERCISES) >= 2


@pytest.mark.parametrize(("notebook", "name", "stub", "solution"), EXERCISES, ids=NAMES)
def test_the_solution_is_right_and_the_stub_unattempted(notebook, name, stub, solution):
    assert run(stub, name).state == "unattempted"
    verdict = run(solution, name)
    assert verdict.state == "correct", verdict


@pytest.mark.parametrize(("name", "source"), list(good()))
def test_an_answer_that_is_written_otherwise_is_right_too(name, source):
    verdict = run(source, name)
    assert verdict.state == "correct", verdict


@pytest.mark.parametrize(("name", "hint", "source"), list(planted()))
def test_a_planted_mistake_gets_its_hint(name, hint, source):
    verdict = run(source, name)
    assert verdict.state == "wrong"
    assert hint in verdict.message


def test_every_exercise_has_two_planted_mistakes():
    counts = {name: sum(p.values[0] == name for p in planted()) for name in NAMES}
    assert {name: n for name, n in counts.items() if n < 2} == {}
    assert {p.values[0] for p in planted()} <= set(NAMES)
