"""The engine of the exercises: each kind of answer gets the verdict it deserves."""

import pytest
import torch

from dip_lessons.course.check import Exercise, Experiment


def case():
    return (torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)),)


square = Exercise("square", lambda x: x**2, [case], {"you forgot the square": lambda x: x}, gradient=[0])


def unattempted(x):
    raise NotImplementedError


def in_place(x):
    x.mul_(2)
    return (x / 2) ** 2


def detour(x):
    """Right value, wrong gradient."""
    return (x**2).detach() + 0 * x


def broken(x):
    return x.no_such_thing


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (lambda x: x * x, "correct", "right"),
        (unattempted, "unattempted", "not attempted yet"),
        (lambda x: x, "wrong", "you forgot the square"),
        (lambda x: None, "wrong", "returns nothing"),
        (lambda x: "text", "wrong", "tensor of shape (1, 3, 16, 16)"),
        (lambda x: x[0] ** 2, "wrong", "shape (1, 3, 16, 16); yours has (3, 16, 16)"),
        (lambda x: x**2 / 0, "wrong", "NaN or infinite"),
        (lambda x: x**3, "wrong", "differ by up to"),
        (lambda x: x.detach() ** 2, "wrong", "no gradient"),
        (detour, "wrong", "its gradient is not"),
        (in_place, "wrong", "in place"),
        (broken, "wrong", "AttributeError"),
        (7, "wrong", "the function itself"),
    ],
)
def test_verdicts(answer, state, words):
    verdict = square(answer)
    assert verdict.state == state
    assert words in verdict.message


def test_answers_of_yes_and_no_are_counted():
    above = Exercise(
        "above", lambda x: x.flatten() > 0.5, [case], {"you asked for below": lambda x: x.flatten() < 0.5}
    )
    assert above(lambda x: x.flatten() > 0.5).state == "correct"
    assert above(lambda x: (x.flatten() > 0.5).float()).state == "correct"
    assert "you asked for below" in above(lambda x: x.flatten() < 0.5).message
    assert "768 answers are not" in above(lambda x: x.flatten() > 2).message


def test_pictures_are_drawn_for_a_wrong_picture():
    assert list(square(lambda x: x**3).pictures) == ["yours", "target", "difference"]


def test_the_verdict_of_a_right_answer_does_not_depend_on_grad_mode():
    with torch.no_grad():
        assert square(lambda x: x * x).state == "correct"


def test_checking_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    square(lambda x: x)
    assert torch.equal(torch.rand(2), expected)


climb = Experiment(
    "climb",
    lambda climb, top: climb(torch.tensor(0.0), lambda x: -((x - top) ** 2)),
    lambda reached, top: (
        f"it ends at {float(reached):.1f}, the top is at {top:.1f}" if abs(reached - top) > 0.1 else None
    ),
    [lambda: (3.0,), lambda: (-2.0,)],
)


def ascend(x, function, sign=1):
    for _ in range(100):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(x), x)
        x = x + sign * 0.1 * gradient
    return x


def test_an_experiment_measures_what_comes_out():
    assert climb(ascend).state == "correct"
    assert climb(lambda x, function: x).message == "it ends at 0.0, the top is at 3.0"
    assert climb(lambda x, function: x * torch.nan).message.startswith("what comes out holds NaN")
    assert climb(lambda x, function: torch.tensor(3.0)).message == "it ends at 3.0, the top is at -2.0"
    assert "line" in climb(lambda x, function: x / None).message
    assert climb(3).message.startswith("hand in the function itself")


def test_an_experiment_that_nobody_attempted():
    def stub(x, function):
        raise NotImplementedError

    assert climb(stub).state == "unattempted"
    with pytest.raises(ValueError, match="climb has 2 cases; got outcomes of 1"):
        climb.judge(climb.outcomes(ascend)[:1])
