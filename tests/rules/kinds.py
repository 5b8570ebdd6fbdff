"""Every kind of primitive that rules are tested with, and what a rule's terms make of a density matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rules.straight_line import StraightLine, controlled, gate_matrix
from scipy.linalg import expm_frechet

from qdiff.lang.channels import channel_record, known_channels
from qdiff.lang.expr import Expr, Parameter, number
from qdiff.lang.gates import known_gates, record
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Channel, Flip, Gate
from qdiff.rules.primitive import Kind, Primitive, kind_of
from qdiff.rules.term import Rule, Term
from qdiff.rules.workspace import Workspace

Matrix = NDArray[Any]

DECLARED = """
gate Commensurate(a)[p, q] = exp(-i a/2 * (0.5*X Z + 0.2*Z Y))
gate Levels(a)[p, q] = exp(-i a/2 * (1*Z I + 2*I Z + 0.25*I I))
gate Irregular(a)[p, q] = exp(-i a/2 * (1*X Z + 0.6180339887498949*Z Y))
gate Spread(a)[p, q] = exp(-i a/2 * (1.1*Z I + 0.37*I Z + 0.29*Z Z))
gate Three(a)[p, q, r] = exp(-i a/2 * (1*Z I I + 0.7*I X I + 0.45*I I Z))
gate Tilted(a)[p] = exp(-i a/2 * (0.6*X + 0.8*Z))
gate Lifted(a)[p] = exp(-i a/2 * (0.3*I + 1.5*Y))
gate Phase(a)[p] = exp(-i a/2 * (0.8*I))
gate Driven(a)[p, q] = exp(-i (a * 0.5*X Z + 0.3*Z Y))
gate Swept(a)[p] = exp(-i (a * (0.5*X + 0.2*I) + 0.7*Z))
gate Turned(a)[p] = exp(-i (a * 0.4*I + 0.7*Z))
"""
DECLARED_NAMES = [line.split()[1].partition("(")[0] for line in DECLARED.strip().splitlines()]
PROGRAM = parse(f"qubit: q[6]\npara: a\ncount: c\n{DECLARED}\nskip")
ANGLES = (0.4, -1.3, 2.9)
PROBABILITIES = (0.15, 0.5, 0.8)
WIDE = 7  # qubits, ancillas included, beyond which one argument has to do


@dataclass(frozen=True)
class Subject:
    """A primitive of the argument `a`, and where to differentiate it."""

    primitive: Primitive
    kind: Kind

    @property
    def qubits(self) -> tuple[str, ...]:
        match self.primitive:
            case Gate(controls=controls, targets=targets):
                return (*controls, *targets)
            case Channel(qubits=qubits):
                return qubits
            case Flip():
                return ("q[0]",)

    @property
    def arguments(self) -> tuple[float, ...]:
        return ANGLES if isinstance(self.primitive, Gate) else PROBABILITIES

    def __str__(self) -> str:
        controls = len(self.primitive.controls) if isinstance(self.primitive, Gate) else 0
        return f"{self.kind.name.removeprefix('C_')}{f', {controls} controls' if controls else ''}"


def one_angle_gates() -> list[str]:
    """Registered gates with one angle, some Pauli rotations, and the declared ones."""
    known = [name for name in known_gates() if len(record(name).angles) == 1]
    return [*known, "R_YX", "R_XZY", *DECLARED_NAMES]


def subjects() -> list[Subject]:
    """Every gate with 0, 1 and 2 controls, every channel, and `flip`."""
    found: list[Primitive] = []
    for name in one_angle_gates():
        targets = PROGRAM.record(name).targets
        for controls in range(3):
            qubits = PROGRAM.qubits[: controls + targets]
            found.append(Gate(name, (Parameter("a"),), qubits[:controls], qubits[controls:]))
    found += [Channel(name, Parameter("a"), ("q[0]",)) for name in known_channels()]
    found.append(Flip(Parameter("a")))
    return [Subject(primitive, kind_of(primitive, PROGRAM)) for primitive in found]


# --- The exact derivative -------------------------------------------------------------------------


def inputs(qubits: int, seed: int = 0) -> Matrix:
    """Matrices on which a linear map is seen: all |i><j| up to 2 qubits, else a random one."""
    size = 1 << qubits
    if qubits <= 2:
        return np.eye(size * size, dtype=complex).reshape(-1, size, size)
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, size, size)) + 1j * rng.normal(size=(1, size, size))


def derivative(subject: Subject, at: float, rho: Matrix) -> dict[int, Matrix]:
    """dE/da (ρ) by the value of the condition; 0 where the primitive is none."""
    match subject.primitive:
        case Gate(name=name, controls=controls):
            entry = PROGRAM.record(name)
            drift = 0 if entry.drift is None else entry.drift
            _, small = expm_frechet(-1j * (at * entry.generator / 2 + drift), -0.5j * entry.generator)
            unitary = controlled(gate_matrix(entry, at), len(controls))
            slope = controlled(small, len(controls), idle=0)
            half = slope @ rho @ unitary.conj().T
            return {0: half + unitary @ rho @ slope.conj().T}
        case Channel(name=name):
            return {0: _difference(lambda p: _through(name, p, rho), at)}
        case Flip():
            return {1: rho, 0: -rho}


def _through(name: str, p: float, rho: Matrix) -> Matrix:
    return sum(k @ rho @ k.conj().T for k in channel_record(name).kraus(p))


def _difference(f: Callable[[float], Matrix], at: float) -> Matrix:
    """f'(at) by central differences, extrapolated."""
    table = [(f(at + h) - f(at - h)) / (2 * h) for h in (0.02 / 2**level for level in range(6))]
    for order in range(1, 6):
        table = [finer + (finer - coarser) / (4**order - 1) for coarser, finer in pairwise(table)]
    return table[0]


