"""Gates of OpenQASM 3 texts against Qiskit's matrices and the definitions of the specification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qiskit.circuit import library as lib
from qiskit.quantum_info import Operator
from scipy.linalg import fractional_matrix_power

from qdiff.errors import QdiffSyntaxError
from qdiff.interop.qasm3_reader import from_qasm3
from qdiff.lang.gates import controlled
from qdiff.lang.tree import Gate, Program

Matrix = NDArray[np.complex128]
A, B, C, D = 0.37, -1.21, 2.05, 0.64
HEAD = 'OPENQASM 3.0; include "stdgates.inc";'


def built_in_u(theta: float, phi: float, lam: float) -> Matrix:
    """The matrix of `U` as the specification writes it."""
    e = np.exp(1j * theta)
    return 0.5 * np.array(
        [
            [1 + e, -1j * np.exp(1j * lam) * (1 - e)],
            [1j * np.exp(1j * phi) * (1 - e), np.exp(1j * (phi + lam)) * (1 + e)],
        ]
    )


def unitary(program: Program) -> Matrix:
    """The product of the gates of a program, the first qubit the least significant bit."""
    size = len(program.qubits)
    total = np.eye(2**size, dtype=complex)
    for gate in program.body:
        if not isinstance(gate, Gate):
            continue
        own = program.record(gate.name).matrix(*(float(angle.evaluate()) for angle in gate.angles))
        own = controlled(own, len(gate.controls))
        on = [program.qubits.index(q) for q in (*gate.controls, *gate.targets)]
        big = np.zeros_like(total)
        rest = [i for i in range(size) if i not in on]
        for others in range(2 ** len(rest)):
            base = sum((others >> k & 1) << i for k, i in enumerate(rest))
            index = [
                base | sum((value >> k & 1) << i for k, i in enumerate(on)) for value in range(2 ** len(on))
            ]
            big[np.ix_(index, index)] = own
        total = big @ total
    return total


def with_phase(call: str, qubits: int, before: str = "") -> Matrix:
    """The matrix of a gate with its global phase: what it does where a control is 1."""
    names = "".join(f"qubit a{i};" for i in range(qubits))
    operands = ", ".join(["c", *(f"a{i}" for i in range(qubits))])
    found = unitary(from_qasm3(f"{HEAD}{before} qubit c; {names} ctrl @ {call} {operands};"))
    size = 2 ** (qubits + 1)
    idle = np.arange(0, size, 2)
    np.testing.assert_allclose(found[np.ix_(idle, idle)], np.eye(size // 2), atol=1e-12)
    on = np.arange(1, size, 2)
    return found[np.ix_(on, on)]


def u3(theta: float, phi: float, lam: float) -> Matrix:
    """The specification's: exp(-i(θ+φ+λ)/2) times its U."""
    return np.exp(-0.5j * (theta + phi + lam)) * built_in_u(theta, phi, lam)


STANDARD = [
    (f"p({A})", 1, lib.PhaseGate(A)), ("x", 1, lib.XGate()), ("y", 1, lib.YGate()), ("z", 1, lib.ZGate()),
    ("h", 1, lib.HGate()), ("s", 1, lib.SGate()), ("sdg", 1, lib.SdgGate()), ("t", 1, lib.TGate()),
    ("tdg", 1, lib.TdgGate()), ("sx", 1, lib.SXGate()), (f"rx({A})", 1, lib.RXGate(A)),
    (f"ry({A})", 1, lib.RYGate(A)), (f"rz({A})", 1, lib.RZGate(A)), ("cx", 2, lib.CXGate()),
    ("cy", 2, lib.CYGate()), ("cz", 2, lib.CZGate()), (f"cp({A})", 2, lib.CPhaseGate(A)),
    (f"crx({A})", 2, lib.CRXGate(A)), (f"cry({A})", 2, lib.CRYGate(A)), (f"crz({A})", 2, lib.CRZGate(A)),
    ("ch", 2, lib.CHGate()), ("swap", 2, lib.SwapGate()), ("ccx", 3, lib.CCXGate()),
    ("cswap", 3, lib.CSwapGate()), (f"cu({A}, {B}, {C}, {D})", 2, lib.CUGate(A, B, C, D)),
    ("CX", 2, lib.CXGate()), (f"phase({A})", 1, lib.PhaseGate(A)), (f"cphase({A})", 2, lib.CPhaseGate(A)),
    ("id", 1, lib.IGate()), (f"u1({A})", 1, lib.U1Gate(A)),
    (f"u2({A}, {B})", 1, u3(np.pi / 2, A, B)), (f"u3({A}, {B}, {C})", 1, u3(A, B, C)),
    (f"U({A}, {B}, {C})", 1, built_in_u(A, B, C)), (f"U(0, {B}, {C})", 1, built_in_u(0, B, C)),
    (f"gphase({A})", 0, np.array([[np.exp(1j * A)]])),
]  # fmt: skip
IDS = [call for call, _, _ in STANDARD]


