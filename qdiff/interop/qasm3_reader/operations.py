"""Unitary operations: gates of the library, phases, and what modifiers make of them.

`U(θ, φ, λ)` of OpenQASM 3 is exp(iθ/2) times the gate of that name here. Phases are operations on no qubit:
they count under controls and are dropped without.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from qdiff.interop.qasm3_reader.scope import DefinedGate
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.gates import record


@dataclass(frozen=True)
class Primitive:
    """A gate that has a record."""

    name: str
    angles: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Phase:
    """exp(i angle) on no qubit."""

    angle: Expr


@dataclass(frozen=True)
class Turn:
    """V P(angle) V† where the gate `name` is V P(φ) V†: a power of it."""

    name: str
    angle: Expr


@dataclass(frozen=True)
class Steps:
    """Operations on some of the qubits, one after the other."""

    steps: tuple[tuple[Operation, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Defined:
    """A gate of the text."""

    gate: DefinedGate
    angles: tuple[Expr, ...]


@dataclass(frozen=True)
class Controlled:
    """An operation where the first qubits have these values."""

    of: Operation
    states: tuple[bool, ...]


@dataclass(frozen=True)
class Inverse:
    """The inverse of a gate of the text."""

    of: Defined


@dataclass(frozen=True)
class Power:
    """A power of what is no primitive."""

    of: Operation
    exponent: Expr


Operation: TypeAlias = Primitive | Phase | Turn | Steps | Defined | Controlled | Inverse | Power

# --- The library ---------------------------------------------------------------------------------------


def _u(theta: Expr, phi: Expr, lam: Expr, phase: Expr) -> Operation:
    """exp(i phase) P(φ) Ry(θ) P(λ)."""
    if ex.is_number(theta, 0):
        first: Operation = Primitive("P", (ex.add(phi, lam),))
    else:
        first = Primitive("U", (theta, phi, lam))
    return first if ex.is_number(phase, 0) else Steps(((first, (0,)), (Phase(phase), ())))


def _half(*angles: Expr) -> Expr:
    total = ex.add(*angles)
    return total if ex.is_number(total, 0) else ex.divide(total, ex.number(2))


def _builtin_u(theta: Expr, phi: Expr, lam: Expr) -> Operation:
    return _u(theta, phi, lam, _half(theta))


def _u3(theta: Expr, phi: Expr, lam: Expr) -> Operation:
    return _u(theta, phi, lam, ex.negate(_half(phi, lam)) if _half(phi, lam) != ex.ZERO else ex.ZERO)


def _u2(phi: Expr, lam: Expr) -> Operation:
    return _u3(ex.divide(ex.Pi(), ex.number(2)), phi, lam)


def _cu(theta: Expr, phi: Expr, lam: Expr, gamma: Expr) -> Operation:
    return Controlled(_u(theta, phi, lam, gamma), (True,))


def _fixed(name: str, controls: int = 0) -> Callable[..., Operation]:
    found: Operation = Primitive(name)
    if controls:
        found = Controlled(found, (True,) * controls)
    return lambda: found


def _rotation(name: str, controls: int = 0) -> Callable[..., Operation]:
    def build(angle: Expr) -> Operation:
        found: Operation = Primitive(name, (angle,))
        return Controlled(found, (True,) * controls) if controls else found

    return build


BUILT_IN: dict[str, tuple[int, int, Callable[..., Operation]]] = {
    "U": (3, 1, _builtin_u),
    "gphase": (1, 0, Phase),
}
"""Numbers of angles and of qubits, and the operation for angles."""

STANDARD: dict[str, tuple[int, int, Callable[..., Operation]]] = {
    **{name: (0, 1, _fixed(ours)) for name, ours in (
        ("x", "X"), ("y", "Y"), ("z", "Z"), ("h", "H"), ("s", "S"), ("sdg", "Sdg"), ("t", "T"),
        ("tdg", "Tdg"), ("sx", "SX"), ("id", "I"),
    )},
    **{name: (1, 1, _rotation(ours)) for name, ours in (
        ("p", "P"), ("phase", "P"), ("u1", "P"), ("rx", "Rx"), ("ry", "Ry"), ("rz", "Rz"),
    )},
    **{name: (0, 2, _fixed(ours, 1)) for name, ours in (
        ("cx", "X"), ("CX", "X"), ("cy", "Y"), ("cz", "Z"), ("ch", "H"),
    )},
    **{name: (1, 2, _rotation(ours, 1)) for name, ours in (
        ("cp", "P"), ("cphase", "P"), ("crx", "Rx"), ("cry", "Ry"), ("crz", "Rz"),
    )},
    "swap": (0, 2, _fixed("SWAP")),
    "ccx": (0, 3, _fixed("X", 2)),
    "cswap": (0, 3, _fixed("SWAP", 1)),
    "cu": (4, 2, _cu),
    "u2": (2, 1, _u2),
    "u3": (3, 1, _u3),
}  # fmt: skip

# --- Fixed gates as V P(φ) V† --------------------------------------------------------------------------

_EIGHTH = ex.divide(ex.Pi(), ex.number(4))
TURNS: dict[str, tuple[float, tuple[Primitive, ...]]] = {
    "Z": (1, ()),
    "S": (1 / 2, ()),
    "Sdg": (-1 / 2, ()),
    "T": (1 / 4, ()),
    "Tdg": (-1 / 4, ()),
    "X": (1, (Primitive("H"),)),
    "SX": (1 / 2, (Primitive("H"),)),
    "Y": (1, (Primitive("Sdg"), Primitive("H"))),
    "H": (1, (Primitive("Ry", (ex.negate(_EIGHTH),)),)),
}
"""φ in units of π, and V† as gates, the first applied first."""


def inverse(operation: Operation) -> Operation:
    """Return the inverse of an operation."""
    match operation:
        case Primitive(name="U", angles=(a, b, c)):
            return Primitive("U", (_negative(a), _negative(c), _negative(b)))
        case Primitive(name=name, angles=(angle,)):
            return Primitive(name, (_negative(angle),))
        case Primitive(name=name):
            other = record(name).inverse
            return Primitive(other) if other else Turn(name, _times_pi(-TURNS[name][0]))
        case Phase(angle=angle):
            return Phase(_negative(angle))
        case Turn(name=name, angle=angle):
            return Turn(name, _negative(angle))
        case Steps(steps=steps):
            return Steps(tuple((inverse(step), places) for step, places in reversed(steps)))
        case Controlled(of=of, states=states):
            return Controlled(inverse(of), states)
        case Power(of=of, exponent=exponent):
            return Power(of, _negative(exponent))
        case Inverse(of=of):
            return of
        case Defined():
            return Inverse(operation)


def power(operation: Operation, exponent: Expr, constant: float | None) -> Operation:
    """Return a power of an operation.

    Fractional powers of fixed gates are principal ones: of eigenvalues exp(iφ) with -π < φ <= π. Those of
    gates with one angle multiply the angle.

    Args:
        constant: the number that the exponent is, None where it is known only when a program runs.
    """
    whole = constant is not None and constant == int(constant)
    match operation:
        case Controlled(of=of, states=states):
            return Controlled(power(of, exponent, constant), states)
        case Primitive(name="I"):
            return operation
        case Primitive(name="SWAP"):
            # CX on both sides of a controlled X: its power is that of the X.
            x = power(Primitive("X"), exponent, constant)
            cx = Controlled(Primitive("X"), (True,))
            return Steps(((cx, (0, 1)), (Controlled(x, (True,)), (1, 0)), (cx, (0, 1))))
        case Primitive(name=name, angles=(angle,)):
            return Primitive(name, (ex.multiply(exponent, angle),))
        case Phase(angle=angle):
            return Phase(ex.multiply(exponent, angle))
        case Primitive(name=name, angles=()):
            part = TURNS[name][0]
            if constant is not None and whole:
                times = int(constant) % round(2 / abs(part))
                return Primitive(name) if times == 1 else Turn(name, _times_pi(part * times))
            return Turn(name, ex.multiply(exponent, _times_pi(part)))
        case Turn(name=name, angle=angle):
            return Turn(name, ex.multiply(exponent, angle if whole else _principal(angle)))
        case Power(of=of, exponent=inner) if whole:
            return Power(of, ex.multiply(exponent, inner))
        case _:
            return Power(operation, exponent)


def _negative(angle: Expr) -> Expr:
    return angle if ex.is_number(angle, 0) else ex.negate(angle)


def _times_pi(part: float) -> Expr:
    """part·π, the part a multiple of 1/4."""
    exact = Fraction(round(4 * part), 4)
    if not exact:
        return ex.ZERO
    found = ex.multiply(ex.number(exact.numerator), ex.Pi())
    return found if exact.denominator == 1 else ex.divide(found, ex.number(exact.denominator))


def _principal(angle: Expr) -> Expr:
    """A constant angle brought between -π and π, others as they are."""
    if angle.parameters() or angle.counters():
        return angle
    turns = float(angle.evaluate()) / math.tau
    rounds = math.ceil(turns - 0.5 - 1e-12)
    return ex.add(angle, ex.multiply(ex.number(-2 * rounds), ex.Pi())) if rounds else angle
