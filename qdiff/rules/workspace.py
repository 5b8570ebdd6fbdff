"""What a derivative program declares besides its program, under names that the program does not have."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.fresh_names import FreshNames
from qdiff.lang.tree import GateDeclaration, Program, Register


class Workspace:
    """Qubits, counters, parameters and gates that a derivative program has besides those of its program.

    Attributes:
        hit: the counter that says whether a primitive was replaced in a run (0: not yet) and holds
            the sign ±1 of the run if it was.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.names = FreshNames(program)
        self.counters: list[str] = []
        self.parameters: list[str] = []
        self.qubits: list[str] = []
        self.gates: dict[GateDeclaration, str] = {}
        self._ancilla = ""
        self._ancillas = 0
        self.hit = self.counter("hit")

    def counter(self, base: str) -> str:
        """Return a new counter."""
        name = self.names.fresh(base)
        self.counters.append(name)
        return name

    def parameter(self, base: str) -> str:
        """Return a new parameter."""
        name = self.names.fresh(base)
        self.parameters.append(name)
        return name

    def qubit(self, base: str) -> str:
        """Return a new qubit of its own."""
        name = self.names.fresh(base)
        self.qubits.append(name)
        return name

    def ancillas(self, number: int) -> tuple[str, ...]:
        """Return qubits that every replacement may use; what they hold is lost afterwards."""
        if number and not self._ancilla:
            self._ancilla = self.names.fresh("ancilla")
        self._ancillas = max(self._ancillas, number)
        return tuple(f"{self._ancilla}[{i}]" for i in range(number))

    @cached_property
    def outcome(self) -> str:
        """The counter that holds the value of a condition which was evaluated in steps."""
        return self.counter("outcome")

    @cached_property
    def passes(self) -> str:
        """The counter of passes that a bounded loop makes before the one with something replaced."""
        return self.counter("passes")

    @cached_property
    def sign(self) -> str:
        """The counter that keeps the first of two signs."""
        return self.counter("sign")

    def unitary(self, base: str, matrix: NDArray[np.complex128]) -> str:
        """Declare a gate with this matrix; return its name."""
        qubits = tuple(f"q{i}" for i in range(len(matrix).bit_length() - 1))
        entries = tuple([tuple([complex(x) for x in row]) for row in matrix])
        return self.gate(GateDeclaration(base, None, qubits, matrix=entries))

    def gate(self, declaration: GateDeclaration) -> str:
        """Declare a gate (once) under a new name; return the name."""
        if declaration not in self.gates:
            self.gates[declaration] = self.names.fresh(declaration.name)
        return self.gates[declaration]

    def completed(self, program: Program) -> Program:
        """Return a program with the declarations of everything that was asked for."""
        ancillas = [Register(self._ancilla, self._ancillas)] if self._ancillas else []
        return replace(
            program,
            qubit_registers=(*program.qubit_registers, *map(Register, self.qubits), *ancillas),
            parameter_registers=(*program.parameter_registers, *map(Register, self.parameters)),
            counter_registers=(*program.counter_registers, *map(Register, self.counters)),
            gate_declarations=(
                *program.gate_declarations,
                *(replace(declaration, name=name) for declaration, name in self.gates.items()),
            ),
        )
