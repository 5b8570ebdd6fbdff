"""Random programs as OpenQASM 3 and back: the same expectations and derivatives, and valid by the grammar."""

from __future__ import annotations

import re

import pytest
from helpers import assert_close
from hypothesis import HealthCheck, assume, given, settings
from interop.written_back import has_many_outcomes, in_bits, renamed, with_counters
from strategies import cases

import qdiff as qd
from qdiff.interop.explicit import explicit
from qdiff.interop.qasm3_reader import from_qasm3
from qdiff.interop.qasm3_writer import to_qasm3
from qdiff.interop.qasm3_writer.names import TextNames
from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable

Case = tuple[tree.Program, Observable, dict[str, float]]

_DECLARED = re.compile(r"^(int|bit)(?:\[(\d+)\])? (\w+)", re.MULTILINE)

CANNOT = re.compile(r"do not commute, so its angle")
"""What random programs contain now and then, and OpenQASM cannot say."""

SIGNED = re.compile(r"signed|negative")
"""Why the reader refuses `%` of integers that may be negative: languages do not agree on it."""


def counters_of(program: tree.Program, names: TextNames, text: str) -> dict[str, Expr]:
    """The counters of a program as expressions over those of the program that its text is read as."""
    declared = {name: (kind, size) for kind, size, name in _DECLARED.findall(text)}
    found: dict[str, Expr] = {}
    for register in program.counter_registers:
        name = names.registers[register.name]
        for i, element in enumerate(register.elements):
            own = name if register.size is None else f"{name}_{i}"
            if own not in declared:
                found[element] = ex.Counter(f"{name}[{i}]")
                continue
            kind, size = declared[own]
            many = int(size) if kind == "bit" and size else 0
            found[element] = in_bits([f"{own}[{k}]" for k in range(many)]) if many else ex.Counter(own)
    return found


def assert_same(case: Case, text: str, back: tree.Program) -> None:
    """Assert that the program of a text means the same as the one that was written."""
    program, observable, values = case
    form = explicit(program)
    names = TextNames(form.program)
    with_kept, kept = with_counters(back, counters_of(program, names, text))
    flag = None if form.aborted is None else names.registers[form.aborted]
    other = renamed(observable, {q: names.of[q] for q in program.qubits}, kept, flag)
    ours, theirs = qd.expectation(program, observable), qd.expectation(with_kept, other)
    given_values = {names.of[name]: value for name, value in values.items()}
    assert_close(theirs(given_values), ours(values), 1e-9)
    if program.trainable:
        found = theirs.grad(given_values, wrt=[names.of[name] for name in program.trainable])
        assert_close(found, ours.grad(values), 1e-8)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=60)
@given(cases(noise=(), growing=False, declared=True))
def test_programs_come_back(case: Case) -> None:
    try:
        text = to_qasm3(case[0])
    except qd.QdiffError as error:
        if not CANNOT.search(str(error)):
            raise
        assume(False)
    try:
        back = from_qasm3(text)
    except qd.QdiffError as error:
        if "%" not in text or not SIGNED.search(str(error)):
            raise
        assume(False)
    assume(not has_many_outcomes(back))
    assert_same(case, text, back)


def test_a_broken_text_is_told_apart() -> None:
    program = qd.parse("qubit: q, r para: t Ry(t)[q]; C_U(t, 0.3, 0.2)[q][r]; if M[r] = 1 then H[q] fi")
    case = program, qd.observable("X[q]*Z[r] + Z[q]"), {"t": 0.7}
    text = to_qasm3(program)
    assert_same(case, text, from_qasm3(text))
    without_phase = "\n".join(line for line in text.splitlines() if not line.startswith("p("))
    assert without_phase + "\n" != text
    with pytest.raises(AssertionError):
        assert_same(case, text, from_qasm3(without_phase))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=40)
@given(cases(noise=(), declared=True))
def test_texts_are_valid_by_the_official_grammar(case: Case) -> None:
    official = pytest.importorskip("openqasm3", reason="the parser of the OpenQASM project, with antlr4")
    try:
        text = to_qasm3(case[0])
    except qd.QdiffError as error:
        if not CANNOT.search(str(error)):
            raise
        assume(False)
    official.parse(text)


def test_the_official_grammar_refuses_what_is_wrong() -> None:
    official = pytest.importorskip("openqasm3", reason="the parser of the OpenQASM project, with antlr4")
    with pytest.raises(official.parser.QASM3ParsingError):
        official.parse("OPENQASM 3.0;\nqubit q\nint[64] c = 0;\n")