def matrix_of(gate: object) -> Matrix:
    return np.asarray(gate) if isinstance(gate, np.ndarray) else Operator(gate).data


@pytest.mark.parametrize(("call", "qubits", "gate"), STANDARD, ids=IDS)
def test_every_standard_gate_has_its_matrix_and_its_phase(call: str, qubits: int, gate: object) -> None:
    np.testing.assert_allclose(with_phase(call, qubits), matrix_of(gate), atol=1e-12)


@pytest.mark.parametrize(("call", "qubits", "gate"), STANDARD, ids=IDS)
def test_inverses(call: str, qubits: int, gate: object) -> None:
    expected = matrix_of(gate).conj().T
    np.testing.assert_allclose(with_phase(f"inv @ {call}", qubits), expected, atol=1e-12)


@pytest.mark.parametrize("exponent", [0, 2, 3, -1, -2])
@pytest.mark.parametrize(("call", "qubits", "gate"), STANDARD, ids=IDS)
def test_whole_powers(call: str, qubits: int, gate: object, exponent: int) -> None:
    expected = np.linalg.matrix_power(matrix_of(gate), exponent)
    np.testing.assert_allclose(with_phase(f"pow({exponent}) @ {call}", qubits), expected, atol=1e-12)


@pytest.mark.parametrize("exponent", [0.5, -0.25, 1.5])
@pytest.mark.parametrize(("call", "qubits", "gate"), STANDARD, ids=IDS)
def test_fractional_powers_are_principal(call: str, qubits: int, gate: object, exponent: float) -> None:
    given_matrix = matrix_of(gate)
    values, vectors = np.linalg.eig(given_matrix)
    phases = np.angle(values)
    phases = np.where(phases < -np.pi + 1e-9, np.pi, phases)
    expected = vectors @ np.diag(np.exp(1j * exponent * phases)) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(with_phase(f"pow({exponent}) @ {call}", qubits), expected, atol=1e-9)


def test_a_square_root_squared() -> None:
    root = with_phase("pow(0.5) @ ch", 2)
    np.testing.assert_allclose(root @ root, Operator(lib.CHGate()).data, atol=1e-12)
    np.testing.assert_allclose(with_phase("pow(2) @ pow(0.5) @ y", 1), Operator(lib.YGate()).data, atol=1e-12)
    np.testing.assert_allclose(with_phase("pow(0.5) @ pow(2) @ x", 1), np.eye(2), atol=1e-12)
    expected = fractional_matrix_power(Operator(lib.SXGate()).data, 0.5)
    np.testing.assert_allclose(with_phase("pow(0.5) @ sx", 1), expected, atol=1e-12)


def test_modifiers_in_any_order() -> None:
    u = built_in_u(A, B, C)
    inverse = u.conj().T @ u.conj().T
    for order in ("inv @ pow(2) @ ctrl", "ctrl @ inv @ pow(2)", "pow(2) @ ctrl @ inv", "pow(-2) @ ctrl"):
        found = unitary(from_qasm3(f"{HEAD} qubit c; qubit q; {order} @ U({A}, {B}, {C}) c, q;"))
        np.testing.assert_allclose(found, controlled(inverse, 1), atol=1e-12)


