"""Random programs as circuits and back: the same expectations and derivatives."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers import assert_close
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from interop.written_back import has_many_outcomes, in_bits, renamed, signed, with_counters
from strategies import cases

import qdiff as qd
from qdiff.interop.explicit import explicit
from qdiff.interop.qiskit_reader.circuit import from_qiskit
from qdiff.interop.qiskit_writer import to_qiskit
from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable

CANNOT = re.compile(
    r"not proved to be 0 or more|cannot be kept in bits|read no memory|do not commute, so its angle"
    r"|has no value|outside"
)
"""What random programs contain now and then, and circuits cannot say."""

Case = tuple[tree.Program, Observable, dict[str, float]]


def counters_of(program: tree.Program, circuit: Any, width: int) -> dict[str, Expr]:
    """The counters of a program as expressions over those of the program that its circuit is read as."""
    registers = {register.name: register for register in circuit.cregs}
    variables = {variable.name for variable in circuit.iter_declared_vars()}
    found: dict[str, Expr] = {}
    for register in program.counter_registers:
        for i, name in enumerate(register.elements):
            own = name if register.size is None else f"{register.name}_{i}"
            if own in variables:
                found[name] = signed(ex.Counter(own), width)
            elif own in registers:
                found[name] = in_bits([f"{own}[{k}]" for k in range(len(registers[own]))])
            else:
                found[name] = ex.Counter(f"{register.name}[{i}]")
    return found


def assert_same(case: Case, circuit: Any, width: int, given_values: dict[str, float]) -> None:
    """Assert that a circuit means the same as its program."""
    program, observable, values = case
    back, names = with_counters(from_qiskit(circuit), counters_of(program, circuit, width))
    if has_many_outcomes(back):
        return
    flag = explicit(program).aborted
    qubits = {q: q if "[" in q else f"{q}[0]" for q in program.qubits}
    other = renamed(observable, qubits, names, None if flag is None else f"{flag}[0]")
    ours, theirs = qd.expectation(program, observable), qd.expectation(back, other)
    free = {parameter: values[parameter.name] for parameter in circuit.parameters}
    assert not {parameter.name for parameter in free} & set(given_values)
    assert_close(theirs(free), ours(values), 1e-9)
    trained = [p for p in free if p.name in program.trainable]
    if trained:
        expected = ours.grad(values, wrt=[p.name for p in trained])
        assert_close(theirs.grad(free, wrt=trained), expected, 1e-8)


def written(program: tree.Program, given_values: dict[str, float], **options: Any) -> Any:
    """The circuit of a program; another program is tried where there is none for a reason that is known."""
    try:
        return to_qiskit(program, given_values, **options)
    except qd.QdiffError as error:
        if not CANNOT.search(str(error)):
            raise
        assume(False)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=60)
@given(cases(noise=(), growing=False, declared=True), st.sampled_from(["auto", "vars", "bits"]))
def test_programs_come_back(case: Case, counters: str) -> None:
    program, _, values = case
    given_values = {name: values[name] for name in program.compared}
    circuit = written(program, given_values, counters=counters)
    assert_same(case, circuit, 32, given_values)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=30)
@given(cases(noise=(), growing=False, declared=True))
def test_programs_come_back_with_numbers_for_all_parameters(case: Case) -> None:
    program, _, values = case
    circuit = written(program, values, counter_bits=16)
    assert not circuit.parameters
    assert_same(case, circuit, 16, values)


def test_a_broken_circuit_is_told_apart() -> None:
    program = qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then H[q] fi")
    case = program, qd.observable("Z[q]"), {"t": 0.7}
    circuit = to_qiskit(program)
    assert_same(case, circuit, 32, {})
    circuit.x(0)
    with pytest.raises(AssertionError):
        assert_same(case, circuit, 32, {})
