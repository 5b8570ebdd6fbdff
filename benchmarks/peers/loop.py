"""A measured loop as plain data: what is handed to a peer's process, which knows nothing of qdiff.

    start; c := 0; while M[guard] = 0 do body; c := min(c + 1, most) od

Qubit 0 is the least significant bit. The observed number is c when the loop ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]
PAULI: dict[str, Matrix] = {
    "x": np.array([[0, 1], [1, 0]], dtype=complex),
    "y": np.array([[0, -1j], [1j, 0]]),
    "z": np.array([[1, 0], [0, -1]], dtype=complex),
}
H: Matrix = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)


@dataclass(frozen=True)
class Operation:
    """A gate (`x y z h`, or `rx ry rz` by an angle in radians) where all controls are 1, or a `reset`."""

    name: str
    target: int
    controls: tuple[int, ...] = ()
    angle: float = 0.0

    @property
    def small(self) -> Matrix:
        """complex (2, 2): what acts on the target."""
        if self.name == "h":
            return H
        if self.name in PAULI:
            return PAULI[self.name]
        half = self.angle / 2
        turned: Matrix = np.cos(half) * np.eye(2) - 1j * np.sin(half) * PAULI[self.name[1]]
        return turned


@dataclass(frozen=True)
class Loop:
    """The program of this file's first lines; `most` is where its counter stops."""

    qubits: int
    start: tuple[Operation, ...]
    body: tuple[Operation, ...]
    guard: int
    most: int

    def stretches(self) -> list[tuple[bool, tuple[Operation, ...]]]:
        """The body in pieces: (True, resets) and (False, gates) in turn."""
        return [(resets, tuple(run)) for resets, run in groupby(self.body, lambda step: step.name == "reset")]

    def resets_all(self, run: Iterable[Operation]) -> bool:
        """Whether these resets leave every qubit at 0."""
        return {step.target for step in run} == set(range(self.qubits))

    def unitary(self, run: Iterable[Operation]) -> Matrix:
        """complex (2ⁿ, 2ⁿ): the product of gates, the first of them rightmost."""
        identity: Matrix = np.eye(2**self.qubits, dtype=complex)
        return reduce(lambda product, gate: self.matrix(gate) @ product, run, identity)

    def matrix(self, gate: Operation) -> Matrix:
        """complex (2ⁿ, 2ⁿ): one gate on the register."""
        states = np.arange(2**self.qubits)
        on = states[np.all([states >> c & 1 == 1 for c in gate.controls] or [states >= 0], axis=0)]
        matrix: Matrix = np.eye(2**self.qubits, dtype=complex)
        bit = on >> gate.target & 1
        matrix[on, on] = gate.small[bit, bit]
        matrix[on ^ 1 << gate.target, on] = gate.small[1 - bit, bit]
        return matrix

    def to_json(self) -> str:
        """One line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Loop:
        """The loop of such a line."""
        data = json.loads(text)
        for part in ("start", "body"):
            data[part] = tuple(
                Operation(**{**step, "controls": tuple(step["controls"])}) for step in data[part]
            )
        return cls(**data)
