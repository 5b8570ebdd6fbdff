"""What circuits look like, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.classical import types

import qdiff as qd
from qdiff.interop.qiskit_reader.circuit import from_qiskit
from qdiff.interop.qiskit_writer import qiskit_text, to_qiskit
from qdiff.lang.expr import FUNCTIONS


def test_registers_are_those_that_are_declared() -> None:
    circuit = to_qiskit(qd.parse("qubit: q, d[3] count: c, m[2] c := M[d[0], d[2]]; m[1] := M[q]; H[d[1]]"))
    assert [(r.name, r.size) for r in circuit.qregs] == [("q", 1), ("d", 3)]
    assert [(r.name, r.size) for r in circuit.cregs] == [("c", 2), ("m", 2)]
    (first, second, third, *_) = circuit.data
    assert [
        circuit.find_bit(bit).index for i in (first, second, third) for bit in (*i.qubits, *i.clbits)
    ] == [
        *(1, 0),
        *(3, 1),
        *(0, 3),
    ]


def test_wider_elements_have_registers_of_their_own() -> None:
    circuit = to_qiskit(qd.parse("qubit: q, r count: m[2] m[1] := M[q, r]; m[0] := M[q]; m[1] := M[q]"))
    assert [(r.name, r.size) for r in circuit.cregs] == [("m_0", 1), ("m_1", 2)]
    assert circuit.data[-1].operation.name == "store"  # the high bit becomes 0


def test_counters_are_bits_or_variables_as_asked() -> None:
    program = qd.parse("qubit: q count: c, d c := M[q]; d := d + c; if c = 1 and d < 3 then c := 0 fi")
    circuit = to_qiskit(program)
    assert [r.name for r in circuit.cregs] == ["c"]
    assert [(v.name, v.type) for v in circuit.iter_declared_vars()] == [("d", types.Uint(32))]
    circuit = to_qiskit(program, counters="vars", counter_bits=8)
    assert [(v.name, v.type) for v in circuit.iter_declared_vars()] == [(n, types.Uint(8)) for n in "cd"]
    with pytest.raises(qd.QdiffError) as caught:
        to_qiskit(program, counters="bits")
    assert str(caught.value) == (
        "<text>:1:33: the counter `d` cannot be kept in bits: `d := d + c` is no measurement and no constant"
        ' from 0 to 65535. Ask for counters="auto" or "vars".\n'
        "    qubit: q count: c, d c := M[q]; d := d + c; if c = 1 and d < 3 then c := 0 fi\n"
        "                                    ^^^^^^^^^^"
    )


def test_parameters_get_their_names_back() -> None:
    theta = Parameter("θ")
    circuit = QuantumCircuit(1)
    circuit.ry(2 * theta, 0)
    program = from_qiskit(circuit)
    assert program.parameters == ("theta",)
    written = to_qiskit(program)
    assert [p.name for p in written.parameters] == ["θ"]
    assert not to_qiskit(program, {"θ": 0.3}).parameters


@pytest.mark.parametrize("function", FUNCTIONS)
@given(x=st.floats(0.1, 0.9))
def test_every_function_of_the_language(function: str, x: float) -> None:
    circuit = to_qiskit(qd.parse(f"qubit: q para: t Ry({function}(t) / 3 - t^2 + 2^t)[q]"))
    found = circuit.assign_parameters([x]).data[0].operation.params[0]
    value = abs(x) if function == "abs" else getattr(math, function)(x)
    assert math.isclose(found, value / 3 - x**2 + 2**x, rel_tol=1e-12, abs_tol=1e-12)


def test_symbols_with_a_factor_0_are_gone() -> None:
    program = qd.parse(
        "qubit: q para: t, p count: c Ry(p - t*p*c + sin(t*c))[q]; c := M[q]; Rx(1 + c/(1 + t*c))[q]"
    )
    (turn, _, switch) = to_qiskit(program).data
    assert [p.name for p in turn.operation.params[0].parameters] == ["p"]
    assert switch.operation.blocks[0].data[0].operation.params == [1.0]


def test_angles_that_read_counters_become_switches() -> None:
    circuit = to_qiskit(
        qd.parse("qubit: q, r para: t, w[4] count: k, c k := M[q, r]; c := M[q]; Ry(w[k] + t*c)[q]")
    )
    (switch,) = (i.operation for i in circuit.data if i.operation.name == "switch_case")
    assert [label for label, _ in switch.cases_specifier()] == [(False,), (True,)]


def test_constant_conditions_leave_no_trace() -> None:
    circuit = to_qiskit(
        qd.parse("qubit: q para: n if n < 2 then X[q] else H[q] fi; while 2 < 1 do X[q] od"), {"n": 3}
    )
    assert [i.operation.name for i in circuit.data] == ["h"]


REFUSED = [
    (
        "para: n count: c if c < n then X[q] fi",
        "<text>:1:27: `if c < n` cannot be written as a part of a Qiskit circuit: the parameter `n` is"
        " compared, so it needs a value: pass params, or program.bind(...).",
    ),
    (
        "count: c while M[q] = 1 do c := c - 1 od; c := c mod 3",
        "`c` in `c mod 3` is not proved to be 0 or more, and Qiskit divides without signs.",
    ),
    ("count: c c := 1 div 0", "<text>:1:24: `c := 1 div 0` cannot be"),
    ("count: c c := M[q]; c := 3 div c", "the divisor of `3 div c` is not proved to be positive."),
    (
        "count: c while M[q] = 1 do c++ od; Ry(c)[q]",
        "its angle reads `c` with more than 64 values, or values that are not known, and angles",
    ),
    (
        "para: w[3] count: c c := M[q]; c := c + 2; Ry(w[c])[q]",
        "the index of `w[c]` is 3, outside 0 .. 2, where c = 3.",
    ),
    ("para: t Ry(log(0)*t)[q]", "`log(0)` has no finite real value"),
    ("count: c c := 3000000000", "3000000000 does not fit in 32 bits with a sign."),
    ("damp(0.5)[q]", "`damp(0.5)[q]` is noise, which belongs to the machine, not to a circuit."),
    (
        "para: t gate G(a)[x] = exp(-i a/2 * (X + Z)) G(t)[q]",
        "the words of the generator of `G` do not commute, so its angle must be a number: pass params with t",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_expressed_is_named(text: str, message: str) -> None:
    with pytest.raises(qd.QdiffError) as caught:
        to_qiskit(qd.parse(f"qubit: q {text}"))
    assert message in str(caught.value)
    assert "<text>:1:" in str(caught.value)


def test_wrong_arguments() -> None:
    program = qd.parse("qubit: q H[q]")
    with pytest.raises(qd.QdiffError, match="counters is one of auto, bits, vars, got 'bit'"):
        to_qiskit(program, counters="bit")
    with pytest.raises(qd.QdiffError, match="counter_bits is an integer from 2 to 62, got 63"):
        to_qiskit(program, counter_bits=63)
    with pytest.raises(qd.QdiffError, match="Expected a Program"):
        to_qiskit("qubit: q H[q]")  # type: ignore[arg-type]


def test_the_drawing_names_what_it_leaves_out() -> None:
    text = qiskit_text(qd.parse("qubit: q para: t count: c Ry(t)[q]; c++"))
    assert "Ry(t)" in text
    assert text.endswith("\nNot drawn: what is stored in the variables c.\n")
    assert "Not drawn" not in qiskit_text(qd.parse("qubit: q H[q]"))


def test_deep_and_long_programs() -> None:
    deep = "H[q]"
    for _ in range(200):
        deep = f"if M[q] = 1 then {deep} fi"
    circuit = to_qiskit(qd.parse(f"qubit: q {deep}"))
    assert circuit.data[-1].operation.name == "if_else"
    parts = " and ".join(f"M[q[{i}]] = {i % 2}" for i in range(60))
    assert to_qiskit(qd.parse(f"qubit: q[60] if {parts} then H[q[0]] fi")).num_qubits == 60
