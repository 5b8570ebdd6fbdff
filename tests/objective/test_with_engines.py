"""Every call on every engine that can answer, against the engine made of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from amounts import examples
from exact_reference import ReferenceEngine
from helpers import assert_close
from hypothesis import given, settings
from strategies import cases

import qdiff as qd
from qdiff.sim.choice import candidates_for

Case = tuple[qd.Program, qd.Observable, dict[str, float]]


def engines(program: qd.Program) -> list[str]:
    """The engines that can answer with bearable work."""
    return [c.name for c in candidates_for(program) if not c.refusal and c.operations < 1e9]


@settings(max_examples=examples(12))
@given(cases(growing=False))
def test_first_order(case: Case) -> None:
    program, observable, params = case
    right = qd.expectation(program, observable, engine=ReferenceEngine(program))
    rows = [params, {name: x * (0.9 if name != "n" else 1) for name, x in params.items()}]
    v = np.linspace(-1, 2, len(program.trainable))
    for name in engines(program):
        f = qd.expectation(program, observable, engine=name)
        assert_close(f.jvp(params, v), right.jvp(params, v))
        values, gradients = f.batch_value_and_grad(rows)
        for which in (lambda g: g, lambda g: g.variance):
            assert_close(which(f)(params), which(right)(params))
            assert_close(which(f).grad(params), which(right).grad(params))
        for row, value, gradient in zip(rows, values, gradients, strict=True):
            assert_close(value, right(row))
            assert_close(gradient, right.grad(row))


@settings(max_examples=examples(8))
@given(cases(unbounded=False))
def test_second_order(case: Case) -> None:
    program, observable, params = case
    v = np.linspace(-1, 2, len(program.trainable))
    expected = qd.expectation(program, observable, engine=ReferenceEngine(program)).hvp(params, v)
    for name in engines(program):
        f = qd.expectation(program, observable, engine=name)
        assert_close(f.hvp(params, v), expected, 1e-7)
        assert_close(f.hessian(params) @ v, f.hvp(params, v))


@settings(max_examples=examples(10))
@given(cases(growing=False))
def test_states(case: Case) -> None:
    program, _, params = case
    right = qd.state(program, params, engine=ReferenceEngine(program))
    for name in engines(program):
        found = qd.state(program, params, engine=name)
        for store in {*right, *found}:
            if store not in right or store not in found:
                missing = (right if store in right else found)[store]
                assert missing.probability < 1e-9
            else:
                assert_close(found[store].density_matrix(), right[store].density_matrix())
        assert_close(found.aborted, right.aborted)


@settings(max_examples=examples(10))
@given(cases(growing=False))
def test_the_check_finds_nothing(case: Case) -> None:
    program, observable, params = case
    report = qd.check_grad(qd.expectation(program, observable), params)
    assert report.ok, str(report)


def test_what_does_not_fit_one_engine_goes_to_another() -> None:
    text = "qubit: a[12] para: t Ry(t)[a[0]]; while M[a[0]] = 1 do Ry(t)[a[0]]; CNOT[a[0], a[5]] od"
    f = qd.expectation(qd.parse(text), "Z[a[5]]")
    assert f.engines.chosen.name == "branching"
    g = qd.expectation(qd.parse(text.replace("a[12]", "a[6]")), "Z[a[5]]", engine="hybrid")
    assert_close(f.value_and_grad([2.2])[0], g([2.2]))


@pytest.mark.parametrize("memory", ["1GB", 0, -1, True, 1e9])
def test_max_memory_is_a_number_of_bytes(memory: object) -> None:
    with pytest.raises(qd.QdiffError, match="max_memory is a positive whole number of bytes"):
        qd.expectation(qd.parse("qubit: q X[q]"), "Z[q]", max_memory=memory)  # type: ignore[arg-type]
