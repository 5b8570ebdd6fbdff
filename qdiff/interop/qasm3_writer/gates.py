"""Gates as those of stdgates.inc, and definitions of the others.

The U of OpenQASM 3 is e^{ia/2} times ours, so under controls a phase of -a/2 on them goes with it. A rotation
about a Pauli word is one about Z of the parity, between changes of basis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qdiff.errors import EvaluationError
from qdiff.interop.explicit import Inexpressible
from qdiff.interop.explicit.commuting import commuting
from qdiff.interop.qasm3_writer.matrices import matrix_lines
from qdiff.interop.qasm3_writer.names import TextNames
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.gates import GateRecord, Matrix, record
from qdiff.lang.tree import Gate, GateDeclaration, Program

_CONTROLLED = {
    ("X", 1): "cx", ("X", 2): "ccx", ("Y", 1): "cy", ("Z", 1): "cz", ("H", 1): "ch", ("SWAP", 1): "cswap",
    ("Rx", 1): "crx", ("Ry", 1): "cry", ("Rz", 1): "crz", ("P", 1): "cp",
}  # fmt: skip
_SHORT = {"R_X": "rx", "R_Y": "ry", "R_Z": "rz"}


class Gates:
    """Writes the gates of a program, and collects the definitions that they need.

    Args:
        text: of an expression.

    Attributes:
        definitions: lines, each definition once, what it uses before it.
    """

    def __init__(self, program: Program, names: TextNames, text: Callable[[Expr], str]) -> None:
        self.program = program
        self.names = names
        self.text = text
        self.definitions: list[str] = []
        self._defined: dict[object, str] = {}
        self._declared = {gate.name: gate for gate in program.gate_declarations}

    def write(self, gate: Gate) -> list[str]:
        """Statements for a gate.

        Raises:
            Inexpressible: OpenQASM has no gates by a matrix that depends on parameters.
        """
        if gate.name == "I":  # under controls, too
            return [self.applied("id", (), (), gate.targets)]
        angles = [self.text(angle) for angle in gate.angles]
        short = _CONTROLLED.get((gate.name, len(gate.controls)))
        if short is not None:
            return [self.applied(short, angles, (), gate.controls + gate.targets)]
        if gate.name == "U":
            return self._u(gate, angles)
        if gate.name in self._declared:
            name, angles = self._of_declaration(self._declared[gate.name], gate, angles)
        else:
            name = self._named(gate.name)
        return [self.applied(name, angles, gate.controls, gate.targets)]

    def applied(
        self, name: str, angles: Sequence[str], controls: Sequence[str], targets: Sequence[str]
    ) -> str:
        """One statement."""
        where = ", ".join([self.names.of[qubit] for qubit in (*controls, *targets)])
        given = f"({', '.join(angles)})" if angles else ""
        return f"{_ctrl(len(controls))}{name}{given} {where};"

    def _u(self, gate: Gate, angles: list[str]) -> list[str]:
        lines = [self.applied("U", angles, gate.controls, gate.targets)]
        if gate.controls:
            half = self.text(ex.negate(ex.divide(gate.angles[0], ex.Number(2))))
            name = "p" if len(gate.controls) == 1 else "cp" if len(gate.controls) == 2 else ""
            if name:
                lines.append(self.applied(name, [half], (), gate.controls))
            else:
                lines.append(self.applied("p", [half], gate.controls[:-1], gate.controls[-1:]))
        return lines

    # --- Definitions ----------------------------------------------------------------------------

    def _named(self, name: str) -> str:
        """The name of a gate of the language."""
        entry = record(name)
        if name in _SHORT or entry.qasm3:
            return _SHORT.get(name, entry.qasm3)
        if name == "ISWAP":
            lines = ["s q0;", "s q1;", "h q0;", "cx q0, q1;", "cx q1, q0;", "h q1;"]
            return self._define(name, "iswap", (), 2, lambda: lines)
        base = name.lower()
        return self._define(name, base, ("a",), entry.targets, lambda: rotation_lines(entry.pauli, "a"))

    def _define(
        self, key: object, base: str, angles: Sequence[str], qubits: int, body: Callable[[], Sequence[str]]
    ) -> str:
        if key not in self._defined:
            lines = body()
            name = self._defined[key] = self.names.fresh(base)
            given = f"({', '.join(angles)})" if angles else ""
            arguments = ", ".join(f"q{i}" for i in range(qubits))
            self.definitions += [
                f"gate {name}{given} {arguments} {{",
                *(f"    {line}" for line in lines),
                "}",
            ]
        return self._defined[key]

    def _of_declaration(
        self, declaration: GateDeclaration, gate: Gate, angles: list[str]
    ) -> tuple[str, list[str]]:
        """The name of a gate that the program declares, and the angles that it still has."""
        entry = self.program.record(gate.name)
        base, many = gate.name, len(declaration.qubits)
        if declaration.matrix:
            return self._define(base, base, (), many, lambda: matrix_lines(entry.matrix())), []
        terms = (*declaration.generator, *declaration.drift)
        if commuting(terms):
            return self._define(base, base, ("a",), many, lambda: _product_lines(declaration)), angles
        value = _constant(gate.angles[0])
        if value is None:
            raise Inexpressible(
                f"the words of the generator of `{gate.name}` do not commute, so its angle must be a number:"
                " bind its parameters"
            )
        return self._define((base, value), base, (), many, lambda: matrix_lines(_at(entry, value))), []


def rotation_lines(letters: str, angle: str) -> list[str]:
    """exp(-i angle/2 P) on qubits q0, q1, …; a phase where P is the identity."""
    places = [(letter, f"q{i}") for i, letter in enumerate(letters) if letter != "I"]
    if not places:
        return [f"gphase(-({angle})/2.0);"]
    before = [f"{name} {qubit};" for letter, qubit in places for name in _BASIS[letter]]
    after = [f"{name} {qubit};" for letter, qubit in places for name in _BACK[letter]]
    last = places[-1][1]
    ladder = [f"cx {qubit}, {last};" for _, qubit in places[:-1]]
    return [*before, *ladder, f"rz({angle}) {last};", *reversed(ladder), *after]


_BASIS = {"X": ("h",), "Y": ("sdg", "h"), "Z": ()}
_BACK = {"X": ("h",), "Y": ("h", "s"), "Z": ()}


def _product_lines(declaration: GateDeclaration) -> list[str]:
    lines: list[str] = []
    for coefficient, letters in declaration.generator:
        lines += rotation_lines(letters, "a" if coefficient == 1 else f"{coefficient!r}*a")
    for coefficient, letters in declaration.drift:
        lines += rotation_lines(letters, repr(2 * coefficient))
    return lines


def _constant(angle: Expr) -> float | None:
    if angle.parameters() or angle.counters():
        return None
    try:
        return float(angle.evaluate())
    except EvaluationError as error:
        raise Inexpressible(str(error).rstrip("."), angle.place()) from None


def _at(entry: GateRecord, angle: float) -> Matrix:
    return entry.matrix(angle)


def _ctrl(controls: int) -> str:
    return "" if not controls else "ctrl @ " if controls == 1 else f"ctrl({controls}) @ "
