"""Final states by store, against the interpreter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from reference import interpreter
from sim.hybrid.agreement import engine_for
from strategies import cases

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.tree import Program
from qdiff.sim.hybrid.engine import HybridEngine

NEGLIGIBLE = 1e-9


def check_state(engine: HybridEngine, row: dict[str, float]) -> None:
    expected = interpreter.run(engine.program, row)
    found = engine.state(row)
    for store in expected.keys() | found.keys():
        zero = np.zeros((engine.dimension, engine.dimension))
        mixture = found.get(store)
        matrix = zero if mixture is None else mixture.density_matrix()
        assert_close(matrix, expected.get(store, zero), tolerance=NEGLIGIBLE)
        if mixture is not None:
            assert_close(mixture.probability, np.trace(expected.get(store, zero)).real)


@settings(max_examples=25)
@given(cases())
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, _, row = case
    check_state(HybridEngine(program), row)


@pytest.mark.parametrize(
    "body",
    [
        "c++; while M[q] = 1 do Ry(t)[q]; k := k + 2 od",
        "c := M[q, r]; H[q]; if M[q] = 1 then abort fi",
        "while{3} M[q] = 0 do Ry(t)[q]; c := -c; c++ od; k := c*c",
        "c := M[q]; q := |0>; CNOT[q, r]; k := 3 - c",
    ],
)
def test_counters_that_observables_would_not_follow(body: str) -> None:
    engine = engine_for(f"qubit: q, r para: t count: c, k H[q]; Ry(t)[r]; {body}")
    check_state(engine, {"t": 0.7})


def test_the_state_after_questions_about_observables_is_the_same() -> None:
    engine = engine_for("qubit: q para: t count: c while M[q] = 0 do Ry(t)[q]; c++ od")
    before = engine.state({"t": 1.1})
    engine.gradients([{"t": 1.1}], [parse_observable("c^2")], ["t"])
    after = engine.state({"t": 1.1})
    assert before.keys() == after.keys()
    p = math.sin(0.55) ** 2
    assert_close(after[3,].probability, (1 - p) ** 2 * p)
    assert after[3,].matrix is not None


def test_a_program_without_counters_has_one_store() -> None:
    (store,) = engine_for("qubit: q para: t Ry(t)[q]").state({"t": 0.4})
    assert store == ()


def test_aborted_and_endless_runs_are_left_out() -> None:
    text = "qubit: q para: t Ry(t)[q]; if M[q] = 1 then while M[q] = 1 do skip od fi"
    found = engine_for(text).state({"t": 0.4})
    assert_close(found[()].probability, math.cos(0.2) ** 2)
    assert engine_for("qubit: q abort").state({}) == {}


def test_a_state_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="divides by zero"):
        engine_for("qubit: q para: t Ry(1/t)[q]").state({"t": 0.0})
