"""Gates as Qiskit's, with the same matrix up to a phase, and with the same phase where there are controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from qdiff.interop.explicit import Inexpressible
from qdiff.interop.explicit.commuting import commuting
from qdiff.lang import expr as ex
from qdiff.lang.gates import GateRecord
from qdiff.lang.tree import Gate, GateDeclaration, Program

Placed: TypeAlias = tuple[Any, tuple[str, ...]]  # Qiskit's gate, and where

_CLASSES = {
    "I": "IGate", "X": "XGate", "Y": "YGate", "Z": "ZGate", "H": "HGate", "S": "SGate", "Sdg": "SdgGate",
    "T": "TGate", "Tdg": "TdgGate", "SX": "SXGate", "SWAP": "SwapGate", "ISWAP": "iSwapGate",
    "Rx": "RXGate", "Ry": "RYGate", "Rz": "RZGate", "P": "PhaseGate", "U": "UGate",
    "Rxx": "RXXGate", "Ryy": "RYYGate", "Rzz": "RZZGate", "R_X": "RXGate", "R_Y": "RYGate", "R_Z": "RZGate",
    "R_XX": "RXXGate", "R_YY": "RYYGate", "R_ZZ": "RZZGate", "R_ZX": "RZXGate",
}  # fmt: skip


class GateWriter:
    """Writes the gates of a program.

    Args:
        angle: an expression as a float or a ParameterExpression.
    """

    def __init__(self, program: Program, angle: Callable[[ex.Expr], Any]) -> None:
        self.program = program
        self.angle = angle
        self.declared = {gate.name: gate for gate in program.gate_declarations}
        self._fixed: dict[tuple[str, int], Any] = {}

    def write(self, gate: Gate) -> Iterator[Placed]:
        """Yield Qiskit's gates for a gate whose angles read no counters.

        Raises:
            Inexpressible: an angle is none, or a declared gate would need its value.
        """
        record = self.program.record(gate.name)
        if gate.name == "I":  # under controls, too
            yield self.fixed("I", 0), gate.targets
        elif gate.name in self.declared:
            yield from self._declared(self.declared[gate.name], record, gate)
        elif gate.name in _CLASSES and not (len(record.pauli) > 1 and gate.controls):
            yield self._known(gate), gate.controls + gate.targets
        else:
            yield from self.rotation(record.pauli, self.angle(gate.angles[0]), gate.controls, gate.targets)

    def fixed(self, name: str, controls: int) -> Any:
        """A gate without angles."""
        found = self._fixed.get((name, controls))
        if found is None:
            found = self._fixed[name, controls] = controlled(_class(name)(), controls)
        return found

    def _known(self, gate: Gate) -> Any:
        controls = len(gate.controls)
        if not gate.angles:
            return self.fixed(gate.name, controls)
        return controlled(_class(gate.name)(*map(self.angle, gate.angles)), controls)

    def rotation(
        self, letters: str, angle: Any, controls: Sequence[str], targets: Sequence[str]
    ) -> Iterator[Placed]:
        """exp(-i angle/2 P): a rotation about Z of the parity, between changes of basis.

        Only the rotation has the controls: without it the rest is the identity.
        """
        places = [(letter, target) for letter, target in zip(letters, targets, strict=True) if letter != "I"]
        if not places:  # a phase
            if controls:
                phase = controlled(_class("P")(-angle / 2), len(controls) - 1)
                yield phase, tuple(controls)
            return
        for letter, target in places:
            yield from self._basis(letter, target, ("Sdg", "H"))
        qubits = [target for _, target in places]
        last = qubits[-1]
        for qubit in qubits[:-1]:
            yield self.fixed("X", 1), (qubit, last)
        yield controlled(_class("Rz")(angle), len(controls)), (*controls, last)
        for qubit in reversed(qubits[:-1]):
            yield self.fixed("X", 1), (qubit, last)
        for letter, target in places:
            yield from self._basis(letter, target, ("H", "S"))

    def _basis(self, letter: str, target: str, of_y: tuple[str, str]) -> Iterator[Placed]:
        names = {"X": ("H",), "Y": of_y, "Z": ()}[letter]
        for name in names:
            yield self.fixed(name, 0), (target,)

    # --- Gates that the program declares --------------------------------------------------------

    def _declared(self, declaration: GateDeclaration, record: GateRecord, gate: Gate) -> Iterator[Placed]:
        if declaration.matrix:
            yield self._matrix(record.matrix(), gate)
            return
        angle = self.angle(gate.angles[0])
        if commuting((*declaration.generator, *declaration.drift)):
            for coefficient, letters in declaration.generator:
                yield from self.rotation(letters, coefficient * angle, gate.controls, gate.targets)
            for coefficient, letters in declaration.drift:
                yield from self.rotation(letters, 2 * coefficient, gate.controls, gate.targets)
        elif isinstance(angle, float):
            yield self._matrix(record.matrix(angle), gate)
        else:
            raise Inexpressible(
                f"the words of the generator of `{gate.name}` do not commute, so its angle must be a number:"
                f" pass params with {', '.join(sorted(gate.angles[0].parameters()))}"
            )

    def _matrix(self, matrix: Any, gate: Gate) -> Placed:
        from qiskit.circuit.library import UnitaryGate

        found = UnitaryGate(np.asarray(matrix), label=gate.name)
        return controlled(found, len(gate.controls)), gate.controls + gate.targets


def controlled(gate: Any, controls: int) -> Any:
    """A gate of Qiskit with controls in front: one of Qiskit's own, or an `AnnotatedOperation`."""
    return gate.control(controls, annotated=True) if controls else gate


def _class(name: str) -> Any:
    from qiskit.circuit import library

    return getattr(library, _CLASSES[name])
