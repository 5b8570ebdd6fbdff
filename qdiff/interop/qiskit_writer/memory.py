"""Counters as classical registers or as variables.

A counter that only measurements and small constants are written into can be a register of bits. Any other is
a `Var` of the type Uint(w), its value modulo 2^w: two's complement.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from qdiff.errors import QdiffError
from qdiff.interop.explicit import Inexpressible
from qdiff.interop.explicit.bits import LARGEST_CONSTANT, bits_needed
from qdiff.lang.fresh_names import FreshNames
from qdiff.lang.printer import head_text
from qdiff.lang.source import Position, refusal
from qdiff.lang.tree import Assign, Measure, Program
from qdiff.lang.walk import statements

CHOICES = ("auto", "bits", "vars")


@dataclass(frozen=True)
class Bits:
    """A counter in bits of a register, the first the least significant.

    Attributes:
        bits: Qiskit's `Clbit`s. register: the `ClassicalRegister` of just these, None for one bit of many.
    """

    bits: tuple[Any, ...]
    register: Any

    @property
    def width(self) -> int:
        return len(self.bits)


class Memory:
    """The classical memory of a circuit, declared in it.

    Args:
        circuit: Qiskit's, where it is declared; the one that is written to can be changed later.
        own: counters that the user declared; the others are kept in bits wherever that is possible.
        choice: "bits", "vars" or "auto" for those. width: w.

    Raises:
        QdiffError: a counter cannot be kept in bits, and shall be.
    """

    def __init__(self, circuit: Any, program: Program, own: Collection[str], choice: str, width: int) -> None:
        self.circuit = circuit
        self.program = program
        self.width = width
        self.bits: dict[str, Bits] = {}
        self.variables: dict[str, Any] = {}
        self._names = FreshNames(program)
        self._outcomes: dict[int, Any] = {}  # registers in which what goes into variables is measured
        needed, problems = bits_needed(program)
        if choice == "bits" and problems:
            raise _refused(program, problems)
        as_variables = set(problems) | (set(own) if choice == "vars" else set())
        self._declare(needed, as_variables)

    def _declare(self, needed: dict[str, int], as_variables: set[str]) -> None:
        from qiskit.circuit import ClassicalRegister
        from qiskit.circuit.classical import expr, types

        for register in self.program.counter_registers:
            in_bits = [name for name in register.elements if name not in as_variables]
            if register.size is not None and all(
                name in in_bits and needed[name] == 1 for name in register.elements
            ):
                bits = ClassicalRegister(register.size, register.name)
                self.circuit.add_register(bits)
                for name, bit in zip(register.elements, bits, strict=True):
                    self.bits[name] = Bits((bit,), None)
                continue
            for i, name in enumerate(register.elements):
                called = name if register.size is None else self._names.fresh(f"{register.name}_{i}")
                if name in in_bits:
                    bits = ClassicalRegister(needed[name], called)
                    self.circuit.add_register(bits)
                    self.bits[name] = Bits(tuple(bits), bits)
                else:
                    zero = expr.Value(0, types.Uint(self.width))
                    self.variables[name] = self.circuit.add_var(called, zero)
        for statement in statements(self.program.body):
            if isinstance(statement, Measure) and statement.counter in self.variables:
                many = len(statement.qubits)
                if many not in self._outcomes:
                    self._outcomes[many] = ClassicalRegister(many, self._names.fresh(f"measured_{many}"))
                    self.circuit.add_register(self._outcomes[many])

    # --- Reading --------------------------------------------------------------------------------

    def number(self, value: int) -> Any:
        """An integer as w bits.

        Raises:
            Inexpressible: it does not fit.
        """
        from qiskit.circuit.classical import expr, types

        if not -(1 << (self.width - 1)) <= value < 1 << (self.width - 1):
            raise Inexpressible(f"{value} does not fit in {self.width} bits with a sign")
        return expr.Value(value % (1 << self.width), types.Uint(self.width))

    def whole(self, counter: str) -> Any:
        """A counter as w bits."""
        from qiskit.circuit.classical import expr, types

        variable = self.variables.get(counter)
        if variable is not None:
            return variable
        bits = self.bits[counter]
        if bits.width > self.width:
            raise Inexpressible(
                f"`{counter}` has {bits.width} bits, and integers {self.width}: see counter_bits"
            )
        return expr.cast(expr.lift(self.target(bits)), types.Uint(self.width))

    def target(self, bits: Bits) -> Any:
        """The register of a counter, or its only bit."""
        return bits.bits[0] if bits.width == 1 else bits.register

    # --- Writing --------------------------------------------------------------------------------

    def store(self, counter: str, value: int) -> None:
        """Write a constant."""
        bits = self.bits.get(counter)
        if bits is None:
            self.circuit.store(self.variables[counter], self.number(value))
        else:
            self._set(bits.bits, value)

    def measure(self, qubits: tuple[Any, ...], counter: str) -> None:
        """Measure qubits, the first into the least significant bit.

        Raises:
            Inexpressible: more qubits than bits.
        """
        from qiskit.circuit.classical import expr, types

        bits = self.bits.get(counter)
        if bits is not None:
            for qubit, bit in zip(qubits, bits.bits, strict=False):
                self.circuit.measure(qubit, bit)
            self._set(bits.bits[len(qubits) :], 0)
            return
        many = len(qubits)
        if many >= self.width:
            raise Inexpressible(f"{many} outcomes do not fit in {self.width} bits with a sign")
        outcome = self._outcomes[many]
        for qubit, bit in zip(qubits, outcome, strict=True):
            self.circuit.measure(qubit, bit)
        self.circuit.store(self.variables[counter], expr.cast(expr.lift(outcome), types.Uint(self.width)))

    def _set(self, bits: tuple[Any, ...], value: int) -> None:
        for i, bit in enumerate(bits):
            self.circuit.store(bit, bool(value >> i & 1))


def _refused(program: Program, problems: dict[str, Assign]) -> QdiffError:
    counter, statement = next(iter(problems.items()))
    pos: Position | None = statement.pos
    return refusal(
        program.source,
        f"the counter `{counter}` cannot be kept in bits: `{head_text(statement)}` is no measurement and"
        f" no constant from 0 to {LARGEST_CONSTANT}.",
        pos,
        'Ask for counters="auto" or "vars".',
    )
