"""Qiskit's gates as gates here: those with a record by name, others by definition or matrix.

A gate under controls keeps the global phase of its definition: as P(phase) on the controls. Without controls
it is dropped.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from qdiff.errors import QdiffError
from qdiff.interop.names import Names
from qdiff.lang import expr as ex
from qdiff.lang.declared_gates import LARGEST_DECLARED
from qdiff.lang.expr import Expr
from qdiff.lang.gates import Matrix, known_gates, record
from qdiff.lang.gates_from_matrices import gate as given_gate
from qdiff.lang.tree import Gate, GateDeclaration

MOST_GATES = 1_000_000
OTHER_NAMES = {"u1": "P", "u3": "U", "rzx": "R_ZX"}
"""Names of Qiskit besides those in the records, on the same qubits in the same order."""


@cache
def _by_name() -> dict[str, tuple[str, int]]:
    """Qiskit's name: the gate, and how many of its qubits are controls."""
    entries = map(record, known_gates())
    found = {entry.qiskit: (entry.base or entry.name, entry.controls) for entry in entries if entry.qiskit}
    return found | {name: (ours, 0) for name, ours in OTHER_NAMES.items()}


class GateReader:
    """Reads gates, and declares those that are given by a matrix.

    Args:
        names: all names that are taken.
        angle: an angle of Qiskit as an expression.
    """

    def __init__(self, names: Names, angle: Callable[[Any], Expr]) -> None:
        self.names = names
        self.angle = angle
        self.declared: dict[bytes, GateDeclaration] = {}
        self._matrices: dict[str, Matrix] = {}
        self.count = 0

    def read(self, operation: Any, qubits: tuple[str, ...], controls: tuple[str, ...] = ()) -> Iterator[Gate]:
        """Yield gates for an operation on qubits, where all controls are 1.

        Raises:
            QdiffError: it is no gate that can be expressed.
        """
        from qiskit.circuit import Barrier, Delay

        self.count += 1
        if self.count > MOST_GATES:
            raise QdiffError(f"the circuit has more than {MOST_GATES} gates once definitions are written out")
        name: str = operation.name
        params: list[Any] = getattr(operation, "params", [])
        known = _by_name().get(name)
        if known is not None and _is_standard(operation):
            ours, own = known
            angles = tuple(map(self.angle, params))
            yield from self._controlled(
                operation, own, qubits, controls, lambda on, where: iter([Gate(ours, angles, on, where)])
            )
        elif name == "global_phase" and _is_standard(operation):
            yield from self.phase(params[0], controls)
        elif isinstance(operation, Barrier | Delay):
            return
        elif hasattr(operation, "modifiers"):
            yield from self._annotated(operation, qubits, controls)
        elif hasattr(operation, "base_gate") and _controls_its_base(operation):
            yield from self._controlled_gate(operation, qubits, controls)
        else:
            yield from self._by_matrix_or_definition(operation, qubits, controls)

    def phase(self, value: Any, controls: tuple[str, ...]) -> Iterator[Gate]:
        """exp(i value) where all controls are 1: nothing without controls."""
        found = self.angle(value)
        if controls and not ex.is_number(found, 0):
            yield Gate("P", (found,), controls[:-1], controls[-1:])

    def _controlled(
        self,
        operation: Any,
        own: int,
        qubits: tuple[str, ...],
        controls: tuple[str, ...],
        inner: Callable[[tuple[str, ...], tuple[str, ...]], Iterator[Gate]],
    ) -> Iterator[Gate]:
        """What stands on all qubits but the first `own`, where those have the values of `ctrl_state`."""
        on, where = qubits[:own], qubits[own:]
        state = getattr(operation, "ctrl_state", (1 << own) - 1)
        flipped = [Gate("X", (), (), (q,)) for i, q in enumerate(on) if not state >> i & 1]
        yield from flipped
        yield from inner(controls + on, where)
        yield from flipped

    def _controlled_gate(
        self, operation: Any, qubits: tuple[str, ...], controls: tuple[str, ...]
    ) -> Iterator[Gate]:
        base, own = operation.base_gate, operation.num_ctrl_qubits

        def inner(on: tuple[str, ...], where: tuple[str, ...]) -> Iterator[Gate]:
            if base.name == "u" and len(operation.params) == 4:  # `cu`: its fourth angle is a phase
                yield from self.phase(operation.params[3], on)
                yield Gate("U", tuple(map(self.angle, operation.params[:3])), on, where)
            else:
                yield from self.read(base, where, on)

        yield from self._controlled(operation, own, qubits, controls, inner)

    def _annotated(
        self, operation: Any, qubits: tuple[str, ...], controls: tuple[str, ...]
    ) -> Iterator[Gate]:
        """A gate with modifiers, the last of them outermost."""
        from qiskit.circuit import annotated_operation as annotated

        *inner, modifier = operation.modifiers or [None]
        base = annotated.AnnotatedOperation(operation.base_op, inner) if inner else operation.base_op
        match modifier:
            case None:
                yield from self.read(base, qubits, controls)
            case annotated.ControlModifier(num_ctrl_qubits=own, ctrl_state=state):
                on = qubits[:own]
                flipped = [Gate("X", (), (), (q,)) for i, q in enumerate(on) if not state >> i & 1]
                yield from flipped
                yield from self.read(base, qubits[own:], controls + on)
                yield from flipped
            case annotated.InverseModifier():
                for gate in reversed(list(self.read(base, qubits, controls))):
                    yield from self._inverse(gate)
            case annotated.PowerModifier(power=power):
                if not isinstance(power, numbers.Real) or not math.isfinite(power):
                    raise QdiffError(f"its power is {power}, not a finite number")
                yield from self._power(base, float(power), qubits, controls)
            case _:
                raise QdiffError(f"the modifier {modifier!r} is not known")

    def _inverse(self, gate: Gate) -> Iterator[Gate]:
        """What undoes a gate."""
        angles = tuple(map(ex.negate, gate.angles))
        if gate.name == "U":
            a, b, c = angles
            yield replace(gate, angles=(a, c, b))
        elif angles:
            yield replace(gate, angles=angles)
        elif gate.name in self._matrices:
            yield replace(gate, name=self.declare(self._matrices[gate.name].conj().T, f"{gate.name}_dg"))
        else:
            inverse = record(gate.name).inverse
            yield from (
                [replace(gate, name=inverse)] if inverse else [gate] * 3
            )  # SX and ISWAP: the fourth is I

    def _power(
        self, base: Any, power: float, qubits: tuple[str, ...], controls: tuple[str, ...]
    ) -> Iterator[Gate]:
        gates = list(self.read(base, qubits, controls))
        if power == int(power):
            again = gates if power >= 0 else [undo for one in reversed(gates) for undo in self._inverse(one)]
            if abs(power) * len(again) > MOST_GATES:
                raise QdiffError(f"its power {int(power)} is more than {MOST_GATES} gates")
            for _ in range(abs(int(power))):
                yield from again
        elif len(gates) == 1 and len(gates[0].angles) == 1:  # exp(-i a G/2)
            yield replace(gates[0], angles=(ex.multiply(ex.number(power), gates[0].angles[0]),))
        else:
            yield from self._by_matrix(_matrix(base, power), base, qubits, controls)

    def _by_matrix_or_definition(
        self, operation: Any, qubits: tuple[str, ...], controls: tuple[str, ...]
    ) -> Iterator[Gate]:
        if not hasattr(operation, "definition") and hasattr(operation, "to_instruction"):
            operation = operation.to_instruction()  # a Clifford, for one
        definition = None if operation.name == "unitary" else operation.definition
        if definition is not None:
            yield from self._definition(definition, qubits, controls)
        elif len(qubits) > LARGEST_DECLARED and operation.definition is not None:
            yield from self._definition(operation.definition, qubits, controls)
        else:
            yield from self._by_matrix(_matrix(operation), operation, qubits, controls)

    def _by_matrix(
        self, matrix: Matrix, operation: Any, qubits: tuple[str, ...], controls: tuple[str, ...]
    ) -> Iterator[Gate]:
        if len(qubits) > LARGEST_DECLARED:
            raise QdiffError(f"its matrix is on {len(qubits)} qubits; {LARGEST_DECLARED} are possible")
        name = getattr(operation, "label", None) or operation.name
        yield Gate(self.declare(matrix, name), (), controls, qubits)

    def declare(self, matrix: Matrix, name: str) -> str:
        """Return the name of the gate with this matrix, declared now if it is not."""
        key = matrix.tobytes()
        if key not in self.declared:
            found = self.names.give(name, "gate")
            self.declared[key] = given_gate(unitary=matrix).named(found)
            self._matrices[found] = matrix
        return self.declared[key].name

    def _definition(
        self, definition: Any, qubits: tuple[str, ...], controls: tuple[str, ...]
    ) -> Iterator[Gate]:
        at = dict(zip(definition.qubits, qubits, strict=True))
        yield from self.phase(definition.global_phase, controls)
        for instruction in definition.data:
            if instruction.clbits:
                raise QdiffError(f"its definition holds `{instruction.operation.name}`, which is no gate")
            yield from self.read(instruction.operation, tuple(at[q] for q in instruction.qubits), controls)


def _controls_its_base(operation: Any) -> bool:
    """Whether a controlled gate is its base gate and controls: some have several targets, or ancillas."""
    return bool(operation.base_gate.num_qubits + operation.num_ctrl_qubits == operation.num_qubits)


def _matrix(operation: Any, power: float = 1.0) -> Matrix:
    """The matrix of an operation without parameters.

    Raises:
        QdiffError: it has none.
    """
    from qiskit.quantum_info import Operator

    try:
        found = Operator(operation)
    except Exception:  # whatever an operation raises that has none
        raise QdiffError("it has no definition and no matrix") from None
    return np.asarray((found if power == 1.0 else found.power(power)).data, dtype=complex)


def _is_standard(operation: Any) -> bool:
    """Whether a name is that of Qiskit's own library: gates of users may have any name."""
    return getattr(operation, "_standard_gate", None) is not None or (
        str(type(operation).__module__).startswith("qiskit.circuit.library")
    )
