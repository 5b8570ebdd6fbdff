"""GMRES for several systems x = b + T x at once.

All systems advance together, one application of T a step to all of them; one that has converged is
masked and keeps its solution. SciPy has GMRES for one system at a time only. Starting from zero it
finds the minimal solution where part of the space never leaves the loop but is not reached.

Source: Saad and Schultz (1986); classical Gram-Schmidt, repeated where it cancels (Giraud, Langou,
Rozložník and van den Eshof, 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals

TOLERANCE = 1e-12
ACCEPTED = 1e-9  # relative residual that is still good enough where the tolerance is not reached
BASIS = 300
CYCLES = 8
GROWTH = 16  # vectors by which the basis grows
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
    vectors = np.zeros((systems, min(GROWTH, most) + 1, size))
    vectors[:, 0] = residual / np.where(norms > 0, norms, 1.0)[:, None]
    triangle = np.zeros((systems, most, most))
    cosines, sines = np.zeros((systems, most)), np.zeros((systems, most))
    right = np.zeros((systems, most + 1))
    right[:, 0] = norms
    active = active & (norms > goals)
    history = [norms]
    steps = np.zeros(systems, dtype=np.int64)
    stagnant = False
    for j in range(most):
        if not active.any():
            break
        if j + 1 == vectors.shape[1]:
            more = np.zeros((systems, min(GROWTH, most + 1 - vectors.shape[1]), size))
            vectors = np.concatenate([vectors, more], axis=1)
        v = vectors[:, j]
        w = -apply(v)  # v itself is in the basis: its coefficient is added below
        before = np.linalg.norm(w, axis=1)
        column = np.zeros((systems, j + 2))
        for attempt in range(2):
            found = (vectors[:, : j + 1] @ w[:, :, None])[:, :, 0]
            w = w - (found[:, None, :] @ vectors[:, : j + 1])[:, 0]
            column[:, : j + 1] += found
            after = np.linalg.norm(w, axis=1)
            if attempt == 0 and (after[active] > CANCELLED * before[active]).all():
                break
        column[:, j] += 1.0
        column[:, j + 1] = after
        for i in range(j):
            upper = cosines[:, i] * column[:, i] + sines[:, i] * column[:, i + 1]
            column[:, i + 1] = -sines[:, i] * column[:, i] + cosines[:, i] * column[:, i + 1]
            column[:, i] = upper
        length = np.hypot(column[:, j], column[:, j + 1])
        dead = length <= 0  # nothing left to project on: no better solution in this space
        length = np.where(dead, 1.0, length)
        cosines[:, j], sines[:, j] = column[:, j] / length, column[:, j + 1] / length
        advancing = active & ~dead
        triangle[advancing, : j + 1, j] = column[advancing, : j + 1]
        triangle[advancing, j, j] = length[advancing]
        right[advancing, j + 1] = -sines[advancing, j] * right[advancing, j]
        right[advancing, j] *= cosines[advancing, j]
        steps[advancing] = j + 1
        remaining = np.where(advancing, np.abs(right[:, j + 1]), 0.0)
        tiny = after <= 1e-14 * np.where(before > 0, before, 1.0)
        active = advancing & (remaining > goals) & ~tiny
        vectors[:, j + 1] = np.where(active[:, None], w / np.where(after > 0, after, 1.0)[:, None], 0.0)
        history.append(remaining)
        if j >= STAGNATION and active.any():
            earlier = history[j + 1 - STAGNATION]
            if (remaining[active] > LEAST_PROGRESS * earlier[active]).all():
                stagnant = True
                break
    correction = np.zeros_like(residual)
    for s in range(systems):
        if k := int(steps[s]):
            coefficients = _back_substituted(triangle[s, :k, :k], right[s, :k])
            correction[s] = coefficients @ vectors[s, :k]
    return correction, int(steps.max(initial=0)), stagnant


def _back_substituted(triangle: Reals, right: Reals) -> Reals:
    x = np.zeros_like(right)
    for i in range(len(right) - 1, -1, -1):
        pivot = triangle[i, i]
        x[i] = (right[i] - triangle[i, i + 1 :] @ x[i + 1 :]) / pivot if pivot else 0.0
    return x
