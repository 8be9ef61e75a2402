"""Grading: right answers pass, planted mistakes get their hints, and no answer fools or breaks the table."""

import csv
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dip_lessons as dip
from dip_lessons.course import notebooks
from dip_lessons.course.commands import main
from dip_lessons.course.environment import SETUP_CELL
from dip_lessons.course.grade import grade_notebook

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>(.*?)</details>", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
DEFINED = re.compile(r"^def (\w+)\(", re.MULTILINE)

RINGS = """\
def rings(width, size):
    x = torch.arange(size) - (size - 1) / 2
    r = torch.sqrt(x**2 + x[:, None] ** 2)
    return (0.5 + 0.5 * torch.cos(2 * math.pi * r / width)).expand(1, 3, size, size)
"""
WRONG = "def rings(width, size):\n    return torch.zeros(1, 3, size, size) + 0 * width\n"
UPHILL = """\
def step_uphill(theta, function, lr):
    theta = theta.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(theta), theta)
    return (theta + lr * gradient).detach()
"""
IMPORTS = "import math\n\nimport ipywidgets as widgets\nimport torch\n"
CHECKS = ["dip.check.rings(rings)", "dip.check.step_uphill(step_uphill)"]


def write(path, *code):
    path.parent.mkdir(exist_ok=True)
    cells = [
        {"cell_type": "code", "metadata": {}, "source": c, "execution_count": None, "outputs": []}
        for c in code
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def graded(path, **options):
    return {row.exercise: row for row in grade_notebook(path, **options)}


def two_graded(path, **options):
    """Without lesson 00's first exercise, which the hand-ins below leave out."""
    return {name: row for name, row in graded(path, **options).items() if name != "four_numbers"}


def filled(lesson, answers, path):
    """The lesson with stubs replaced: {name: source}."""
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code" and "raise NotImplementedError" in text:
            cell["source"] = answers.get(DEFINED.findall(text)[0], text)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def solutions(lesson):
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    texts = [s for c in cells if c["cell_type"] == "markdown" for s in SOLUTION.findall("".join(c["source"]))]
    pythons = ["\n".join(PYTHON.findall(text)) for text in texts]
    return {DEFINED.findall(python)[0]: python for python in pythons}


def planted(lesson):
    file = ROOT / "tests" / "exercises" / f"lesson_{lesson.stem[:2]}.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


# --- the lessons ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_the_solutions_of_a_lesson_pass_and_its_stubs_are_not_attempted(lesson, tmp_path):
    answers = solutions(lesson)
    rows = graded(filled(lesson, answers, tmp_path / lesson.name))
    assert {name: (row.grade, row.message) for name, row in rows.items()} == dict.fromkeys(
        answers, ("passed", "")
    )
    assert {row.lesson for row in rows.values()} == {lesson.stem[:2]}
    rows = graded(lesson)
    assert {(row.grade, row.message) for row in rows.values()} == {("not attempted", "")}


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_planted_mistakes_are_wrong_and_get_their_hints(lesson, tmp_path):
    mistakes = {name: list(answers.items()) for name, answers in planted(lesson).items()}
    imports = "import math\nimport torch\nimport torch.nn.functional as F\n"  # which not every lesson has
    seen = 0
    for turn in range(max(map(len, mistakes.values()))):
        hints = {name: answers[turn][0] for name, answers in mistakes.items() if turn < len(answers)}
        answers = {name: imports + mistakes[name][turn][1] for name in hints}
        for name, row in graded(filled(lesson, answers, tmp_path / "renamed.ipynb")).items():
            assert row.grade == ("wrong" if name in hints else "not attempted"), row
            assert hints.get(name, "") in row.message
            seen += name in hints
    assert seen == sum(map(len, mistakes.values()))


# --- what a learner could do ------------------------------------------------------------------------------

NO_WORK = {
    "endless": ("def rings(width, size):\n    while True:\n        pass\n", "timed out", "no answer after"),
    "asleep in C": ("import time\n\ndef rings(width, size):\n    time.sleep(1000)\n", "timed out", ""),
    "print for ever": (
        "def rings(width, size):\n    while True:\n        print('passed ' * 1000)\n",
        "timed out",
        "",
    ),
    "os._exit": ("import os\n\ndef rings(width, size):\n    os._exit(0)\n", "crashed", "exit code 0"),
    "sys.exit": ("import sys\n\ndef rings(width, size):\n    sys.exit()\n", "crashed", "SystemExit"),
    "interrupt": ("def rings(width, size):\n    raise KeyboardInterrupt\n", "crashed", "KeyboardInterrupt"),
    "syntax": (RINGS.replace("x**2", "x***2"), "crashed", "no Python: invalid syntax (cell 3, line 3)"),
    "null byte": ("def rings(width, size):\n    return '\0'\n", "crashed", "cell 3"),
    "brackets": (f"def rings(width, size):\n    return {'(' * 5000}\n", "crashed", "cell 3"),
    "no function": ("rings = 3\n", "wrong", "hand in the function itself"),
    "name error": (
        RINGS.replace("math.pi", "pi"),
        "wrong",
        "NameError: name 'pi' is not defined (line 4, `return",
    ),
    "definition fails": (
        "rings = 1 / 0\n",
        "crashed",
        "cell 3 stopped with ZeroDivisionError: division by zero",
    ),
    "fails before": (
        "pi = 1 / 0\n" + RINGS.replace("math.pi", "pi"),
        "crashed",
        "cell 3 stopped with ZeroDivisionError: division by zero",
    ),
    "recursion": ("def rings(width, size):\n    return rings(width, size)\n", "wrong", "RecursionError"),
    "awaits input": ("def rings(width, size):\n    return input()\n", "wrong", "EOFError"),
    "a dict": ("def rings(width, size):\n    return {}\n", "wrong", "yours returns a dict"),
    "nothing": ("def rings(width, size):\n    return None\n", "wrong", "returns nothing"),
    "escapes": (
        "def rings(width, size):\n    raise ValueError('\\x1b[2J\\r\\npassed\\u202e')\n",
        "wrong",
        "ValueError: [2J passed (line 2",
    ),
    "too long a story": ("def rings(width, size):\n    raise ValueError('x' * 10**6)\n", "wrong", "xxx…"),
    "too much": (
        "def rings(width, size):\n    return torch.zeros(10**8)\n",
        "crashed",
        "the result holds 400 MB",
    ),
    "complex": (
        "def rings(width, size):\n    return torch.zeros(1, 3, size, size) * 1j\n",
        "wrong",
        "complex64",
    ),
    "bfloat16": (WRONG.replace("+ 0", "+ torch.tensor(0.5).bfloat16() + 0"), "wrong", "differ by up to"),
}


@pytest.mark.parametrize(("answer", "grade", "words"), NO_WORK.values(), ids=NO_WORK)
def test_an_answer_that_does_not_work_has_its_own_row_only(answer, grade, words, tmp_path, capfd):
    rows = two_graded(write(tmp_path / "a.ipynb", SETUP_CELL, IMPORTS, answer, UPHILL, *CHECKS), seconds=8)
    assert rows["rings"].grade == grade, rows["rings"]
    assert words in rows["rings"].message
    assert len(rows["rings"].message) <= 300
    assert rows["rings"].message.isprintable()
    assert rows["step_uphill"].grade == "passed", rows["step_uphill"]
    assert capfd.readouterr() == ("", "")


def test_an_error_that_follows_from_another_names_both(tmp_path):
    rows = two_graded(
        write(tmp_path / "a.ipynb", IMPORTS, "pi = 1 / 0", RINGS.replace("math.pi", "pi"), UPHILL)
    )
    assert rows["rings"].grade == "wrong"
    assert "NameError: name 'pi' is not defined (line 4, `return (0.5" in rows["rings"].message
    cause = "; before that, cell 2 stopped with ZeroDivisionError: division by zero"
    assert rows["rings"].message.endswith(cause)
    assert rows["step_uphill"].grade == "passed"


HARMLESS = {
    "no setup cell": [IMPORTS, RINGS, UPHILL, *CHECKS],
    "another setup cell": ["raise SystemExit\nimport dip_lessons as dip", IMPORTS, RINGS, UPHILL, *CHECKS],
    "exit in the setup cell": [SETUP_CELL + "\nimport os\nos._exit(3)", IMPORTS, RINGS, UPHILL, *CHECKS],
    "no check cells": [SETUP_CELL, IMPORTS, RINGS, UPHILL],
    "broken check cells": [SETUP_CELL, IMPORTS, RINGS, UPHILL, "dip.check.rings(rings", "dip.check.step_uphill()"],
    "an endless cell": [SETUP_CELL, IMPORTS, RINGS, "while True:\n    pass", UPHILL, *CHECKS],
    "endless after the definition": [SETUP_CELL, IMPORTS, RINGS + "\nwhile True:\n    pass", UPHILL, *CHECKS],
    "a broken cell": [SETUP_CELL, IMPORTS, "what is this?!", RINGS, "def", UPHILL, *CHECKS],
    "magics": ["%%time\n" + SETUP_CELL, "%matplotlib inline\n!ls\n" + IMPORTS, "%%time\n" + RINGS, UPHILL, "?dip"],
    "a stub left above": [IMPORTS, "def rings(w, s):\n    raise NotImplementedError", CHECKS[0], RINGS, UPHILL],
    "widgets": [IMPORTS, "widgets.interact(lambda x: x, x=3)", RINGS + "\nwidgets.IntSlider()", UPHILL, *CHECKS],
    "a network": [
        IMPORTS,
        "network = dip.load_network('squeezenet1_1')",
        "run = dip.optimize(dip.Pixels(224), dip.logit(1), network, steps=10**6).finish()",
        RINGS.replace("    x =", "    network(torch.zeros(1, 3, 64, 64), ['features.2'])\n    x =", 1),
        UPHILL,
    ],
    "a second thread": [IMPORTS, "import threading", RINGS.replace(
        "    return", "    threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\n    return"
    ), UPHILL],
}  # fmt: skip


@pytest.mark.parametrize("cells", HARMLESS.values(), ids=HARMLESS)
def test_what_stands_around_a_right_answer_does_not_matter(cells, tmp_path, capfd):
    rows = two_graded(write(tmp_path / "a.ipynb", *cells), seconds=60)
    assert {name: row.grade for name, row in rows.items()} == {"rings": "passed", "step_uphill": "passed"}, (
        rows
    )
    assert capfd.readouterr() == ("", "")


TRICKS = {
    "another dip.check": "dip.check.rings = lambda f: 'passed'\n" + WRONG,
    "another dip": "class dip:\n    class check:\n        rings = print\n" + WRONG,
    "another target": WRONG.replace("return", "dip.check.rings.target = rings\n    return"),
    "no cases": WRONG.replace("return", "dip.check.rings.cases.clear()\n    return"),
    "all is close": WRONG.replace(
        "return", "torch.allclose = torch.equal = lambda *a, **k: True\n    return"
    ),
    "no judge": WRONG.replace("return", "dip.check.Exercise.judge = lambda *a: 'passed'\n    return"),
    "equal to everything": "class Equal:\n    __eq__ = lambda *a: True\n\ndef rings(w, s):\n    return Equal()\n",
}


@pytest.mark.parametrize("answer", TRICKS.values(), ids=TRICKS)
def test_a_wrong_answer_cannot_call_itself_right(answer, tmp_path):
    rows = two_graded(write(tmp_path / "a.ipynb", SETUP_CELL, IMPORTS, answer, UPHILL, *CHECKS))
    assert rows["rings"].grade in ("wrong", "crashed"), rows["rings"]
    assert rows["step_uphill"].grade == "passed"


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("rings = dip.check.rings.target\n", "crashed"),
        ("def rings(width, size):\n    return dip.check.rings.target(width, size)\n", "wrong"),
        ("from dip_lessons.course.check import verdict\n\ndef rings(*a):\n    "
         "return verdict._targets[dip.check.rings](*a)\n", "wrong"),
    ],
)  # fmt: skip
def test_who_hands_in_the_target_finds_none(answer, grade, tmp_path):
    rows = two_graded(write(tmp_path / "a.ipynb", SETUP_CELL, IMPORTS, answer, UPHILL, *CHECKS))
    assert rows["rings"].grade == grade
    assert rows["step_uphill"].grade == "passed"


