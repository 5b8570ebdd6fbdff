"""Names that OpenQASM has no other meaning for."""

from __future__ import annotations

from qdiff.lang.tree import Program, Register

KEYWORDS = frozenset(
    [
        "OPENQASM", "include", "pragma", "defcalgrammar", "def", "cal", "defcal", "gate", "extern",
        "box", "let", "break", "continue", "if", "else", "end", "return", "for", "while", "in",
        "switch", "case", "default", "nop", "input", "output", "const", "readonly", "mutable", "qreg",
        "qubit", "creg", "bool", "bit", "int", "uint", "float", "angle", "complex", "array", "void",
        "duration", "stretch", "gphase", "inv", "pow", "ctrl", "negctrl", "dim", "durationof", "sizeof",
        "delay", "reset", "measure", "barrier", "true", "false", "im", "opaque",
    ]
)  # fmt: skip
BUILT_IN = frozenset(
    [
        "pi", "tau", "euler", "U", "arccos", "arcsin", "arctan", "ceiling", "cos", "exp", "floor",
        "log", "mod", "popcount", "rotl", "rotr", "sin", "sqrt", "tan", "real", "imag",
    ]
)  # fmt: skip
GATES = frozenset(
    [
        "p", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "rx", "ry", "rz", "cx", "cy", "cz", "cp",
        "crx", "cry", "crz", "ch", "swap", "ccx", "cswap", "cu", "CX", "phase", "cphase", "id", "u1",
        "u2", "u3",
    ]
)  # fmt: skip
"""Those of stdgates.inc, which share the names of variables."""


class TextNames:
    """Names of a text: those of the program where they are free, others with a number behind them.

    Attributes:
        of: the name of each qubit, parameter and counter; of an element of an array of qubits with its index.
    """

    def __init__(self, program: Program) -> None:
        self.taken = set(KEYWORDS | BUILT_IN | GATES)
        self.of: dict[str, str] = {}
        self.registers: dict[str, str] = {}
        every = (*program.qubit_registers, *program.parameter_registers, *program.counter_registers)
        for register in every:
            if register.name not in self.taken:
                self.taken.add(register.name)
                self.registers[register.name] = register.name
        for register in every:
            if register.name not in self.registers:
                self.registers[register.name] = self.fresh(f"{register.name}_")
            self.indexed(register)
        for register in program.parameter_registers:
            if register.size is not None:
                self.one_by_one(register)

    def fresh(self, base: str) -> str:
        """Return a new name."""
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name

    def indexed(self, register: Register) -> None:
        """Elements as elements of one register."""
        name = self.registers[register.name]
        for i, element in enumerate(register.elements):
            self.of[element] = name if register.size is None else f"{name}[{i}]"

    def one_by_one(self, register: Register) -> None:
        """Elements under names of their own."""
        for i, element in enumerate(register.elements):
            self.of[element] = self.fresh(f"{self.registers[register.name]}_{i}")
