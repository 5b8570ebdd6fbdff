"""GMRES for several systems x = b + T x at once.

All systems advance together, one application of T a step to all of them; one that has converged is
masked and keeps its solution. SciPy has GMRES for one system at a time only. Starting from zero it
finds the minimal solution where part of the space never leaves the loop but is not reached.

Source: Saad and Schultz (1986); Gram-Schmidt, repeated where it cancels (Giraud, Langou, Rozložník and
van den Eshof, 2005). The basis is kept in blocks, and a block is read from memory once: what a vector has in
common with it is taken out before the next one is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals

TOLERANCE = 1e-12
ACCEPTED = 1e-9  # relative residual that is still good enough where the tolerance is not reached
BASIS = 300
CYCLES = 8
GROWTH = 16  # vectors of a block of the basis
STAGNATION = 60  # steps in which the residual must shrink, or there is no solution
LEAST_PROGRESS = 0.5
CANCELLED = 0.5  # of a norm that orthogonalising leaves: below, it is repeated

Apply = Callable[[Reals], Reals]


@dataclass(frozen=True)
class Solved:
    """Solutions (S, N), their relative residuals (S,), and how often T was applied."""

    x: Reals
    residuals: Reals
    applications: int

    @property
    def accepted(self) -> bool:
        """Whether every system is solved."""
        return bool((self.residuals <= ACCEPTED).all())


def gmres(apply: Apply, b: Reals, tolerance: float = TOLERANCE) -> Solved:
    """Return the solutions of x = b + T x for right-hand sides (S, N), `apply` being T on (S, N)."""
    scale = np.linalg.norm(b, axis=1)
    x = np.zeros_like(b)
    if not scale.any():
        return Solved(x, np.zeros(len(b)), 0)
    safe = np.where(scale > 0, scale, 1.0)
    residual, used = b, 0
    relative = np.where(scale > 0, 1.0, 0.0)
    for _ in range(CYCLES):
        step, applied, stagnant = _cycle(apply, residual, tolerance * safe, relative > tolerance)
        x = x + step
        residual = b - x + apply(x)
        used += applied + 1
        before, relative = relative, np.linalg.norm(residual, axis=1) / safe
        if (relative <= tolerance).all() or stagnant or (relative > 0.1 * before)[relative > tolerance].all():
            break
    return Solved(x, relative, used)


def _cycle(
    apply: Apply, residual: Reals, goals: Reals, active: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[Reals, int, bool]:
    """One cycle: corrections (S, N) for residuals (S, N), steps taken, whether it stagnated."""
    systems, size = residual.shape
    most = min(BASIS, size)
    norms = np.linalg.norm(residual, axis=1)
    basis = _Basis(residual / np.where(norms > 0, norms, 1.0)[:, None])
    triangle = np.zeros((systems, most, most))
    turned = np.tile(np.eye(most + 1), (systems, 1, 1))  # all Givens rotations so far
    right = np.zeros((systems, most + 1))
    right[:, 0] = norms
    active = active & (norms > goals)
    history = [norms]
    steps = np.zeros(systems, dtype=np.int64)
    stagnant = False
    for j in range(most):
        if not active.any():
            break
        w = -apply(basis.last)  # the vector itself is in the basis: its coefficient is added below
        before = np.linalg.norm(w, axis=1)
        common = basis.take_out(w)
        after = np.linalg.norm(w, axis=1)
        if (after[active] <= CANCELLED * before[active]).any():
            common += basis.take_out(w)
            after = np.linalg.norm(w, axis=1)
        common[:, j] += 1.0
        column = (turned[:, : j + 1, : j + 1] @ common[:, :, None])[:, :, 0]
        length = np.hypot(column[:, j], after)
        dead = length <= 0  # nothing left to project on: no better solution in this space
        length = np.where(dead, 1.0, length)
        cosine, sine = (column[:, j] / length)[:, None], (after / length)[:, None]
        upper, lower = turned[:, j, : j + 2].copy(), turned[:, j + 1, : j + 2].copy()
        turned[:, j, : j + 2] = cosine * upper + sine * lower
        turned[:, j + 1, : j + 2] = cosine * lower - sine * upper
        advancing = active & ~dead
        triangle[advancing, :j, j] = column[advancing, :j]
        triangle[advancing, j, j] = length[advancing]
        right[advancing, j + 1] = -sine[advancing, 0] * right[advancing, j]
        right[advancing, j] *= cosine[advancing, 0]
        steps[advancing] = j + 1
        remaining = np.where(advancing, np.abs(right[:, j + 1]), 0.0)
        tiny = after <= 1e-14 * np.where(before > 0, before, 1.0)
        active = advancing & (remaining > goals) & ~tiny
        w /= np.where(after > 0, after, 1.0)[:, None]
        w[~active] = 0.0
        basis.append(w)
        history.append(remaining)
        if j >= STAGNATION and active.any():
            earlier = history[j + 1 - STAGNATION]
            if (remaining[active] > LEAST_PROGRESS * earlier[active]).all():
                stagnant = True
                break
    coefficients = np.zeros((systems, int(steps.max(initial=0))))
    for s in range(systems):
        k = int(steps[s])
        coefficients[s, :k] = _back_substituted(triangle[s, :k, :k], right[s, :k])
    return basis.combined(coefficients), int(steps.max(initial=0)), stagnant


class _Basis:
    """Orthonormal vectors, (S, N) each, in blocks (S, GROWTH, N)."""

    def __init__(self, first: Reals) -> None:
        self.count = 0
        self.blocks: list[Reals] = []
        self.append(first)

    @property
    def last(self) -> Reals:
        return self.blocks[-1][:, (self.count - 1) % GROWTH]

    def append(self, vector: Reals) -> None:
        if self.count % GROWTH == 0:
            self.blocks.append(np.zeros((len(vector), GROWTH, vector.shape[1])))
        self.blocks[-1][:, self.count % GROWTH] = vector
        self.count += 1

    def take_out(self, w: Reals) -> Reals:
        """Make w (S, N) orthogonal to all vectors, in place; return its coefficients, (S, vectors)."""
        found = np.empty((len(w), self.count))
        for at, block in self._filled(self.count):
            common = (block @ w[:, :, None])[:, :, 0]
            w -= (common[:, None, :] @ block)[:, 0]
            found[:, at : at + block.shape[1]] = common
        return found

    def combined(self, coefficients: Reals) -> Reals:
        """Return Σ c_k v_k, (S, N), for coefficients (S, k)."""
        result = np.zeros_like(self.blocks[0][:, 0])
        for at, block in self._filled(coefficients.shape[1]):
            result += (coefficients[:, None, at : at + block.shape[1]] @ block)[:, 0]
        return result

    def _filled(self, count: int) -> Iterator[tuple[int, Reals]]:
        for i in range(0, count, GROWTH):
            yield i, self.blocks[i // GROWTH][:, : count - i]


def _back_substituted(triangle: Reals, right: Reals) -> Reals:
    x = np.zeros_like(right)
    for i in range(len(right) - 1, -1, -1):
        pivot = triangle[i, i]
        x[i] = (right[i] - triangle[i, i + 1 :] @ x[i + 1 :]) / pivot if pivot else 0.0
    return x
