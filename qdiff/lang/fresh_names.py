"""Names for what a transformation adds to a program: none of them is one of the program's own."""

from __future__ import annotations

from collections.abc import Iterable

from qdiff.lang.tree import Program


class FreshNames:
    """The names that are taken: those of a program, and those given out since.

    Args:
        also: further names that are taken.
    """

    def __init__(self, program: Program, also: Iterable[str] = ()) -> None:
        self.taken = declared_names(program) | set(also)

    def fresh(self, base: str) -> str:
        """Return `base`, or `base` and the first number that makes it a new name."""
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}{number}"
        self.taken.add(name)
        return name


def declared_names(program: Program) -> set[str]:
    """Names of the qubits, parameters, counters (arrays under their own name) and gates of a program."""
    registers = (*program.qubit_registers, *program.parameter_registers, *program.counter_registers)
    return {register.name for register in registers} | {gate.name for gate in program.gate_declarations}
