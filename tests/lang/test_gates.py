"""Gate records: one loop holds every record to what it says of itself, and to Qiskit."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_close
from qiskit.circuit.library import UGate, get_standard_gate_name_mapping
from qiskit.quantum_info import Operator
from scipy.linalg import expm

from qdiff.errors import QdiffError
from qdiff.lang.gates import (
    PAULI,
    GateRecord,
    Matrix,
    Part,
    controlled,
    is_gate,
    known_gates,
    pauli_matrix,
    record,
    register,
)

ANGLES = (0.7, -1.9, 2.4)
FIXED = ["I", "X", "Y", "Z", "H", "S", "Sdg", "T", "Tdg", "SX", "SWAP", "ISWAP"]
NAMED_CONTROLS = ["CNOT", "CY", "CZ", "CCNOT", "CSWAP"]
PARAMETRISED = ["Rx", "Ry", "Rz", "Rxx", "Ryy", "Rzz", "P", "U"]
LETTERS_HINT = "After `R_` stand letters X, Y, Z, one for each qubit, as in `R_XZY`."
LONG = ("R_X", "R_ZY", "R_XZY", "R_XYZZ")


def check_record(entry: GateRecord) -> None:
    """Assert that all a record says of its gate is one and the same gate."""
    angles = ANGLES[: len(entry.angles)]
    matrix = entry.matrix(*angles)
    size = 2**entry.qubits
    assert matrix.shape == (size, size), "shape"
    assert matrix.dtype == np.complex128
    assert_close(matrix.conj().T @ matrix, np.eye(size), 1e-12)
    assert entry.summary, "no summary"
    given = [
        entry.fixed is not None,
        entry.generator is not None,
        bool(entry.parts),
        bool(entry.base),
    ]
    assert given.count(True) == 1, "exactly one of fixed, generator, parts, base"
    _check_generator(entry, matrix)
    _check_parts(entry, matrix)
    _check_inverse(entry, matrix)
    _check_batch(entry)
    if entry.base:
        base = record(entry.base)
        assert entry.controls > 0
        assert entry.targets == base.targets
        assert_close(matrix, _controlled(base.matrix(*angles), entry.controls), 1e-12)
    else:
        assert entry.controls == 0
    if entry.qiskit:
        gate = get_standard_gate_name_mapping()[entry.qiskit].base_class(*angles)
        assert_close(matrix, Operator(gate).data, 1e-12)


def _check_generator(entry: GateRecord, matrix: Matrix) -> None:
    if entry.generator is None:
        assert entry.spectrum.size == 0
        assert not entry.pauli
        return
    assert len(entry.angles) == 1
    assert_close(entry.generator, entry.generator.conj().T, 1e-15)
    assert_close(matrix, expm(-0.5j * ANGLES[0] * entry.generator), 1e-12)
    assert_close(entry.spectrum, np.linalg.eigvalsh(entry.generator), 1e-12)
    # The derivative of the gate is -i/2 G times the gate.
    step = 1e-4
    slope = (entry.matrix(ANGLES[0] + step) - entry.matrix(ANGLES[0] - step)) / (2 * step)
    assert_close(slope, -0.5j * entry.generator @ matrix, 1e-7)
    if entry.pauli:
        assert len(entry.pauli) == entry.targets
        assert_close(entry.generator, pauli_matrix(entry.pauli), 1e-15)


def _check_parts(entry: GateRecord, matrix: Matrix) -> None:
    if not entry.parts:
        return
    assert sorted(part.angle for part in entry.parts) == list(range(len(entry.angles)))
    product = np.eye(len(matrix))
    for part in entry.parts:
        product = record(part.gate).matrix(ANGLES[part.angle]) @ product
    assert_close(matrix, product, 1e-12)


def _check_inverse(entry: GateRecord, matrix: Matrix) -> None:
    identity = np.eye(len(matrix))
    if entry.inverse:
        assert not entry.angles
        inverse = entry if entry.inverse == entry.name else record(entry.inverse)
        assert_close(inverse.matrix() @ matrix, identity, 1e-12)
        assert inverse.inverse == entry.name
    if len(entry.angles) == 1:
        assert_close(entry.matrix(-ANGLES[0]) @ matrix, identity, 1e-12)


def _check_batch(entry: GateRecord) -> None:
    if not entry.angles:
        return
    stacks = [np.linspace(-1, 1, 6).reshape(2, 3) + 0.3 * i for i in range(len(entry.angles))]
    stacked = entry.matrix(*stacks)
    for at in itertools.product(range(2), range(3)):
        assert_close(stacked[at], entry.matrix(*(float(stack[at]) for stack in stacks)), 1e-14)
    assert stacked.shape == (2, 3, 2**entry.qubits, 2**entry.qubits)


def _controlled(matrix: Matrix, controls: int) -> Matrix:
    """The gate where all controls, the low bits, are 1: |1..1><1..1| under it, identity elsewhere."""
    on = np.zeros((2**controls, 2**controls))
    on[-1, -1] = 1
    return np.kron(matrix, on) + np.kron(np.eye(len(matrix)), np.eye(2**controls) - on)


@pytest.mark.parametrize("name", [*known_gates(), *LONG])
def test_every_record_is_consistent(name: str) -> None:
    entry = record(name)
    check_record(entry)
    assert is_gate(name)
    if name not in LONG:
        assert entry.name == name


def test_the_gates_of_the_language_are_there() -> None:
    assert list(known_gates()) == FIXED + NAMED_CONTROLS + PARAMETRISED


@pytest.mark.parametrize(
    "broken",
    [
        replace(record("S"), fixed=np.diag([1, 2j])),
        replace(record("S"), inverse="S"),
        replace(record("S"), fixed=np.diag([1, -1j])),
        replace(record("CNOT"), base="Y"),
        replace(record("CNOT"), controls=2),
        replace(record("Rx"), generator=-PAULI["X"]),
        replace(record("Rx"), generator=PAULI["Y"]),
        replace(record("Rx"), pauli="Y"),
        replace(record("Rx"), generator=np.array([[0, 1], [0, 0]], dtype=complex)),
        replace(record("P"), generator=PAULI["Z"]),
        replace(record("P"), qiskit="rz"),
        replace(record("U"), parts=(Part("P", 1), Part("Ry", 0), Part("P", 2))),
        replace(record("U"), parts=(Part("P", 2), Part("Ry", 0), Part("P", 2))),
        replace(record("X"), generator=PAULI["X"]),
        replace(record("X"), summary=""),
        replace(record("SWAP"), targets=1),
    ],
    ids=lambda entry: entry.name,
)
def test_a_broken_record_is_caught(broken: GateRecord) -> None:
    with pytest.raises(AssertionError):
        check_record(broken)


@pytest.mark.parametrize("letters", ["X", "ZY", "XZY", "XYZZ"])
def test_letters_of_a_rotation_read_from_the_first_qubit(letters: str) -> None:
    from qiskit.quantum_info import Pauli

    # Qiskit's labels read from the last qubit.
    generator = Pauli(letters[::-1]).to_matrix()
    assert_close(record(f"R_{letters}").matrix(0.7), expm(-0.35j * generator), 1e-12)
    assert record(f"R_{letters}").targets == len(letters)


def test_the_named_rotations_are_the_pauli_rotations() -> None:
    for name, letters in (("Rx", "X"), ("Rzz", "ZZ")):
        assert_close(record(name).matrix(0.7), record(f"R_{letters}").matrix(0.7), 1e-15)


def test_u_is_qiskits() -> None:
    matrix = record("U").matrix(*ANGLES)
    assert_close(matrix, UGate(*ANGLES).to_matrix(), 1e-12)
    a, b, c = ANGLES
    cos, sin = np.cos(a / 2), np.sin(a / 2)
    written_out = [[cos, -np.exp(1j * c) * sin], [np.exp(1j * b) * sin, np.exp(1j * (b + c)) * cos]]
    assert_close(matrix, written_out, 1e-12)


def test_p_is_a_phase_on_one() -> None:
    assert_close(record("P").matrix(0.7), np.diag([1, np.exp(0.7j)]), 1e-15)


@pytest.mark.parametrize("controls", [1, 2, 3])
@pytest.mark.parametrize("name", ["X", "Ry", "SWAP", "U"])
def test_controls_stand_on_the_low_bits(name: str, controls: int) -> None:
    entry = record(name)
    matrix = entry.matrix(*ANGLES[: len(entry.angles)])
    assert_close(controlled(matrix, controls), _controlled(matrix, controls), 1e-15)


def test_controls_of_a_stack_of_matrices() -> None:
    stack = record("Ry").matrix(np.array([0.1, 0.2, 0.3]))
    result = controlled(stack, 2)
    assert result.shape == (3, 8, 8)
    assert_close(result[1], _controlled(stack[1], 2), 1e-15)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(QdiffError, match=r"^Gate `X` is registered already\.$"):
        register(replace(record("X"), summary="another X"))
    assert record("X").summary == "Pauli X"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Cnot", "There is no gate `Cnot`. Did you mean `CNOT`?"),
        ("RX", "There is no gate `RX`. Did you mean `Rx`?"),
        ("cx", "There is no gate `cx`. Did you mean `CNOT`?"),
        ("sdg", "There is no gate `sdg`. Did you mean `Sdg`?"),
        ("CSWOP", "There is no gate `CSWOP`. Did you mean `CSWAP`?"),
        ("R_XQ", f"There is no gate `R_XQ`. {LETTERS_HINT}"),
        ("R_", f"There is no gate `R_`. {LETTERS_HINT}"),
        ("Toffoli", "There is no gate `Toffoli`."),
        ("", "There is no gate ``."),
    ],
)
def test_an_unknown_gate_is_an_error_with_the_nearest_name(name: str, message: str) -> None:
    assert not is_gate(name)
    with pytest.raises(QdiffError) as caught:
        record(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "angles", "message"),
    [
        ("Rx", (), "Gate `Rx` takes 1 angle, got 0."),
        ("U", (0.1,), "Gate `U` takes 3 angles, got 1."),
        ("H", (0.1,), "Gate `H` takes 0 angles, got 1."),
        ("CNOT", (0.1, 0.2), "Gate `CNOT` takes 0 angles, got 2."),
    ],
)
def test_a_wrong_number_of_angles_is_an_error(name: str, angles: tuple[float, ...], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        record(name).matrix(*angles)
    assert str(caught.value) == message


def test_long_pauli_strings_have_no_matrix() -> None:
    entry = record("R_" + "XYZ" * 10)
    assert entry.targets == 30
    assert entry.generator is None
    with pytest.raises(QdiffError) as caught:
        entry.matrix(0.1)
    assert str(caught.value) == f"The matrix of `{entry.name}` on 30 qubits is too large to build."
