"""What a block of straight statements does to density matrices: slow, and nothing but tensors.

A state maps the counters' values to a stack of matrices, held as tensors (inputs, 2, …, 2, 2, …, 2): rows
of all qubits, then columns. Gates are exponentials of their generators by SciPy, so that nothing is
shared with the rules or with the engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from qdiff.lang import tree as qt
from qdiff.lang.channels import channel_record
from qdiff.lang.expr import Expr
from qdiff.lang.gates import GateRecord
from qdiff.lang.tree import Program

Tensor = NDArray[Any]
Counters = tuple[tuple[str, int], ...]


def gate_matrix(record: GateRecord, angle: float | None) -> Tensor:
    """A gate without its controls; first qubit least significant."""
    if angle is None:
        return record.matrix()
    assert record.generator is not None
    drift = 0 if record.drift is None else record.drift
    return np.asarray(expm(-1j * (angle * record.generator / 2 + drift)))


def controlled(matrix: Tensor, controls: int, idle: float = 1.0) -> Tensor:
    """`matrix` where all controls (the low bits) are 1, `idle` times the identity elsewhere."""
    result = idle * np.eye(len(matrix) << controls, dtype=complex)
    on = (np.arange(len(matrix)) << controls) | ((1 << controls) - 1)
    result[np.ix_(on, on)] = matrix
    return result


class StraightLine:
    """Runs statements without loops.

    Args:
        program: gives the declared gates.
        qubits: the names of all qubits, the first least significant.
        params: values of parameters.
    """

    def __init__(self, program: Program, qubits: tuple[str, ...], params: Mapping[str, float]) -> None:
        self.program = program
        self.qubits = qubits
        self.params = dict(params)

    def run(
        self, block: qt.Block, inputs: Tensor, counters: Mapping[str, int] | None = None
    ) -> dict[Counters, Tensor]:
        """Return for each store the stack of matrices (inputs, 2ⁿ, 2ⁿ) in which the block ends.

        Args:
            inputs: matrices (inputs, 2ⁿ, 2ⁿ), not necessarily states.
            counters: values before the block; what is not given is not read before it is set.
        """
        n = len(self.qubits)
        start = np.asarray(inputs, dtype=complex).reshape(len(inputs), *[2] * (2 * n))
        ended = self.block(block, {tuple(sorted((counters or {}).items())): start})
        return {store: rho.reshape(len(inputs), 1 << n, 1 << n) for store, rho in ended.items()}

    def block(self, block: qt.Block, state: dict[Counters, Tensor]) -> dict[Counters, Tensor]:
        for statement in block:
            parts = [self.statement(statement, dict(store), rho) for store, rho in state.items()]
            state = {}
            for store, rho in (pair for part in parts for pair in part):
                state[store] = state[store] + rho if store in state else rho
        return state

    def statement(
        self, statement: qt.Statement, store: dict[str, int], rho: Tensor
    ) -> list[tuple[Counters, Tensor]]:
        same = tuple(sorted(store.items()))
        match statement:
            case qt.Skip():
                return [(same, rho)]
            case qt.Gate(name=name, angles=angles, controls=controls, targets=targets):
                angle = self.value(angles[0], store) if angles else None
                matrix = controlled(gate_matrix(self.program.record(name), angle), len(controls))
                return [(same, self.sandwich(matrix, (*controls, *targets), rho))]
            case qt.Channel(name=name, probability=probability, qubits=qubits):
                kraus = channel_record(name).kraus(self.value(probability, store))
                return [(same, sum(self.sandwich(k, qubits, rho) for k in kraus))]
            case qt.Reset(qubit=qubit):
                lowered = (np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]]))
                return [(same, sum(self.sandwich(k, (qubit,), rho) for k in lowered))]
            case qt.Assign(counter=counter, value=value):
                return [(_with(store, counter, self.value(value, store)), rho)]
            case qt.Measure(counter=counter, qubits=(qubit,)):
                projectors = enumerate((np.diag([1, 0]), np.diag([0, 1])))
                return [(_with(store, counter, v), self.sandwich(p, (qubit,), rho)) for v, p in projectors]
            case qt.If(condition=qt.Flip(probability=probability), then=then, otherwise=otherwise):
                p = self.value(probability, store)
                pairs = ((then, p), (otherwise, 1 - p))
                return [x for part, weight in pairs for x in self.block(part, {same: weight * rho}).items()]
            case _:
                raise AssertionError(f"{statement} is not straight")

    def value(self, expression: Expr, store: dict[str, int]) -> Any:
        return expression.evaluate(self.params, store)

    def sandwich(self, matrix: Tensor, qubits: tuple[str, ...], rho: Tensor) -> Tensor:
        """K ρ K† with K on some qubits."""
        return self.times(matrix.conj(), qubits, self.times(matrix, qubits, rho, 0), len(self.qubits))

    def times(self, matrix: Tensor, qubits: tuple[str, ...], rho: Tensor, skipped: int) -> Tensor:
        n, m = len(self.qubits), len(qubits)
        # The first axis of the rows is the most significant qubit, and so it is in the matrix.
        axes = [1 + skipped + n - 1 - self.qubits.index(q) for q in reversed(qubits)]
        product = np.tensordot(matrix.reshape([2] * (2 * m)), rho, axes=(range(m, 2 * m), axes))
        return np.moveaxis(product, range(m), axes)


def _with(store: dict[str, int], counter: str, value: int) -> Counters:
    return tuple(sorted({**store, counter: int(value)}.items()))
