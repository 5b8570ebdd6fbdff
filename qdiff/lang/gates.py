"""One record per gate: the single source of what a gate is.

A *primitive* gate is a fixed matrix, or exp(-i a G/2) with a constant Hermitian generator G and one
angle a in radians. A declared gate may have a drift B, too: exp(-i (a G/2 + B)). `U` has three angles
and is the product of three primitives. A controlled gate is its base gate and a number of controls; the
named ones (CNOT, CZ, CCNOT, …) are the same thing under another name. In every matrix the first listed
qubit is the least significant bit (Qiskit's convention).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, reduce
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError, did_you_mean
from qdiff.lang.exponential import AffineExponential

Matrix = NDArray[np.complex128]

PAULI: dict[str, Matrix] = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=complex),
    "Z": np.array([[1, 0], [0, -1]], dtype=complex),
}


@dataclass(frozen=True)
class Part:
    """One primitive of a gate that is a product: which gate, and which of its angles."""

    gate: str
    angle: int


@dataclass(frozen=True, eq=False)
class GateRecord:
    """What is known of one gate.

    Attributes:
        name: as written in a program.
        targets: number of qubits besides controls.
        angles: names of the angles, in order (radians).
        base, controls: a controlled gate is `base` with this many controls in front; base is the
            gate itself, controls 0, for all others.
        fixed: the matrix (2ⁿ, 2ⁿ) of a gate without angles, else None.
        generator: G of exp(-i a G/2), (2ⁿ, 2ⁿ) Hermitian, else None.
        drift: B of exp(-i (a G/2 + B)), (2ⁿ, 2ⁿ) Hermitian, else None.
        pauli: the letters of a Pauli rotation, first letter on the first qubit, else "".
        parts: the primitives of a gate with several angles, first applied first.
        inverse: name of the inverse of a fixed gate, "" where it has no name of its own; the inverse
            of a gate with one angle and no drift is the same gate at the opposite angle.
        qiskit, qasm3, qsharp: names elsewhere, "" where there is none.
        summary: one line for the documentation.
    """

    name: str
    targets: int
    summary: str
    angles: tuple[str, ...] = ()
    base: str = ""
    controls: int = 0
    fixed: Matrix | None = None
    generator: Matrix | None = None
    drift: Matrix | None = None
    pauli: str = ""
    parts: tuple[Part, ...] = ()
    inverse: str = ""
    qiskit: str = ""
    qasm3: str = ""
    qsharp: str = ""

    @property
    def qubits(self) -> int:
        """Number of qubits written in the first bracket: controls of a named gate included."""
        return self.controls + self.targets

    @cached_property
    def spectrum(self) -> NDArray[np.float64]:
        """Eigenvalues of the generator, ascending; empty for a gate without one."""
        if self.generator is None:
            return np.empty(0)
        return np.asarray(np.linalg.eigvalsh(self.generator), dtype=float)

    @cached_property
    def eigen(self) -> tuple[NDArray[np.float64], Matrix]:
        assert self.generator is not None
        values, vectors = np.linalg.eigh(self.generator)
        return values, vectors

    @cached_property
    def exponential(self) -> AffineExponential:
        """exp(-i (a G/2 + B)) with its derivatives, for a gate with one angle."""
        assert self.generator is not None
        drift = np.zeros_like(self.generator) if self.drift is None else self.drift
        return AffineExponential(self.generator / 2, drift)

    def matrix(self, *angles: float | NDArray[np.float64]) -> Matrix:
        """Return the unitary for angles in radians.

        Args:
            angles: one scalar or array per angle; arrays of one shape give a stack of matrices.

        Returns:
            complex (..., 2ⁿ, 2ⁿ), n = `qubits`, controls on the low bits.

        Raises:
            QdiffError: a wrong number of angles.
        """
        if len(angles) != len(self.angles):
            needed = f"{len(self.angles)} angle{'' if len(self.angles) == 1 else 's'}"
            raise QdiffError(f"Gate `{self.name}` takes {needed}, got {len(angles)}.")
        if self.controls:
            return controlled(record(self.base).matrix(*angles), self.controls)
        if self.fixed is not None:
            return self.fixed
        if self.parts:
            factors = [record(part.gate).matrix(angles[part.angle]) for part in self.parts]
            return reduce(lambda done, factor: factor @ done, factors)
        a = np.asarray(angles[0], dtype=float)[..., None, None]
        if self.generator is None:
            raise QdiffError(f"The matrix of `{self.name}` on {self.targets} qubits is too large to build.")
        if self.drift is not None:
            return self.exponential.value(np.asarray(angles[0], dtype=float))
        if self.pauli:
            identity = np.eye(len(self.generator))
            return np.asarray(np.cos(a / 2) * identity - 1j * np.sin(a / 2) * self.generator)
        values, vectors = self.eigen
        return np.asarray((vectors * np.exp(-0.5j * a * values)) @ vectors.conj().T)

    def derivative(self, angle: float | NDArray[np.float64]) -> Matrix:
        """Return dU/da at angles in radians, complex (..., 2ⁿ, 2ⁿ); -i/2 G U where there is no drift."""
        if self.drift is None:
            assert self.generator is not None
            return np.asarray(-0.5j * self.generator @ self.matrix(angle))
        return self.exponential.derivative(angle)

    def second_derivative(self, angle: float | NDArray[np.float64]) -> Matrix:
        """Return d²U/da² at angles in radians, complex (..., 2ⁿ, 2ⁿ); -1/4 G² U where there is no drift."""
        if self.drift is None:
            assert self.generator is not None
            return np.asarray(-0.5j * self.generator @ self.derivative(angle))
        return self.exponential.second_derivative(angle)


def controlled(matrix: Matrix, controls: int) -> Matrix:
    """Return `matrix` (..., d, d) acting where `controls` further low bits are all 1."""
    size = matrix.shape[-1] << controls
    result = np.zeros((*matrix.shape[:-2], size, size), dtype=complex)
    result[...] = np.eye(size)
    on = (np.arange(matrix.shape[-1]) << controls) | ((1 << controls) - 1)
    result[..., on[:, None], on[None, :]] = matrix
    return result


def pauli_matrix(letters: str) -> Matrix:
    """Return the matrix of a Pauli string, first letter on the first (least significant) qubit."""
    return reduce(lambda done, letter: np.kron(PAULI[letter], done), letters, np.eye(1, dtype=complex))


class Elsewhere(TypedDict, total=False):
    """Names of a gate in other languages, as in `GateRecord`."""

    qiskit: str
    qasm3: str
    qsharp: str


_RECORDS: dict[str, GateRecord] = {}


def register(entry: GateRecord) -> None:
    """Add a gate to the registry; a name is given once."""
    if entry.name in _RECORDS:
        raise QdiffError(f"Gate `{entry.name}` is registered already.")
    _RECORDS[entry.name] = entry


def known_gates() -> tuple[str, ...]:
    """Names of all registered gates, in the order of the documentation."""
    return tuple(_RECORDS)


def is_gate(name: str) -> bool:
    """Whether `name` is a gate: a registered one, or R_ and letters X, Y, Z."""
    return name in _RECORDS or _is_pauli_rotation(name)


def record(name: str) -> GateRecord:
    """Return the record of a gate.

    Raises:
        QdiffError: no such gate; the nearest name is suggested.
    """
    if name in _RECORDS:
        return _RECORDS[name]
    if _is_pauli_rotation(name):
        return _pauli_rotation(name, name[2:])
    raise QdiffError(f"There is no gate `{name}`. {gate_hint(name)}".rstrip())


def gate_hint(name: str) -> str:
    """Return what to write in place of an unknown gate; it may be known in Qiskit or OpenQASM."""
    if name.startswith("R_"):
        return "After `R_` stand letters X, Y, Z, one for each qubit, as in `R_XZY`."
    for entry in _RECORDS.values():
        if name and name.lower() in (entry.qiskit, entry.qasm3):
            return did_you_mean(entry.name, (entry.name,))
    return did_you_mean(name, _RECORDS)


def _is_pauli_rotation(name: str) -> bool:
    return name.startswith("R_") and len(name) > 2 and set(name[2:]) <= set("XYZ")


LONGEST_DENSE_PAULI = 6  # all strings up to this length together have 46 MB of matrices


@cache
def _pauli_rotation(name: str, letters: str, **elsewhere: Unpack[Elsewhere]) -> GateRecord:
    # The matrix of a longer string would not fit; engines split such a gate into small ones.
    generator = pauli_matrix(letters) if len(letters) <= LONGEST_DENSE_PAULI else None
    return GateRecord(
        name,
        len(letters),
        f"exp(-i a/2 {'⊗'.join(letters)}), first letter on the first qubit",
        angles=("a",),
        generator=generator,
        pauli=letters,
        **elsewhere,
    )


def _fixed(
    name: str, matrix: Matrix, summary: str, inverse: str | None = None, **elsewhere: Unpack[Elsewhere]
) -> None:
    targets = len(matrix).bit_length() - 1
    inverse = name if inverse is None else inverse
    register(GateRecord(name, targets, summary, fixed=matrix, inverse=inverse, **elsewhere))


def _named_control(name: str, base: str, controls: int, summary: str, **elsewhere: Unpack[Elsewhere]) -> None:
    register(
        GateRecord(
            name, record(base).targets, summary, base=base, controls=controls, inverse=name, **elsewhere
        )
    )


_ROOT = 1 / np.sqrt(2)
_T = np.exp(0.25j * np.pi)


def _exchange(phase: complex) -> Matrix:
    matrix = np.eye(4, dtype=complex)
    matrix[1:3, 1:3] = [[0, phase], [phase, 0]]
    return matrix


_fixed("I", PAULI["I"], "identity", qiskit="id", qasm3="id", qsharp="I")
_fixed("X", PAULI["X"], "Pauli X", qiskit="x", qasm3="x", qsharp="X")
_fixed("Y", PAULI["Y"], "Pauli Y", qiskit="y", qasm3="y", qsharp="Y")
_fixed("Z", PAULI["Z"], "Pauli Z", qiskit="z", qasm3="z", qsharp="Z")
_fixed("H", _ROOT * np.array([[1, 1], [1, -1]], dtype=complex), "Hadamard", qiskit="h", qasm3="h", qsharp="H")
_fixed("S", np.diag([1, 1j]), "diag(1, i)", "Sdg", qiskit="s", qasm3="s", qsharp="S")
_fixed("Sdg", np.diag([1, -1j]), "inverse of S", "S", qiskit="sdg", qasm3="sdg", qsharp="Adjoint S")
_fixed("T", np.diag([1, _T]), "diag(1, exp(iπ/4))", "Tdg", qiskit="t", qasm3="t", qsharp="T")
_fixed("Tdg", np.diag([1, _T.conj()]), "inverse of T", "T", qiskit="tdg", qasm3="tdg", qsharp="Adjoint T")
_fixed(
    "SX",
    np.asarray(((1 + 1j) * PAULI["I"] + (1 - 1j) * PAULI["X"]) / 2),
    "square root of X",
    "",
    qiskit="sx",
    qasm3="sx",
    qsharp="SX",
)
_fixed("SWAP", _exchange(1), "exchange of two qubits", qiskit="swap", qasm3="swap", qsharp="SWAP")
_fixed("ISWAP", _exchange(1j), "exchange with a phase i on the exchanged states", "", qiskit="iswap")
_named_control(
    "CNOT", "X", 1, "X on the second qubit where the first is 1", qiskit="cx", qasm3="cx", qsharp="CNOT"
)
_named_control(
    "CY", "Y", 1, "Y on the second qubit where the first is 1", qiskit="cy", qasm3="cy", qsharp="CY"
)
_named_control(
    "CZ", "Z", 1, "Z on the second qubit where the first is 1", qiskit="cz", qasm3="cz", qsharp="CZ"
)
_named_control(
    "CCNOT", "X", 2, "X on the third qubit where the others are 1", qiskit="ccx", qasm3="ccx", qsharp="CCNOT"
)
_named_control(
    "CSWAP",
    "SWAP",
    1,
    "exchange of the last two qubits where the first is 1",
    qiskit="cswap",
    qasm3="cswap",
    qsharp="Controlled SWAP",
)
for _name, _letters, _qiskit, _qasm, _qsharp in (
    ("Rx", "X", "rx", "rx", "Rx"),
    ("Ry", "Y", "ry", "ry", "Ry"),
    ("Rz", "Z", "rz", "rz", "Rz"),
    ("Rxx", "XX", "rxx", "", "Rxx"),
    ("Ryy", "YY", "ryy", "", "Ryy"),
    ("Rzz", "ZZ", "rzz", "", "Rzz"),
):
    register(_pauli_rotation(_name, _letters, qiskit=_qiskit, qasm3=_qasm, qsharp=_qsharp))
register(
    GateRecord(
        "P",
        1,
        "diag(1, exp(ia))",
        angles=("a",),
        generator=PAULI["Z"] - PAULI["I"],
        qiskit="p",
        qasm3="p",
        qsharp="R1",
    )
)
register(
    GateRecord(
        "U",
        1,
        "P(b)·Ry(a)·P(c), Qiskit's UGate",
        angles=("a", "b", "c"),
        parts=(Part("P", 2), Part("Ry", 0), Part("P", 1)),
        qiskit="u",
    )
)