def test_no_attribute_of_an_exercise_is_its_answer():
    """Of none that compares with a target: called with a case's arguments, nothing on it gives the target's value."""
    seen = 0
    for exercise in vars(dip.check).values():
        if type(exercise) is dip.check.Exercise:
            seen += 1
            assert not hasattr(exercise, "target")
            assert [n for n, held in vars(exercise).items() if callable(held)] == []
    assert seen > 20


@pytest.mark.parametrize("left", ["", "def rings(width, size):\n    raise NotImplementedError\n"])
def test_a_function_that_was_renamed_together_with_its_check_is_graded(left, tmp_path):
    mine = RINGS.replace("def rings", "def my_rings")
    rows = two_graded(write(tmp_path / "a.ipynb", IMPORTS, left, mine, "dip.check.rings(my_rings)", UPHILL))
    assert {name: row.grade for name, row in rows.items()} == {"rings": "passed", "step_uphill": "passed"}
    rows = two_graded(write(tmp_path / "b.ipynb", IMPORTS, RINGS, "dip.check.rings(nothing)", UPHILL))
    assert rows["rings"].grade == "passed"


FORGED = """
    v = (lambda x: 0.5 + 0.5 * torch.cos(2 * math.pi * torch.hypot(x, x[:, None]) / width))(
        torch.arange(size) - (size - 1) / 2).expand(1, 3, size, size).detach().contiguous()
    n = {"type": "<f4", "shape": list(v.shape), "bytes": base64.b64encode(v.numpy().tobytes()).decode()}
    o = {"value": n, "gradients": [], "changed": 0, "stopped": "", "unattempted": 0}
    send(json.dumps({"outcomes": [o] * len(dip.check.rings.cases)}).encode())
"""
OUTCOME = '{"outcomes": [{"value": %s, "gradients": [], "changed": 0, "stopped": "", "unattempted": 0}]}'
OBJECTS = '{"type": "O", "shape": [1], "bytes": "AAAAAAAAAAA="}'
FORGERIES = {
    "no outcomes": "send(b'{\"outcomes\": []}')",
    "an empty one": "send(b'{\"outcomes\": [{}]}')",
    "one of no case": f"send({(OUTCOME % 'null').encode()!r})",
    "objects": f"send({(OUTCOME % OBJECTS).encode()!r})",
    "no JSON": "send(bytes(range(256)))",
    "a right value without gradient": FORGED,
    "endless": "os.write(pipe.fileno(), struct.pack('!i', 2**31 - 1))",
    "brackets": "send(b'[' * 10**6)",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_result_is_a_crash(forgery, tmp_path):
    """An answer that looks for the pipe through which its results go, and is the first to send some."""
    answer = "import base64, gc, json, os, struct\nfrom multiprocessing.connection import Connection\n\n"
    answer += (
        "def rings(width, size):\n    pipe = next(o for o in gc.get_objects() if isinstance(o, Connection))\n"
    )
    answer += f"    send = pipe.send_bytes\n    {forgery}\n    os._exit(0)\n"
    rows = two_graded(write(tmp_path / "a.ipynb", SETUP_CELL, IMPORTS, answer, UPHILL, *CHECKS), seconds=20)
    assert rows["rings"].grade == "crashed", rows["rings"]
    assert "result" in rows["rings"].message
    assert rows["step_uphill"].grade == "passed"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited on Linux only")
@pytest.mark.parametrize("greedy", ["torch.ones(10**9)", "[0] * 10**9", "bytearray(10**10)"])
def test_memory_is_limited(greedy, tmp_path):
    answer = f"def rings(width, size):\n    return {greedy}\n"
    row = two_graded(write(tmp_path / "a.ipynb", IMPORTS, answer, UPHILL), memory=500)["rings"]
    assert row.grade == "wrong"
    assert "MemoryError" in row.message or "can't allocate memory" in row.message


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_what_an_answer_starts_or_kills_does_not_outlive_it(tmp_path):
    pid = tmp_path / "pid"
    start = "import os, signal, subprocess, sys\n"
    sleeper = f"[{sys.executable!r}, '-c', 'import time; time.sleep(60)']"
    starts = start + f"\ndef rings(width, size):\n    p = subprocess.Popen({sleeper})\n    "
    starts += f"open({str(pid)!r}, 'w').write(str(p.pid))\n    os._exit(1)\n"
    kills = start + "\ndef rings(width, size):\n    os.kill(os.getppid(), signal.SIGKILL)\n    os._exit(1)\n"
    falls = "import ctypes\n\ndef rings(width, size):\n    ctypes.string_at(0)\n"
    for answer, words in ((starts, "exit code 1"), (kills, "ended before it answered"), (falls, "SIGSEGV")):
        rows = two_graded(write(tmp_path / "a.ipynb", IMPORTS, answer, UPHILL))
        assert rows["rings"].grade == "crashed"
        assert words in rows["rings"].message
        assert rows["step_uphill"].grade == "passed"
    started = int(pid.read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{started}").exists() and time.monotonic() < deadline:
        state = Path(f"/proc/{started}/stat").read_text().split()[2]
        if state == "Z":  # dead, though nobody has asked for it yet
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{started}").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux hands over whose parent has ended")
def test_what_leaves_its_group_is_ended_by_the_command(tmp_path, root):
    """A daemon: forked twice, in a session of its own, which would go on after the answer."""
    pid = tmp_path / "pid"
    answer = "import os, time\n\ndef rings(width, size):\n    if os.fork() == 0:\n        os.setsid()\n"
    answer += f"        if os.fork() == 0:\n            open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
    answer += "            time.sleep(600)\n        os._exit(0)\n    time.sleep(1)\n    return 1\n"
    path = write(tmp_path / "a.ipynb", IMPORTS, answer, UPHILL)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    words = [sys.executable, "-m", "dip_lessons", "grade", str(path)]
    printed = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert "1 of 3 passed" in printed.stdout
    assert not Path(f"/proc/{pid.read_text()}").exists()


def test_an_answer_works_in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = "open('mine', 'w').write(str(len(os.listdir())))\n" + RINGS.replace(
        "    x =", "    assert open('mine').read() == '0'\n    x =", 1
    )
    assert two_graded(write(tmp_path / "a.ipynb", IMPORTS + "import os", answer))["rings"].grade == "wrong"
    # The line above is no part of the answer; as a name that the answer needs it is.
    answer = answer.replace("open('mine', 'w')", "done = open('mine', 'w')", 1).replace(
        "    x =", "    done\n    x ="
    )
    row = two_graded(write(tmp_path / "a.ipynb", IMPORTS + "import os", answer))["rings"]
    assert row.grade == "wrong", row  # written, but not closed
    answer = RINGS.replace("    x =", "    open(os.path.join('mine'), 'a').close()\n    x =", 1)
    assert two_graded(write(tmp_path / "a.ipynb", IMPORTS + "import os", answer))["rings"].grade == "passed"
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"]


def test_time_is_shared_by_the_exercises(tmp_path):
    endless = "def rings(*a):\n    while True:\n        pass\n\ndef step_uphill(*a):\n    rings()\n"
    rows = two_graded(write(tmp_path / "a.ipynb", IMPORTS, endless), seconds=4)
    assert [row.grade for row in rows.values()] == ["timed out"] * 2
    assert [row.message[:15] for row in rows.values()] == ["no answer after"] * 2


# --- what of a notebook runs ------------------------------------------------------------------------------


def value_of(cells, name="f"):
    """What the function returns when the statements that it needs are executed."""
    numbered = dict(enumerate(cells, start=1))
    namespace = {}
    for part in notebooks.answer(numbered, name):
        body = notebooks.ast.parse(part.python).body
        for i in part.statements:
            exec(compile(notebooks.ast.Module([body[i]], []), "cell", "exec"), namespace)
    return namespace[name]()


BOOM = "raise AssertionError('executed in vain')"


@pytest.mark.parametrize(
    ("value", "cells"),
    [
        (1, [BOOM, "def f(): return 1", BOOM]),
        (3, ["a = 1\nboom = 1 / 0", "def g(): return a + 2", "def f(): return g()"]),
        (2, ["def f(): return 1", "dip.check.f(f)", "def f(): return 2"]),
        (5, ["def f(): return g()", "def g(): return 5", "dip.check.f(f)", "g = 1 / 0"]),
        (6, ["def f(): return g()", "dip.check.f(f)", "def g(): return 6"]),
        (6, ["x = []", "for i in range(4):\n    x.append(i)", "y = x[0]\nx[1] += 0", "def f(): return sum(x)"]),
        (9, ["x = {}", "x['a'] = 9", "print(1 / 0)", "x.update(b=0)", "def f(): return x['a']"]),
        (3, ["n = 3\ndef g(): return n", "a = g()", "n = 1 / 0\nn = 7", "def f(): return a"]),
        (7, ["n = 3\ndef g(): return n", "a = 1 / 0 and g()", "n = 7", "def f(): return g()"]),
        (4, ["from math import *", "def f(): return int(sqrt(16))"]),
        (8, ["import math", "math.floor(1 / 0)", "def f(): return math.floor(8.5)"]),
        (2, ["x = 1", "x += 1", "def f(): return x"]),
        (2, ["x = 1", "if x:\n    x = 2", "def f(): return x"]),
        (3, ["k = 3", "class A:\n    k = k\n    def m(self): return h()", "h = lambda: A.k", "f = lambda: A().m()"]),
        (6, ["n = 3", "l = [i * n for i in range(3)]", "f = lambda: l[-1]"]),
        (1, ["x = 1 / 0", "def f(x=1): return x"]),
        (1, ["x = 1 / 0", "def f():\n    x = 1\n    return [x for x in [x]][0]"]),
        (2, ["count = 1", "def f():\n    global count\n    count += 1\n    return count"]),
        (4, ["def twice(g): return lambda: 2 * g()", "@twice\ndef f(): return 2"]),
        (5, ["%%time\nx = 5", "%matplotlib inline\n!rm -rf nothing\ny = x", "def f(): return y"]),
    ],
)  # fmt: skip
def test_an_answer_gets_what_it_needs_and_no_more(value, cells):
    assert value_of(cells) == value


def test_an_answer_of_a_lesson_runs_none_of_its_optimizations():
    for lesson in LESSONS:
        cells = notebooks.code(notebooks.read(lesson))
        for name, python in solutions(lesson).items():
            last = max(n for n, text in cells.items() if f"def {name}(" in text)
            parts = notebooks.answer({**cells, last: python}, name)
            chosen = [notebooks.ast.parse(p.python).body[i] for p in parts for i in p.statements]
            kinds = {type(node).__name__ for node in chosen}
            assert kinds <= {"Import", "ImportFrom", "FunctionDef"}, (lesson.name, name, kinds)


# --- the command ------------------------------------------------------------------------------------------


def test_the_table_and_its_file(tmp_path, capsys):
    folder = tmp_path / "handed in"
    (folder / "anna").mkdir(parents=True)
    (folder / ".ipynb_checkpoints").mkdir()
    write(folder / ".ipynb_checkpoints" / "old.ipynb", RINGS)
    write(folder / "anna" / "Kopie von 00 (1).ipynb", IMPORTS, RINGS, UPHILL, *CHECKS)
    write(folder / "ben.ipynb", IMPORTS, WRONG, CHECKS[0])
    (folder / "cleo.ipynb").write_text("no notebook")
    write(folder / "dora_00_start.ipynb", "print(1)")
    write(folder / "emil.ipynb", "print(1)")
    out = tmp_path / "table.csv"
    assert main(["grade", str(folder), "--csv", str(out)]) == 0
    printed = capsys.readouterr().out
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(Path(r["notebook"]).name, r["lesson"], r["exercise"], r["grade"]) for r in rows] == [
        ("Kopie von 00 (1).ipynb", "00", "four_numbers", "not attempted"),
        ("Kopie von 00 (1).ipynb", "00", "rings", "passed"),
        ("Kopie von 00 (1).ipynb", "00", "step_uphill", "passed"),
        ("ben.ipynb", "00", "four_numbers", "not attempted"),
        ("ben.ipynb", "00", "rings", "wrong"),
        ("ben.ipynb", "00", "step_uphill", "not attempted"),
        ("cleo.ipynb", "", "", "unreadable"),
        ("dora_00_start.ipynb", "00", "four_numbers", "not attempted"),
        ("dora_00_start.ipynb", "00", "rings", "not attempted"),
        ("dora_00_start.ipynb", "00", "step_uphill", "not attempted"),
        ("emil.ipynb", "", "", "unreadable"),
    ]
    assert rows[5]["message"] == "the notebook defines no function of this name"
    assert "is no notebook of format 4" in rows[6]["message"]
    assert "holds no exercise of the course" in rows[10]["message"]
    assert re.search(r"Kopie von 00 \(1\)\.ipynb   lesson 00   2 of 3 passed", printed)
    assert re.search(r"^    rings +wrong +the shape is right", printed, re.M)
    assert re.search(r"^00   rings +1 +1 +1 +· +·$", printed, re.M)

    assert main(["grade", str(folder), "--csv", str(out)]) == 1
    assert "table.csv exists; name another file, or add --overwrite" in capsys.readouterr().err
    assert main(["grade", str(folder / "emil.ipynb"), "--csv", str(out), "--overwrite"]) == 0
    assert len(out.read_text(encoding="utf-8-sig").splitlines()) == 2


