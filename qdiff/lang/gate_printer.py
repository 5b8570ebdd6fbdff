"""Gate declarations as text that parses back to the same declaration.

gate G(a)[p, q] = exp(-i a/2 * (0.5*X Z + 0.2*Z Y))
gate D(a)[p, q] = exp(-i (a * (0.25*X Z) + 0.3*Z Y))
gate V[p] = [[1, 0], [0, i]]
"""

from __future__ import annotations

from qdiff.lang.tree import GateDeclaration, PauliTerm


def declaration_text(gate: GateDeclaration) -> str:
    """Return the line that declares a gate."""
    angle = "" if gate.angle is None else f"({gate.angle})"
    return f"gate {gate.name}{angle}[{', '.join(gate.qubits)}] = {_value_text(gate)}"


def _value_text(gate: GateDeclaration) -> str:
    if gate.matrix:
        rows = (f"[{', '.join(map(_entry_text, row))}]" for row in gate.matrix)
        return f"[{', '.join(rows)}]"
    if not gate.drift:
        return f"exp(-i {gate.angle}/2 * ({_sum_text(gate.generator)}))"
    direction = tuple((value / 2, letters) for value, letters in gate.generator)
    drift = _sum_text(gate.drift)
    joined = f" - {drift[1:]}" if drift.startswith("-") else f" + {drift}"
    return f"exp(-i ({gate.angle} * ({_sum_text(direction)}){joined}))"


def _sum_text(terms: tuple[PauliTerm, ...]) -> str:
    text = ""
    for value, letters in terms:
        sign = "-" if value < 0 else "+"
        factor = "" if abs(value) == 1 else f"{_number_text(abs(value))}*"
        text += f" {sign} {factor}{' '.join(letters)}"
    return f"-{text[3:]}" if text.startswith(" -") else text[3:]


def _entry_text(entry: complex) -> str:
    real, imaginary = entry.real, entry.imag
    if imaginary == 0:
        return f"{'-' if real < 0 else ''}{_number_text(abs(real))}"
    size = "i" if abs(imaginary) == 1 else f"{_number_text(abs(imaginary))}*i"
    if real == 0:
        return f"{'-' if imaginary < 0 else ''}{size}"
    sign = "-" if imaginary < 0 else "+"
    return f"{'-' if real < 0 else ''}{_number_text(abs(real))} {sign} {size}"


def _number_text(value: float) -> str:
    return repr(value).removesuffix(".0")
