"""Gates as rotations of planes: what the kernels of small registers run.

A state of D amplitudes is 2D real *components*, real parts before imaginary ones. exp(-i a G/2), where every
row of G has one entry ±g or ±ig at most, turns planes (u, v) of components by φ = g a/2 (Givens rotations),

    u ← cos φ u - sin φ v,      v ← sin φ u + cos φ v :

an X of the generator those of Im y and Re x, a Y those of x and y, a Z those of Im x and Re x. Gates whose
entries are 0, ±1 and ±i only move components and change their signs. They cost nothing: a `Frame` remembers
where every component is. What is left, a dense matrix, is a real matrix on components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.flow import SmallGate

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Planes = list[tuple[Ints, Ints]]

UNITS = (1, -1, 1j, -1j)


@dataclass(frozen=True)
class Turn:
    """Planes (k, 2) turned by scale · angle, or by a constant angle with this cosine and sine."""

    planes: Ints
    scale: float = 1.0
    constant: tuple[float, float] | None = None


@dataclass(frozen=True)
class Negation:
    """Components that change sign."""

    components: Ints


@dataclass(frozen=True)
class Dense:
    """Places (k, 2s) multiplied by a real matrix: a constant one, or that of the instance."""

    places: Ints
    constant: Floats | None = None


Operation = Turn | Negation | Dense


class Frame:
    """Where components are: component k is signs[k] times what lies at places[k]."""

    def __init__(self, places: Ints, signs: Ints) -> None:
        self.places = places
        self.signs = signs
        self.key = places.tobytes() + signs.tobytes()

    @classmethod
    def still(cls, components: int) -> Frame:
        """Everything in its place."""
        return cls(np.arange(components, dtype=np.int32), np.ones(components, dtype=np.int32))

    def planes(self, pairs: Planes) -> Ints:
        """Return planes of components as those of their places, (k, 2)."""
        u, v = np.concatenate([u for u, _ in pairs]), np.concatenate([v for _, v in pairs])
        turned = np.where((self.signs[u] == self.signs[v])[:, None], np.stack([u, v], 1), np.stack([v, u], 1))
        return self.places[turned]

    def moved(self, to: Ints, source: Ints, signs: Ints) -> Frame:
        """The frame after component to[i] has become signs[i] times what component source[i] was."""
        places, found = self.places.copy(), self.signs.copy()
        places[to], found[to] = self.places[source], signs * self.signs[source]
        return Frame(places, found)

    def righted(self, components: Ints) -> tuple[list[Operation], Frame]:
        """Give some components the sign +: what to run for that, and the frame after."""
        wrong = components[self.signs[components] < 0]
        if not len(wrong):
            return [], self
        signs = self.signs.copy()
        signs[wrong] = 1
        return [Negation(self.places[wrong])], Frame(self.places, signs)


def lowered(gate: SmallGate, frame: Frame) -> tuple[list[Operation], Frame]:
    """Return what a gate does in a frame, and the frame after it."""
    dimension = len(frame.places) // 2
    index = np.arange(dimension, dtype=np.int32)
    fixed = gate.controls | sum(1 << q for q in gate.targets)
    bases = index[(index & fixed) == gate.controls]
    states = range(1 << len(gate.targets))
    offsets = [sum(1 << q for bit, q in enumerate(gate.targets) if s >> bit & 1) for s in states]
    real = [bases | np.int32(offset) for offset in offsets]
    imaginary = [r + np.int32(dimension) for r in real]
    generator = gate.record.generator
    if generator is not None and gate.record.drift is None and is_plane(generator):
        by_scale = rotations(generator, real, imaginary)
        return [_turn(frame.planes(pairs), scale, gate) for scale, pairs in by_scale.items()], frame
    if gate.expression < 0:
        matrix = gate.constant()
        if is_monomial(matrix):
            return _monomial(matrix, real, imaginary, frame)
        if gate.record.targets == 1 and not np.any(matrix.imag) and is_orthogonal(matrix.real):
            return _orthogonal(matrix.real, real, imaginary, frame)
        constant = realified(matrix)
    else:
        constant = None
    components = np.stack([*real, *imaginary], axis=1)
    righting, frame = frame.righted(components.ravel())
    return [*righting, Dense(frame.places[components], constant)], frame


def _turn(planes: Ints, scale: float, gate: SmallGate) -> Turn:
    if gate.expression >= 0:
        return Turn(planes, scale)
    assert gate.angle is not None
    return Turn(planes, scale, (float(np.cos(scale * gate.angle)), float(np.sin(scale * gate.angle))))


# --- Generators -----------------------------------------------------------------------------------


def is_plane(generator: Complexes) -> bool:
    """Whether every row of a generator has one entry at most, and that is real or imaginary."""
    entries = generator[generator != 0]
    single = np.count_nonzero(generator, axis=1).max(initial=0) <= 1
    return bool(single and np.all((entries.real == 0) | (entries.imag == 0)))


def rotations(generator: Complexes, real: list[Ints], imaginary: list[Ints]) -> dict[float, Planes]:
    """Return the planes that exp(-i a G/2) turns by scale · a, by scale."""
    result: dict[float, Planes] = {}
    for s, t in zip(*np.nonzero(generator), strict=True):
        g = complex(generator[s, t])
        planes = result.setdefault(abs(g) / 2, [])
        found: Planes
        if s == t:
            found = [(imaginary[s], real[s])]
        elif s > t:
            continue
        elif g.imag == 0:
            found = [(imaginary[t], real[s]), (imaginary[s], real[t])]
        else:
            found = [(real[t], real[s]), (imaginary[t], imaginary[s])]
        forward = g.real > 0 or g.imag > 0
        planes += found if forward else [(v, u) for u, v in found]
    return result


# --- Fixed gates ----------------------------------------------------------------------------------


def is_monomial(matrix: Complexes) -> bool:
    """Whether every row and every column has one entry."""
    used = matrix != 0
    return bool(np.all(used.sum(axis=0) == 1) and np.all(used.sum(axis=1) == 1))


def is_orthogonal(matrix: Floats) -> bool:
    """Whether a real 2×2 matrix is a rotation or a reflection, to the last bit."""
    (p, q), (r, s) = matrix
    return bool((r == -q and s == p) or (r == q and s == -p))


def _monomial(
    matrix: Complexes, real: list[Ints], imaginary: list[Ints], frame: Frame
) -> tuple[list[Operation], Frame]:
    to: list[Ints] = []
    source: list[Ints] = []
    signs: list[Ints] = []
    phases: dict[complex, Planes] = {}
    for s, t in zip(*np.nonzero(matrix), strict=True):
        phase = complex(matrix[s, t])
        exact = phase if phase in UNITS else 1
        # i (x + iy) = -y + ix
        parts = (real[t], imaginary[t]) if exact in (1, -1) else (imaginary[t], real[t])
        sign = (1, 1) if exact == 1 else (-1, -1) if exact == -1 else (-1, 1) if exact == 1j else (1, -1)
        to += [real[s], imaginary[s]]
        source += parts
        signs += [np.full(len(real[s]), one, dtype=np.int32) for one in sign]
        if phase not in UNITS:
            phases.setdefault(phase, []).append((real[s], imaginary[s]))
    frame = frame.moved(np.concatenate(to), np.concatenate(source), np.concatenate(signs))
    turns = [
        Turn(frame.planes(planes), constant=(phase.real, phase.imag)) for phase, planes in phases.items()
    ]
    return list(turns), frame


def _orthogonal(
    matrix: Floats, real: list[Ints], imaginary: list[Ints], frame: Frame
) -> tuple[list[Operation], Frame]:
    if matrix[0, 1] == matrix[1, 0]:  # a reflection: Z first, and then a rotation
        second = np.concatenate([real[1], imaginary[1]])
        frame = frame.moved(second, second, np.full(len(second), -1, dtype=np.int32))
    planes = frame.planes([(real[0], real[1]), (imaginary[0], imaginary[1])])
    return [Turn(planes, constant=(float(matrix[0, 0]), float(matrix[1, 0])))], frame


# --- Matrices on components -------------------------------------------------------------------------


def realified(matrix: Complexes) -> Floats:
    """Return complex matrices (…, s, s) as real ones on components, (…, 2s, 2s)."""
    return np.asarray(np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]]))