def test_the_outermost_control_is_the_first_operand() -> None:
    found = unitary(from_qasm3(f"{HEAD} qubit[3] q; negctrl @ ctrl @ U({A}, {B}, {C}) q[0], q[1], q[2];"))
    expected = np.eye(8, dtype=complex)
    on = [2, 6]  # q[0] = 0, q[1] = 1
    expected[np.ix_(on, on)] = built_in_u(A, B, C)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    several = unitary(from_qasm3(f"{HEAD} qubit[3] q; ctrl(2) @ x q[0], q[1], q[2];"))
    np.testing.assert_allclose(several, controlled(np.array([[0, 1], [1, 0]]), 2), atol=1e-12)
    none = unitary(from_qasm3(f"{HEAD} qubit[3] q; negctrl(2) @ x q[0], q[1], q[2];"))
    flipped = np.eye(8)
    flipped[np.ix_([0, 4], [0, 4])] = [[0, 1], [1, 0]]
    np.testing.assert_allclose(none, flipped, atol=1e-12)


def test_controlled_u_is_the_gate_here_with_a_phase_on_the_control() -> None:
    program = from_qasm3(f"qubit c; qubit t; ctrl @ U({A}, 0.2, 0.1) c, t;")
    assert str(program) == f"qubit: c, t\nC_U({A}, 0.2, 0.1)[c][t];\nP({A}/2)[c]\n"
    alone = from_qasm3(f"qubit t; U({A}, 0.2, 0.1) t;")
    assert str(alone) == f"qubit: t\nU({A}, 0.2, 0.1)[t]\n"


def test_definitions_keep_their_phases_under_controls() -> None:
    before = """
        gate inner(a, b) p { gphase(a / 3); U(a, b, -a) p; }
        gate outer(a) p, r { inner(a, 2 * a) p; ctrl @ inner(-a, a) r, p; barrier p, r; inv @ inner(a, a) r; }
    """

    def inner(a: float, b: float) -> Matrix:
        return np.exp(1j * a / 3) * built_in_u(a, b, -a)

    one = np.eye(2)
    swapped = np.eye(4, dtype=complex)  # control on the second qubit, the first is acted on
    swapped[np.ix_([2, 3], [2, 3])] = inner(-A, A)
    expected = np.kron(inner(A, A).conj().T, one) @ swapped @ np.kron(one, inner(A, 2 * A))
    np.testing.assert_allclose(with_phase(f"outer({A})", 2, before), expected, atol=1e-12)
    np.testing.assert_allclose(with_phase(f"inv @ outer({A})", 2, before), expected.conj().T, atol=1e-12)
    np.testing.assert_allclose(with_phase(f"pow(2) @ outer({A})", 2, before), expected @ expected, atol=1e-12)


def test_loops_and_constants_in_definitions() -> None:
    before = "const int n = 3; gate many p { for int i in [1:n] { rx(i * 0.1) p; } }"
    np.testing.assert_allclose(with_phase("many", 1, before), Operator(lib.RXGate(0.6)).data, atol=1e-12)


def test_a_fractional_power_of_a_definition() -> None:
    before = "gate pair p, r { h p; cx p, r; gphase(0.3); }"
    whole = with_phase("pair", 2, before)
    root = with_phase("pow(0.5) @ pair", 2, before)
    np.testing.assert_allclose(root @ root, whole, atol=1e-9)
    assert np.all(np.abs(np.angle(np.linalg.eigvals(root))) <= np.pi / 2 + 1e-9)


def test_powers_read_counters_and_inputs() -> None:
    text = HEAD + "qubit q; input float a; uint[4] k = 3; pow(k) @ p(a) q; pow(a) @ x q; pow(2) @ rz(a) q;"
    lines = str(from_qasm3(text)).splitlines()
    assert lines[3:] == ["k := 3;", "P(k*a)[q];", "H[q];", "P(a*pi)[q];", "H[q];", "Rz(2*a)[q]"]


def test_broadcasting() -> None:
    text = HEAD + "qubit[2] q; qubit r; qubit[2] d; h q; cx r, q; cx q, d; cx q[1], d[0:1]; x d[{1}];"
    gates = [(gate.name, gate.controls, gate.targets) for gate in from_qasm3(text).body]  # type: ignore[union-attr]
    assert gates == [
        ("H", (), ("q[0]",)), ("H", (), ("q[1]",)),
        ("X", ("r",), ("q[0]",)), ("X", ("r",), ("q[1]",)),
        ("X", ("q[0]",), ("d[0]",)), ("X", ("q[1]",), ("d[1]",)),
        ("X", ("q[1]",), ("d[0]",)), ("X", ("q[1]",), ("d[1]",)),
        ("X", (), ("d[1]",)),
    ]  # fmt: skip