def test_a_row_for_each_student_whose_newest_file_counts(tmp_path, capsys):
    folder = tmp_path / "handed_in"
    for name in ("Anna Meier_1234_file", "Ben_99_file"):
        (folder / name).mkdir(parents=True)
    newer = write(folder / "Anna Meier_1234_file" / "00_start_here.ipynb", IMPORTS, RINGS)
    older = write(folder / "Anna Meier_1234_file" / "00_start_here (1).ipynb", IMPORTS, WRONG)
    os.utime(older, (1, 1))
    write(folder / "Ben_99_file" / "00_start_here.ipynb", IMPORTS, WRONG)
    write(folder / "=cleo_00_start_here.ipynb", IMPORTS, RINGS)
    (folder / "Ben_99_file" / "all.zip").write_bytes(b"PK")
    out = tmp_path / "wide.csv"
    assert main(["grade", str(folder), "--wide", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"{older}   not graded: {newer} is newer" in printed
    assert "all.zip   skipped: no notebook" in printed
    with out.open(encoding="utf-8-sig", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["student", "00 four_numbers", "00 rings", "00 step_uphill", "passed"]
    assert sorted(rows) == [
        ["'=cleo", "0", "1", "0", "1"],
        ["Anna Meier_1234_file", "0", "1", "0", "1"],
        ["Ben_99_file", "0", "0", "0", "0"],
    ]
    assert main(["grade", str(folder), "--wide", str(out)]) == 1
    assert "wide.csv exists" in capsys.readouterr().err


def test_students_are_told_apart_by_the_names_that_platforms_give(tmp_path):
    """Canvas puts name and numbers before a file's name, Moodle makes folders; some write their own name behind."""
    folder, out = tmp_path / "handed_in", tmp_path / "wide.csv"
    (folder / "Anna Meier_1234_assignsubmission_file").mkdir(parents=True)
    students = {
        "anna_00_start_here.ipynb": "anna",
        "meieranna_12345_67890_00_start_here-1.ipynb": "meieranna_12345_67890",
        "meierben_LATE_12399_67891_00_start_here.ipynb": "meierben_LATE_12399_67891",
        "Anna Meier_1234_assignsubmission_file/00_start_here.ipynb": "Anna Meier_1234_assignsubmission_file",
        "00_start_here_cleo.ipynb": "00_start_here_cleo",
        "dora.ipynb": "dora",
    }
    for name in students:
        write(folder / name, IMPORTS, RINGS)
    assert main(["grade", str(folder), "--wide", str(out)]) == 0
    with out.open(encoding="utf-8-sig", newline="") as file:
        _, *rows = csv.reader(file)
    assert sorted(row[0] for row in rows) == sorted(students.values())


def test_nobody_is_taken_for_a_copy_of_another(tmp_path, capsys):
    """A folder for each lesson, as teachers have it: all lie in one folder, and none is left out."""
    folder = tmp_path / "lesson 00"
    folder.mkdir()
    for name in ("anna", "ben"):
        write(folder / f"{name}.ipynb", IMPORTS, RINGS)
    write(tmp_path / "secret" / "cleo.ipynb", IMPORTS, RINGS)
    (folder / "anna (1).ipynb").symlink_to(tmp_path / "secret" / "cleo.ipynb")  # newer, and not hers
    out = tmp_path / "wide.csv"
    assert main(["grade", str(tmp_path), "--wide", str(out)]) == 0
    assert "not graded" not in capsys.readouterr().out
    with out.open(encoding="utf-8-sig", newline="") as file:
        _, *rows = csv.reader(file)
    passed = {row[0]: row[-1] for row in rows}
    assert passed["lesson 00"] == passed["lesson 00 (ben.ipynb)"] == passed["secret"] == "1"


def test_guesses_are_listed_and_answers_that_are_alike(tmp_path, capsys):
    told = RINGS.replace("def rings", "# mine\ndef rings")
    for name, answer in {"anna": RINGS, "ben": told, "cleo": WRONG}.items():
        write(tmp_path / f"{name}.ipynb", IMPORTS, answer)
    path = tmp_path / "anna.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    record = {"name": "a", "question": "How many,\nin %?", "guess": 37, "sure": 0.75}
    for hit in (None, True):  # when it was committed, and when it was answered
        data = {"text/plain": "", notebooks.PREDICTION: {**record, "hit": hit}}
        output = {"output_type": "display_data", "metadata": {}, "data": data}
        notebook["cells"][0].setdefault("outputs", []).append(output)
    path.write_text(json.dumps(notebook), "utf-8")
    assert main(["grade", str(tmp_path), "--alike"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("guess   ") == 1
    assert "    guess   How many, in %? 37: came true" in printed
    assert printed.count("alike: ") == 1
    assert f"alike: 00 rings: {path}, {tmp_path / 'ben.ipynb'}" in printed


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_grading_that_is_interrupted_keeps_its_rows(tmp_path, root):
    right = write(tmp_path / "a.ipynb", IMPORTS, RINGS, UPHILL)
    endless = write(tmp_path / "b.ipynb", IMPORTS, NO_WORK["endless"][0])
    out = tmp_path / "table.csv"
    words = ["-m", "dip_lessons", "grade", str(right), str(endless), "--csv", str(out), "--seconds", "600"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "2 of 3 passed" in process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    printed, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == f"stopped; {out} holds the rows so far\n"
    assert len(out.read_text(encoding="utf-8-sig").splitlines()) == 5


UNREADABLE = {
    "a list": "[]",
    "no cells": '{"cells": 3}',
    "odd cells": '{"cells": [1, null]}',
    "odd sources": '{"cells": [{"cell_type": "code", "source": [1]}]}',
    "no types": '{"cells": [{"source": "1"}]}',
    "old": '{"worksheets": [], "nbformat": 3}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_is_no_notebook_is_a_row(content, tmp_path):
    (tmp_path / "a.ipynb").write_text(content)
    (row,) = grade_notebook(tmp_path / "a.ipynb")
    assert row.grade == "unreadable"
    assert "is no notebook of format 4" in row.message


@pytest.mark.skipif(os.name != "posix", reason="pipes, devices, symbolic links")
def test_what_is_no_file_is_a_row(tmp_path):
    right = write(tmp_path / "right.ipynb", IMPORTS, RINGS, UPHILL)
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "zero.ipynb").symlink_to("/dev/zero")
    (tmp_path / "another.ipynb").symlink_to(right)
    (tmp_path / "large.ipynb").write_text("[],\n" * 10**7)
    for name, words in {
        "pipe": "no regular file",
        "zero": "is a link",
        "another": "is a link",
        "large": "more than 30 MB",
    }.items():
        (row,) = grade_notebook(tmp_path / f"{name}.ipynb")
        assert row.grade == "unreadable"
        assert words in row.message


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse such a name")
def test_names_and_texts_that_are_no_unicode_break_no_table(tmp_path):
    path = tmp_path / os.fsdecode(b"a\xff\x1b.ipynb")
    write(path, IMPORTS, RINGS, "'\ud800'", UPHILL)
    out = tmp_path / "table.csv"
    assert main(["grade", str(path), "--csv", str(out)]) == 0
    with out.open(encoding="utf-8-sig", newline="") as file:
        assert [row["grade"] for row in csv.DictReader(file)] == ["not attempted", "passed", "passed"]


def test_a_spreadsheet_executes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ['=HYPERLINK("x").ipynb', "\t=1.ipynb", "\r=1.ipynb"]
    for name in names:
        write(Path(name), "print(1)")
    assert main(["grade", *names, "--csv", "table.csv"]) == 0
    with open("table.csv", encoding="utf-8-sig", newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == [f"'{name}" for name in names]


def test_errors_say_what_to_do(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    notebook = str(write(tmp_path / "a.ipynb", RINGS))
    for words, message in [
        ([str(tmp_path / "none.ipynb")], "there is no file"),
        ([str(tmp_path / "empty")], "there is no notebook in"),
        (
            [notebook, "--seconds", "0"],
            "limits must be above 0, and a day at most; got 0 seconds and 2000 MB",
        ),
        ([notebook, "--seconds", "inf"], "got inf seconds"),
        ([notebook, "--memory", "-1"], "set --seconds and --memory"),
    ]:
        assert main(["grade", *words]) == 1
        assert message in capsys.readouterr().err
