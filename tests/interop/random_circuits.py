"""Random dynamic Qiskit circuits: every standard gate, control flow of every kind, expressions, variables."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit.circuit import ClassicalRegister, Clbit, Parameter, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import get_standard_gate_name_mapping

SKIPPED = {"measure", "reset", "delay", "global_phase"}
QUBITS, BITS, WIDTH, DEEPEST = 3, 3, 3, 2


def standard_gates() -> list[Any]:
    """One of each, on few enough qubits."""
    every = get_standard_gate_name_mapping()
    return [every[name] for name in sorted(every) if name not in SKIPPED and every[name].num_qubits <= QUBITS]


class Random:
    """Writes one circuit.

    Args:
        plain: without boxes and variables, which Aer cannot run or runs wrongly; with loops of any length.
    """

    def __init__(self, seed: int, size: int = 8, *, plain: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.gates = standard_gates()
        self.plain = plain
        self.qubits = QuantumRegister(QUBITS, "q")
        self.bits = ClassicalRegister(BITS, "c")
        self.circuit = QuantumCircuit(self.qubits, self.bits)
        self.indices: list[Any] = []  # of the loops around
        self.angles: list[Any] = [Parameter("θ"), Parameter("b")]
        if plain:
            self.block(size, 0, False)
            return
        self.flag = self.circuit.add_var("flag", expr.lift(False))
        self.number = self.circuit.add_var("n", expr.lift(int(self.rng.integers(8)), types.Uint(WIDTH)))
        self.passes = [
            self.circuit.add_var(f"k{depth}", expr.lift(0, types.Uint(WIDTH))) for depth in range(DEEPEST)
        ]
        self.block(size, 0, False)

    @property
    def values(self) -> dict[Any, float]:
        """Some, for the parameters that occur."""
        rng = np.random.default_rng(7)
        return {p: float(rng.uniform(-3, 3)) for p in self.circuit.parameters}

    # --- statements ---

    def block(self, size: int, depth: int, inside_loop: bool) -> None:
        for _ in range(int(self.rng.integers(1, size + 1))):
            self.statement(depth, inside_loop)

    def statement(self, depth: int, inside_loop: bool) -> None:
        kinds = ["gate", "gate", "gate", "measure", "reset", *(["measure"] if self.plain else ["store"] * 2)]
        if depth < DEEPEST:
            kinds += ["if", "if", "switch", "for", "while", *([] if self.plain else ["box"])]
        if inside_loop:
            kinds += ["leave"]
        getattr(self, f"write_{self.rng.choice(kinds)}")(depth, inside_loop)

    def write_gate(self, *_: object) -> None:
        gate = self.gates[self.rng.integers(len(self.gates))].to_mutable()
        gate.params = [self.angle() for _ in gate.params]
        self.circuit.append(gate, self.some_qubits(gate.num_qubits))

    def write_measure(self, *_: object) -> None:
        self.circuit.measure(self.some_qubits(1)[0], self.bit())

    def write_reset(self, *_: object) -> None:
        self.circuit.reset(self.some_qubits(1)[0])

    def write_store(self, *_: object) -> None:
        kind = self.rng.integers(4)
        if kind == 0:
            self.circuit.store(self.flag, self.truth(2))
        elif kind == 1:
            self.circuit.store(self.bit(), self.truth(2))
        else:
            self.circuit.store(self.number, self.whole(2))

    def write_if(self, depth: int, inside_loop: bool) -> None:
        with self.circuit.if_test(self.condition()) as otherwise:
            self.block(3, depth + 1, inside_loop)
        if self.rng.random() < 0.5:
            with otherwise:
                self.block(3, depth + 1, inside_loop)

    def write_switch(self, depth: int, inside_loop: bool) -> None:
        target = [self.bits, self.bit(), None if self.plain else self.whole(1)][
            self.rng.integers(2 if self.plain else 3)
        ]
        labels = [0, 1] if isinstance(target, Clbit) else list(range(8))
        self.rng.shuffle(labels)
        with self.circuit.switch(target) as case:
            with case(labels[0]):
                self.block(2, depth + 1, inside_loop)
            if len(labels) > 2:
                with case(*labels[1:3]):
                    self.block(2, depth + 1, inside_loop)
            if self.rng.random() < 0.5:
                with case(case.DEFAULT):
                    self.block(2, depth + 1, inside_loop)

    def write_for(self, depth: int, inside_loop: bool) -> None:
        indices = [range(3), (1, -1), range(4, 0, -2)][self.rng.integers(3)]
        with self.circuit.for_loop(indices) as index:
            self.indices.append(index)
            self.circuit.rx(self.angle() + index / 2, self.qubits[0])
            self.block(3, depth + 1, True)
            self.indices.pop()

    def write_while(self, depth: int, inside_loop: bool) -> None:
        """At most three passes, counted; in a plain circuit until a measurement ends it."""
        if self.plain:
            bit, qubit = self.bit(), self.some_qubits(1)[0]
            with self.circuit.while_loop((bit, int(self.rng.integers(2)))):
                self.block(3, depth + 1, False)  # one that is continued might never end
                self.circuit.reset(qubit)
                self.circuit.ry(float(self.rng.uniform(1.2, 1.9)), qubit)
                self.circuit.measure(qubit, bit)
            return
        passes = self.passes[depth]
        self.circuit.store(passes, expr.lift(0, types.Uint(WIDTH)))
        condition = expr.logic_and(expr.less(passes, 3), self.truth(1))
        with self.circuit.while_loop(condition):
            self.circuit.store(passes, expr.add(passes, expr.lift(1, types.Uint(WIDTH))))
            self.block(3, depth + 1, True)

    def write_box(self, depth: int, inside_loop: bool) -> None:
        with self.circuit.box():
            self.block(2, depth + 1, False)

    def write_leave(self, *_: object) -> None:
        with self.circuit.if_test(self.condition()):
            if self.rng.random() < 0.5:
                self.circuit.break_loop()
            else:
                self.circuit.continue_loop()

    # --- values ---

    def some_qubits(self, count: int) -> list[Any]:
        return [self.qubits[int(i)] for i in self.rng.permutation(QUBITS)[:count]]

    def bit(self) -> Any:
        return self.bits[int(self.rng.integers(BITS))]

    def angle(self) -> Any:
        number = float(self.rng.uniform(-3, 3))
        some = [*self.angles, *self.indices]
        one = some[self.rng.integers(len(some))]
        return [number, one, 2 * one - number, one * self.angles[0]][self.rng.integers(4)]

    def condition(self) -> Any:
        kind = self.rng.integers(4)
        if kind == 0:
            return self.bit(), int(self.rng.integers(2))
        if kind == 1:
            return self.bits, int(self.rng.integers(8))
        return self.truth(2)

    def truth(self, depth: int) -> Any:
        """Of the type Bool."""
        if self.plain:
            return self.plain_truth(depth)
        kind = self.rng.integers(8 if depth else 3)
        match kind:
            case 0:
                return expr.lift(self.bit())
            case 1:
                return self.flag
            case 2:
                return expr.lift(bool(self.rng.integers(2)))
            case 3:
                return expr.logic_not(self.truth(depth - 1))
            case 4 | 5:
                of = [expr.logic_and, expr.logic_or, expr.bit_xor, expr.equal, expr.not_equal]
                return of[self.rng.integers(5)](self.truth(depth - 1), self.truth(depth - 1))
            case 6:
                of = [
                    expr.equal,
                    expr.not_equal,
                    expr.less,
                    expr.less_equal,
                    expr.greater,
                    expr.greater_equal,
                ]
                return of[self.rng.integers(6)](self.whole(depth - 1), self.whole(depth - 1))
            case _:
                return expr.index(self.whole(depth - 1), int(self.rng.integers(WIDTH)))

    def plain_truth(self, depth: int) -> Any:
        """Bits, and registers beside numbers."""
        kind = self.rng.integers(4 if depth else 2)
        match kind:
            case 0:
                return expr.lift(self.bit())
            case 1:
                of = [expr.equal, expr.not_equal, expr.less, expr.greater_equal]
                return of[self.rng.integers(4)](self.bits, int(self.rng.integers(8)))
            case 2:
                return expr.logic_not(self.plain_truth(depth - 1))
            case _:
                of = [expr.logic_and, expr.logic_or]
                return of[self.rng.integers(2)](self.plain_truth(depth - 1), self.plain_truth(depth - 1))

    def whole(self, depth: int) -> Any:
        """Of the type Uint(3)."""
        kind = self.rng.integers(8 if depth else 3)
        match kind:
            case 0:
                return self.number
            case 1:
                return expr.lift(self.bits)
            case 2:
                return expr.lift(int(self.rng.integers(8)), types.Uint(WIDTH))
            case 3:
                return expr.bit_not(self.whole(depth - 1))
            case 4:
                of = [expr.bit_and, expr.bit_or, expr.bit_xor]
                return of[self.rng.integers(3)](self.whole(depth - 1), self.whole(depth - 1))
            case 5:
                of = [expr.add, expr.sub, expr.mul]
                return of[self.rng.integers(3)](self.whole(depth - 1), self.whole(depth - 1))
            case 6:
                of = [expr.shift_left, expr.shift_right]
                return of[self.rng.integers(2)](self.whole(depth - 1), self.whole(depth - 1))
            case _:
                return expr.cast(self.truth(depth - 1), types.Uint(WIDTH))