def test_angles_are_exact() -> None:
    text = HEAD + "qubit q; input float a; rx(3*π/4 + a^0) q;".replace("^", "**")
    assert str(from_qasm3(text)).splitlines()[-1] == "Rx(3*pi/4 + a^0)[q]"
    text = HEAD + "qubit q; rx(tau/8 - sqrt(2)) q; ry(euler) q; rz(arctan(1e-1)) q;"
    assert str(from_qasm3(text)).splitlines()[1:] == ["Rx(2*pi/8 - sqrt(2))[q];", "Ry(exp(1))[q];",
                                                      "Rz(atan(0.1))[q]"]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["inv", "pow(2)", "pow(-1)", "pow(3)", "ctrl", "negctrl", "pow(0)"]),
        max_size=4,
    ),
    st.sampled_from(STANDARD),
)
def test_random_modifiers(modifiers: list[str], standard: tuple[str, int, object]) -> None:
    call, qubits, gate = standard
    expected = matrix_of(gate)
    for modifier in reversed(modifiers):
        if modifier == "ctrl":
            expected, qubits = controlled(expected, 1), qubits + 1
        elif modifier == "negctrl":
            flip = np.kron(np.eye(len(expected)), [[0, 1], [1, 0]])
            expected, qubits = flip @ controlled(expected, 1) @ flip, qubits + 1
        else:
            power = -1 if modifier == "inv" else int(modifier[4:-1])
            expected = np.linalg.matrix_power(expected, power)
    if qubits > 5:
        return
    found = with_phase(" @ ".join([*modifiers, call]), qubits)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qubit q; x q;", 'gate `x` is not defined. It is in `include "stdgates.inc";`.'),
        (HEAD + "qubit q; hh q;", "gate `hh` is not defined. Did you mean `h`?"),
        (HEAD + "qubit q; rx q;", "the gate `rx` has 1 angle, got 0."),
        (HEAD + "qubit q; cx q;", "this acts on 2 qubits, got 1."),
        (HEAD + "qubit q; ctrl(3) @ x q;", "there are 3 controls, and 1 operands."),
        (HEAD + "qubit q; ctrl(0) @ x q;", "the number of controls is at least 1."),
        (HEAD + "qubit[2] q; cx q[0], q[0];", "the qubit `q[0]` stands twice in `cx`."),
        (HEAD + "qubit[2] q; qubit[3] r; cx q, r;", "the registers have different sizes: 2 and 3."),
        (HEAD + "gate g a { g a; }", "the gate `g` is not defined."),
        (HEAD + "gate g a { x b; }", "qubit `b` is not declared."),
        (HEAD + "gate g a, a { x a; }", "`a` is an argument of `g` twice."),
        (HEAD + "gate g a { x a[0]; }", "a qubit alone has no index."),
        (HEAD + "gate g a { reset a; }", "a gate is made of gates."),
        (HEAD + "gate g a { for int i in [:2] { x a; } }", "a loop has a first and a last value."),
        (HEAD + "gate g a { cx a, a; }", "the qubit `a` stands twice in `cx`."),
        (HEAD + "qubit q; gate g a { x a; } int g;", "`g` is declared already: it is a gate."),
        (HEAD + "int U;", "`U` is declared already: it is a built-in gate."),
        (HEAD + "int n = x;", "`x` is a gate of `stdgates.inc`, not a value."),
        (HEAD + "gate h a { }", "is declared already: it is a gate of `stdgates.inc`. Choose another name."),
        (HEAD + "qubit[2] q; gate g a { x q[0]; }", "qubit `q` is not declared."),
        (HEAD + "qubit q; rx(1/2) q;", "`/` of two integers drops the fraction, so that this is 0."),
        (HEAD + "qubit q; const int n = 3; rx(n / 2 * pi) q;", "drops the fraction, so that this is 1."),
        (HEAD + "qubit q; input float a; pow(0.5) @ U(a, a, a) q;", "needs angles that are constants"),
        (HEAD + "qubit q; input float a; pow(a) @ U(1, 1, 1) q;", "the exponent of this gate is a constant"),
    ],
)  # fmt: skip
def test_what_does_not_fit(text: str, message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as error:
        from_qasm3(text)
    assert message in str(error.value)
