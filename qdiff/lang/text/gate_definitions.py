"""What a gate declaration of a text means, as data: Pauli words with coefficients, or a matrix."""

from __future__ import annotations

import numpy as np

from qdiff.lang.declared_gates import (
    SMALLEST_COEFFICIENT,
    coefficient_problem,
    size_problem,
    unitary_problem,
    width_problem,
)
from qdiff.lang.gates import PAULI
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.complex_constants import constant_complex
from qdiff.lang.text.gate_rows import IMAGINARY, Form, LinearForms, without_minus_i
from qdiff.lang.text.names import Scope, declarable, described, name_problem, plural
from qdiff.lang.text.syntax import Fault, Name, place
from qdiff.lang.tree import GateDeclaration, PauliTerm


def declared_gate(definition: sx.GateDefinition, scope: Scope) -> GateDeclaration:
    """Return the declaration of a gate.

    Raises:
        Fault: its name is taken, its angle or qubits do not fit, its generator is no sum of Pauli
            words that is linear in the angle, or its matrix is not unitary on these qubits.
    """
    name = definition.name
    declarable(name, scope, "gate")
    _distinct(definition)
    problem = width_problem(name.text, len(definition.qubits))
    if problem:
        hint = "" if definition.qubits else f"Write them in brackets: `gate {name.text}[p, q] = …`."
        raise Fault(problem, name.pos, hint)
    meanings = {text: described(binding) for text, binding in scope.program.items()}
    if isinstance(definition.value, sx.MatrixRows):
        return _with_matrix(definition, definition.value, meanings)
    return _with_generator(definition, definition.value, meanings)


def _distinct(definition: sx.GateDefinition) -> None:
    seen: set[str] = set()
    for argument in (*definition.angles, *definition.qubits):
        problem = name_problem(argument.text)
        if problem:
            raise Fault(problem, argument.pos)
        if argument.text in seen:
            raise Fault(f"`{argument.text}` is an argument of `{definition.name.text}` twice.", argument.pos)
        seen.add(argument.text)


def _with_generator(
    definition: sx.GateDefinition, value: sx.Exponential, meanings: dict[str, str]
) -> GateDeclaration:
    name = definition.name.text
    if len(definition.angles) != 1:
        given = plural(len(definition.angles), "angle")
        pos = definition.angles[1].pos if definition.angles else definition.name.pos
        hint = f"Write `gate {name}(a)[…] = exp(-i a/2 * …)`."
        raise Fault(f"an exponential has one angle, and the gate `{name}` has {given}.", pos, hint)
    angle = definition.angles[0]
    if angle.text == IMAGINARY or angle.text in PAULI:
        raise Fault(f"`{angle.text}` means something else in the exponent.", angle.pos, "Rename the angle.")
    names = tuple(qubit.text for qubit in definition.qubits)
    exponent = without_minus_i(value.exponent)
    form = LinearForms(angle.text, len(names), meanings).read(exponent)
    if any(not letters and abs(number) >= SMALLEST_COEFFICIENT for (_, letters), number in form.items()):
        identity = " ".join("I" * len(names))
        raise Fault("a term has no Pauli word.", value.pos, f"The identity is `{identity}`.")
    # The form is a·A + B; a declaration holds the generator G = 2A.
    generator = _terms({key: 2 * number for key, number in form.items()}, 1, value)
    drift = _terms(form, 0, value)
    if not generator:
        if any(angles for angles, _ in form):
            raise Fault(f"the generator, what `{angle.text}` is multiplied with, is zero.", angle.pos)
        raise Fault(f"the angle `{angle.text}` does not occur in the exponent.", angle.pos)
    return GateDeclaration(name, angle.text, names, generator, drift, pos=definition.name.pos)


def _terms(form: Form, angles: int, value: sx.Exponential) -> tuple[PauliTerm, ...]:
    terms = []
    for (count, letters), number in form.items():
        if count == angles and letters and not abs(number) < SMALLEST_COEFFICIENT:
            problem = coefficient_problem(number)
            if problem:
                raise Fault(problem, value.pos)
            terms.append((number, letters))
    return tuple(terms)


def _with_matrix(
    definition: sx.GateDefinition, value: sx.MatrixRows, meanings: dict[str, str]
) -> GateDeclaration:
    if definition.angles:
        raise Fault(
            f"a matrix is constant, so the gate `{definition.name.text}` has no angle.",
            definition.angles[0].pos,
            "A gate with an angle is an exponential: `exp(-i a/2 * …)`.",
        )
    size = len(value.rows)
    for row in value.rows:
        if len(row) != size:
            entries = f"{len(row)} {'entry' if len(row) == 1 else 'entries'}"
            raise Fault(f"the matrix is not square: {plural(size, 'row')}, one of {entries}.", place(row[0]))
    problem = size_problem(size, len(definition.qubits))
    if problem:
        raise Fault(problem, value.pos)
    # + 0 makes -0.0 plain: the two are equal and would print differently.
    matrix = tuple(tuple(constant_complex(entry, meanings) + 0 for entry in row) for row in value.rows)
    problem = unitary_problem(np.array(matrix))
    if problem:
        raise Fault(problem, value.pos)
    names = tuple(_texts(definition.qubits))
    return GateDeclaration(definition.name.text, None, names, matrix=matrix, pos=definition.name.pos)


def _texts(names: tuple[Name, ...]) -> list[str]:
    return [name.text for name in names]
