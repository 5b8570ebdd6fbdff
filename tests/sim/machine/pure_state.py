"""One pure state of n qubits: gates in place, measurements with the numbers drawn elsewhere.

The state is a complex tensor (2,)*n whose last axis is qubit 0, so that its flat index is the
integer of the basis state with qubit 0 as the least significant bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.gates import GateRecord, record

LARGEST_MATRIX = 2
"""Pauli rotations on more qubits act without their matrix, declared gates on the state in one array."""

_PHASE = {"Y": np.array([-1j, 1j]), "Z": np.array([1, -1], dtype=complex)}


class PureState:
    """A normalised state, |0…0⟩ at first. Qubits are numbers 0 … n-1.

    Args:
        qubits: n.
        records: what finds the record of a gate by its name.
    """

    def __init__(self, qubits: int, records: Callable[[str], GateRecord] = record) -> None:
        self.qubits = qubits
        self.records = records
        self.tensor: NDArray[np.complex128] = np.zeros((2,) * qubits, dtype=complex)
        self.tensor[(0,) * qubits] = 1

    def apply(
        self, gate: str, angles: tuple[float, ...], controls: tuple[int, ...], targets: tuple[int, ...]
    ) -> None:
        """Apply a gate to the targets where all controls are 1."""
        entry = self.records(gate)
        if len(entry.pauli) > LARGEST_MATRIX:
            self._rotate(entry.pauli, angles[0], controls, targets)
            return
        places = _places(self.qubits, controls, targets)
        old = [self.tensor[place] for place in places]
        if len(targets) > LARGEST_MATRIX and not entry.controls:
            new = list(np.tensordot(entry.matrix(*angles), np.stack(old), 1))
        else:
            new = [sum(number * old[column] for column, number in row) for row in _rows(entry, angles)]
        for place, part in zip(places, new, strict=True):
            self.tensor[place] = part

    def _rotate(
        self, letters: str, angle: float, controls: tuple[int, ...], targets: tuple[int, ...]
    ) -> None:
        """exp(-i a/2 P)ψ = cos(a/2) ψ - i sin(a/2) Pψ, one letter of P at a time."""
        part = self.tensor[_place(self.qubits, controls, -1)]
        axes = [self.qubits - 1 - qubit for qubit in targets]
        flipped = tuple(axis for axis, letter in zip(axes, letters, strict=True) if letter != "Z")
        turned: NDArray[np.complex128] = np.flip(part, flipped)
        turned = (-1j * np.sin(angle / 2)) * turned
        for axis, letter in zip(axes, letters, strict=True):
            if letter != "X":
                turned *= _PHASE[letter].reshape((2,) + (1,) * (self.qubits - 1 - axis))
        part *= np.cos(angle / 2)
        part += turned

    def disturb(self, kraus: NDArray[np.complex128], qubit: int, uniform: float) -> None:
        """Apply one of the Kraus operators of a channel on a qubit, K with probability ‖Kψ‖².

        Args:
            kraus: (K, 2, 2).
            uniform: a number in [0, 1); the operator is the first whose cumulated probability is above it.
        """
        zeros, ones = (self.tensor[_place(self.qubits, (qubit,), bit)] for bit in (0, 1))
        gram = np.array([[np.vdot(a, b) for b in (zeros, ones)] for a in (zeros, ones)])  # tr_rest, as ⟨a|b⟩
        cumulated = np.cumsum([np.trace(k.conj().T @ k @ gram.T).real for k in kraus])
        chosen = kraus[_drawn(cumulated, uniform)]
        for bit, part in enumerate([row[0] * zeros + row[1] * ones for row in chosen]):
            self.tensor[_place(self.qubits, (qubit,), bit)] = part
        self.tensor /= np.sqrt(np.vdot(self.tensor, self.tensor).real)

    def probabilities(self, qubits: tuple[int, ...]) -> NDArray[np.float64]:
        """Return float (2ᵏ,): the weight of each outcome, qubits[0] its least significant bit."""
        axes = [self.qubits - 1 - qubit for qubit in reversed(qubits)]
        weights = self.tensor.real**2 + self.tensor.imag**2
        marginal = weights.sum(axis=tuple(axis for axis in range(self.qubits) if axis not in axes))
        kept = sorted(axes)
        return np.asarray(marginal.transpose([kept.index(axis) for axis in axes]).ravel())

    def measure(self, qubits: tuple[int, ...], uniform: float) -> int:
        """Measure qubits together and keep the state of the outcome.

        Args:
            uniform: a number in [0, 1); the outcome is the first whose cumulated probability is
                above it.
        """
        outcome = _drawn(np.cumsum(self.probabilities(qubits)), uniform)
        place = _place(self.qubits, qubits, outcome)
        kept = self.tensor[place]
        kept = kept / np.sqrt(np.vdot(kept, kept).real)
        self.tensor[...] = 0
        self.tensor[place] = kept
        return outcome


def _drawn(cumulated: NDArray[np.float64], uniform: float) -> int:
    """The first index whose cumulated weight is above `uniform` times all of it."""
    total = cumulated[-1]
    drawn = np.searchsorted(cumulated, uniform * total, side="right")
    # Rounding may bring uniform * total up to the total: the last one that has a weight.
    return int(min(drawn, np.searchsorted(cumulated, total, side="left")))


Place = tuple[slice, ...]


def _place(n: int, qubits: tuple[int, ...], bits: int) -> Place:
    """The index of the part of the tensor where qubits[j] is bit j of `bits`."""
    index = [slice(None)] * n
    for j, qubit in enumerate(qubits):
        bit = bits >> j & 1
        index[-1 - qubit] = slice(bit, bit + 1)
    return tuple(index)


@lru_cache(maxsize=4096)
def _places(n: int, controls: tuple[int, ...], targets: tuple[int, ...]) -> list[Place]:
    """The parts between which a gate's matrix acts: all controls 1, the targets any row."""
    rows = ((row << len(controls)) | (1 << len(controls)) - 1 for row in range(1 << len(targets)))
    return [_place(n, (*controls, *targets), bits) for bits in rows]


@lru_cache(maxsize=4096)
def _rows(gate: GateRecord, angles: tuple[float, ...]) -> tuple[tuple[tuple[int, complex], ...], ...]:
    """The rows of a gate's matrix, each as its non-zero entries (column, entry)."""
    matrix = gate.matrix(*angles).tolist()
    return tuple(tuple((column, entry) for column, entry in enumerate(row) if entry) for row in matrix)