# --- What the terms make --------------------------------------------------------------------------


def ran(
    terms: Sequence[Term], workspace: Workspace, subject: Subject, at: float, rho: Matrix
) -> dict[int, Matrix]:
    """Σ_j c_j F_j (ρ) by the value of the condition: ancillas hold something before and are lost after."""
    made = workspace.completed(PROGRAM)
    ancillas = tuple(q for q in made.qubits if q not in PROGRAM.qubits)
    d, e = 1 << len(subject.qubits), 1 << len(ancillas)
    rng = np.random.default_rng(len(ancillas))
    dirt = rng.normal(size=e) + 1j * rng.normal(size=e)
    dirt /= np.linalg.norm(dirt)
    # Ancillas are the higher bits.
    prepared = np.einsum("st,bij->bsitj", np.outer(dirt, dirt.conj()), rho).reshape(len(rho), d * e, d * e)
    machine = StraightLine(made, (*subject.qubits, *ancillas), {"a": at})
    total: dict[int, Matrix] = {}
    for term in terms:
        for store, result in machine.run(term.block, prepared).items():
            kept = np.einsum("bsisj->bij", result.reshape(len(rho), e, d, e, d))
            counters = dict(store)
            sign = counters[workspace.hit] if term.signed else 1
            where = counters[workspace.outcome] if isinstance(subject.primitive, Flip) else 0
            weighted = sign * float(term.coefficient.evaluate({"a": at})) * kept
            total[where] = total.get(where, 0) + weighted
    return total


def terms_of(rule: Rule, subject: Subject, workspace: Workspace) -> tuple[Term, ...]:
    """The terms of a rule at a subject."""
    return rule.terms(subject.primitive, subject.kind, Parameter("a"), workspace)


def is_derivative(
    terms: Sequence[Term], workspace: Workspace, subject: Subject, tolerance: float = 1e-9
) -> bool:
    """Whether Σ_j c_j F_j = dE/da at some arguments: the checker that broken rules must not pass."""
    rho = inputs(len(subject.qubits))
    wide = len(workspace.completed(PROGRAM).qubits) - len(PROGRAM.qubits) + len(subject.qubits) > WIDE
    for at in subject.arguments[: 1 if wide else None]:
        found, exact = ran(terms, workspace, subject, at, rho), derivative(subject, at, rho)
        for value, matrix in exact.items():
            if np.abs(found.get(value, 0) - matrix).max() > tolerance * max(1.0, float(np.abs(rho).max())):
                return False
    return True


def with_coefficient(term: Term, coefficient: Expr | float) -> Term:
    """The term with another coefficient."""
    given = coefficient if isinstance(coefficient, Expr) else number(coefficient)
    return replace(term, coefficient=given)
