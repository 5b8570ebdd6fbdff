"""All angles of a line at once: plain ones as a sparse table, others by a tape, errors as ever."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import assert_close
from sim.static.circuits import circuit
from sim.static.test_engine import RICH

from qdiff.errors import EvaluationError
from qdiff.lang.observable import X, Z
from qdiff.lang.parameter_table import ParameterTable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats
from qdiff.sim.static.angles import CONSTANT, Angles, plain_form
from qdiff.sim.static.engine import PureStateEngine


def angles_of(program: Program, wrt: tuple[str, ...] | None = None) -> tuple[Angles, PureStateEngine]:
    engine = PureStateEngine(program, threads=1)
    ((line, _),) = engine._by_path([dict.fromkeys(program.parameters, 0.0)])
    names = program.trainable if wrt is None else wrt
    return Angles(line, engine.preparation.expressions(line, names)), engine


def random(program: Program, rows: int) -> Floats:
    return np.random.default_rng(0).uniform(0.2, 2, (rows, len(program.parameters)))


def plain(angle: str, c: int = 3) -> object:
    """The addends of an angle: index of t, u, w[0], … or CONSTANT, and factor."""
    program = parse(f"qubit: q para: t, u, w[4] count: c Ry({angle})[q]")
    (gate,) = PureStateEngine(program).flow.gates
    place = {name: i for i, name in enumerate(program.parameters)}
    return plain_form(PureStateEngine(program).flow.expressions[gate.expression], place, {"c": c})


@pytest.mark.parametrize(
    ("angle", "addends"),
    [
        ("t", ((0, 1.0),)),
        ("-t", ((0, -1.0),)),
        ("w[3]", ((5, 1.0),)),
        ("w[c]", ((5, 1.0),)),
        ("w[c - 3]", ((2, 1.0),)),
        ("2*u", ((1, 2.0),)),
        ("u/4", ((1, 0.25),)),
        ("t*c", ((0, 3.0),)),
        ("2*t + pi/2", ((0, 2.0), (CONSTANT, math.pi / 2))),
        ("t - u", ((0, 1.0), (1, -1.0))),
        ("-(t - u)", ((0, -1.0), (1, 1.0))),
        ("c/2", ((CONSTANT, 1.5),)),
        ("sin(c)*t", ((0, math.sin(3)),)),
    ],
)
def test_plain_angles(angle: str, addends: object) -> None:
    assert plain(angle) == addends


@pytest.mark.parametrize(
    "angle",
    [
        "t*u",
        "t^2",
        "sin(t)",
        "t + u + 1",
        "2*(t + u)",
        "1/t",
        "w[c + 1]",
        "t/(c - 3)",
        "1e308*10*t",
        "log(c - 3)",
    ],
)
def test_other_angles(angle: str) -> None:
    assert plain(angle) is None


@pytest.mark.parametrize(
    "program", [parse(RICH), circuit(3, 1), circuit(4, 2)], ids=["rich", "three", "four"]
)
def test_angles_and_derivatives_are_those_of_the_tape(program: Program) -> None:
    angles, engine = angles_of(program)
    parameters = random(program, 3)
    rows = ParameterTable(program.parameters, parameters)
    line, instances = angles.line, angles.line.instances
    numbers = engine.preparation.numbers(line, rows, program.trainable)
    found = angles.at(parameters)
    assert found.shape == (3, len(instances.instances))
    assert np.array_equal(found, instances.angles(numbers))
    assert np.array_equal(angles.wanted, instances.wanted(numbers))
    by_instance = np.random.default_rng(1).normal(size=(3, 2, found.shape[1]))
    by_place: dict[tuple[int, int], Floats] = {}
    for i, (_, row) in enumerate(instances.instances):
        e = int(instances.expressions[i])
        if e >= 0:
            by_place[e, row] = by_place.get((e, row), np.zeros((3, 2))) + by_instance[:, :, i]
    assert_close(angles.pull_back(parameters, by_instance), numbers.chain_rule(by_place, 2), 1e-13)


def test_derivatives_by_some_parameters() -> None:
    program = parse(RICH)
    parameters = random(program, 2)
    every, _ = angles_of(program)
    by_instance = np.random.default_rng(1).normal(size=(2, 1, len(every.plain)))
    expected = every.pull_back(parameters, by_instance)
    some, _ = angles_of(program, ("w[2]", "t"))
    assert_close(some.pull_back(parameters, by_instance), expected[:, :, [3, 0]], 1e-14)
    none, _ = angles_of(program, ())
    assert none.pull_back(parameters, by_instance).shape == (2, 1, 0)
    assert not none.wanted.any()


# --- What does not exist --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("angle", "message"),
    [
        ("log(t)", "`log(t)` has no finite real value"),
        ("w[c + 2]", "the index of `w[c + 2]` is 2, outside 0 .. 1."),
        ("1e308*t*1e3", "`1e+308*t*1000.0` is -inf, not a finite real number."),
        ("1e308*1.5*t - w[0]*1e308", "is -inf, not a finite real number."),
        ("sqrt(t + 1)", "the derivative of `sqrt(t + 1)` by `t` does not exist here:"),
        ("1e308*t - 1e308*w[0]", "is -inf, not a finite real number."),
    ],
)
def test_errors_are_those_of_the_tape(angle: str, message: str) -> None:
    program = parse(f"qubit: q para: t, w[2] count: c H[q]; Ry({angle})[q]; Rz(t)[q]; Rx(w[0])[q]")
    rows = [{"t": 1.0, "w[0]": 1.0, "w[1]": 0.0}, {"t": -1.0, "w[0]": 1.0, "w[1]": 0.0}]
    engine = PureStateEngine(program)
    texts = []
    for call in (
        lambda: engine.gradients(rows[1:], [Z("q")], program.trainable),
        lambda: engine.gradients(rows[1:] * 9, [Z("q")], program.trainable),
        lambda: engine.curvature(rows[1], [Z("q")], program.trainable, np.eye(len(program.trainable))),
        lambda: angles_of(program)[0].at(np.array([[-1.0, 1.0, 0.0]])),
    ):
        with pytest.raises(EvaluationError) as caught:
            call()
        texts.append(str(caught.value))
    assert message in texts[0]
    assert len(set(texts)) == 1


@pytest.mark.parametrize("size", [1e199, 3e200, 1.5e308])
@pytest.mark.parametrize(("gate", "factor"), [("P", 1), ("Rz", 1), ("Tiny", 1e-9)])
@pytest.mark.parametrize("rows", [1, 9])
def test_an_angle_of_any_size(size: float, gate: str, factor: float, rows: int) -> None:
    declared = "gate Tiny(a)[p] = exp(-i a/2 * (0.000000001*Z))"
    program = parse(f"qubit: q para: t {declared} H[q]; {gate}(t)[q]")
    values, slopes = PureStateEngine(program).gradients([{"t": size}] * rows, [X("q")], ["t"])
    angle = factor * size
    assert values == pytest.approx(np.full((rows, 1), math.cos(angle)), abs=1e-13)
    assert slopes == pytest.approx(np.full((rows, 1, 1), -factor * math.sin(angle)), abs=1e-13)


def test_what_a_program_needs_before_it_aborts_must_exist() -> None:
    program = parse("qubit: q para: t Ry(log(t))[q]; abort")
    engine = PureStateEngine(program)
    assert engine.values([{"t": 1.0}] * 3, [Z("q")]).tolist() == [[0.0]] * 3
    with pytest.raises(EvaluationError, match=r"`log\(t\)` has no finite real value"):
        engine.values([{"t": -1.0}], [Z("q")])
