"""Compiled code of small registers: plane rotations on lanes, one lane for each set of parameters.

A state is 2D rows of W lanes, one or a vector of them, all in one array `space`: component k of lane w is at
k W + w, real parts before imaginary ones. One call takes parameters to values and gradients: angles, sines
and cosines, forward, observables, backward, chain rule. No sum runs across lanes and nothing is reordered,
so a set of parameters gives the same bits wherever it stands, alone or in a batch.

Tables (see `lane_tables`): `table` holds whole numbers of a line, from `HEAD` on as its header says; `asked`
those of observables and of the parameters to differentiate by. Rows are turns that depend on parameters,

    φ_r = b_r + Σ_j A_rj θ_j,      df/dθ_j = 2 Σ_r A_rj Σ_planes (λ_v ψ_u - λ_u ψ_v).

Sines and cosines: Cody and Waite's reduction and the polynomials of fdlibm (Sun Microsystems, 1993), off by
less than 2⁻⁵²; an angle beyond `LARGEST` is reduced by the library first, which may add 2⁻⁵¹.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.machine.compiled import entry, inlined, inner
from qdiff.sim.static.lane_vectors import (
    observe,
    observe_one,
    slope,
    slope_one,
    turn,
    turn_back,
    turn_one,
    turn_one_back,
    undo,
    undo_one,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

TURN, NEGATE, MATRIX = range(3)
"""What an operation does: rotate planes, change signs, multiply by a matrix."""
KIND, START, STOP, ROW, SIZE, AT, VARYING = range(7)
"""Columns of an operation: its components are table[START:STOP]; ROW is that of its angle.

A matrix has SIZE rows, its entries at AT of `numbers`, or of `given` where it is VARYING, J = -iK behind.
"""
COLUMNS = 7
COMPONENTS, OPERATIONS, FIRST_OPERATION, ROWS, STARTS = range(5)
CONSTANTS, FIRST_CONSTANT, GIVEN, LARGEST_SIZE = range(5, 9)
"""The header: 2D; how many operations, and where; how many rows, and where is said where the entries of each
begin (their inputs follow); how many turns are constant, and where in `numbers` their cosines and sines are;
how many numbers of matrices are given, and the rows of the largest matrix."""
HEAD = 9
OBSERVABLES, GRADIENTS, WANTED, COLUMNS_OF, OPERATORS, SOURCES = range(6)
"""The header of `asked`: how many observables; whether gradients are wanted; and where there is
which rows are wanted; the column of every input among the gradients, or -1; for every observable, where the
entries of the rows of its matrix begin; and the columns of these entries."""
ASKED_HEAD = 6

LARGEST = 1e5  # radians, up to which the reduction of an angle is exact enough
HUGE = 1e200  # radians φ, up to which the angle of a gate is a finite number, whatever its generator
_TWO_OVER_PI = 6.36619772367581382433e-01
_P1, _P2, _P3 = 1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21
_S1, _S2, _S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
_S4, _S5, _S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
_C1, _C2, _C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
_C4, _C5, _C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11


# --- Gates --------------------------------------------------------------------------------------


@inner
def _negate(space: Floats, at: int, table: Ints, start: int, stop: int, lanes: int) -> None:
    for i in range(start, stop):
        u = at + table[np.uintp(i)] * lanes
        for w in range(u, u + lanes):
            space[np.uintp(w)] = -space[np.uintp(w)]


@inner
def _matrix(
    space: Floats,
    at: int,
    table: Ints,
    op: int,
    numbers: Floats,
    given: int,
    spare: int,
    lanes: int,
    back: int,
) -> None:
    """Multiply the components of every place by a real matrix, by its transpose on the way back."""
    size, entries, varying = table[op + SIZE], table[op + AT], table[op + VARYING]
    down, along = (1, size) if back else (size, 1)
    for i in range(table[op + START], table[op + STOP], size):
        for r in range(size):
            for w in range(lanes):
                total = 0.0
                for k in range(size):
                    place = entries + r * down + k * along
                    if varying:
                        factor = space[np.uintp(given + place * lanes + w)]
                    else:
                        factor = numbers[np.uintp(place)]
                    total += factor * space[np.uintp(at + table[np.uintp(i + k)] * lanes + w)]
                space[np.uintp(spare + r * lanes + w)] = total
        for r in range(size):
            to = at + table[np.uintp(i + r)] * lanes
            for w in range(lanes):
                space[np.uintp(to + w)] = space[np.uintp(spare + r * lanes + w)]


@inner
def _matrix_slope(
    space: Floats, psi: int, lam: int, table: Ints, op: int, given: int, to: int, lanes: int
) -> None:
    """Add Σ λ_r J_rk ψ_k over the places of a matrix to the lanes at `to`, J = -iK behind the matrix."""
    size = table[op + SIZE]
    generator = given + (table[op + AT] + size * size) * lanes
    for i in range(table[op + START], table[op + STOP], size):
        for r in range(size):
            p = lam + table[np.uintp(i + r)] * lanes
            for k in range(size):
                of, q = generator + (r * size + k) * lanes, psi + table[np.uintp(i + k)] * lanes
                for w in range(lanes):
                    product = space[np.uintp(p + w)] * space[np.uintp(of + w)]
                    space[np.uintp(to + w)] += product * space[np.uintp(q + w)]


# --- Angles ---------------------------------------------------------------------------------------


@inlined
def _turned(x: float) -> tuple[float, float]:
    """Return cos x and sin x, x = k π/2 + r with a small r."""
    k = np.floor(x * _TWO_OVER_PI + 0.5)
    r = ((x - k * _P1) - k * _P2) - k * _P3
    z = r * r
    s = r + r * z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * _S6)))))
    half = 0.5 * z
    rest = 1.0 - half
    c = rest + (
        ((1.0 - rest) - half) + z * z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6)))))
    )
    quarter = k - 4.0 * np.floor(0.25 * k)
    odd = (quarter == 1.0) | (quarter == 3.0)
    p, q = s if odd else c, c if odd else s
    return -p if (quarter == 1.0) | (quarter == 2.0) else p, -q if quarter >= 2.0 else q


@inner
def _turn_all(space: Floats, cosines: int, sines: int, count: int) -> bool:
    """Replace angles by their cosines, and write their sines; return whether none was beyond HUGE."""
    largest, wrong = 0.0, 0.0
    for i in range(count):
        x = space[np.uintp(cosines + i)]
        wrong += x * 0.0  # 0, or nan where x is nan
        largest = max(largest, abs(x))
    if wrong != 0.0 or largest > HUGE:
        return False
    if largest > LARGEST:
        for i in range(count):
            x = space[np.uintp(cosines + i)]
            if abs(x) > LARGEST:
                space[np.uintp(cosines + i)] = math.atan2(math.sin(x), math.cos(x))
    for i in range(count):
        j, k = np.uintp(cosines + i), np.uintp(sines + i)
        space[j], space[k] = _turned(space[j])
    return True


# --- Whole plans ----------------------------------------------------------------------------------


@inner
def _angles(
    table: Ints,
    numbers: Floats,
    parameters: Floats,
    given: Floats,
    space: Floats,
    p: int,
    last: int,
    lanes: int,
) -> bool:
    """Write sines and cosines, and matrices; lanes beyond the last set of parameters repeat it."""
    rows, constants = table[ROWS], table[CONSTANTS]
    cosines = table[COMPONENTS] * lanes
    sines = cosines + (rows + constants) * lanes
    matrices = sines + (rows + constants) * lanes
    starts, entries = table[STARTS], table[STARTS] + rows + 1
    for r in range(rows):
        for w in range(lanes):
            total = numbers[r]
            for e in range(table[starts + r], table[starts + r + 1]):
                total += numbers[rows + e] * parameters[min(p + w, last - 1), table[entries + e]]
            space[cosines + r * lanes + w] = total
    for r in range(constants):
        at = table[FIRST_CONSTANT] + 2 * r
        for w in range(lanes):
            space[cosines + (rows + r) * lanes + w] = numbers[at]
            space[sines + (rows + r) * lanes + w] = numbers[at + 1]
    for j in range(table[GIVEN]):
        for w in range(lanes):
            space[matrices + j * lanes + w] = given[min(p + w, last - 1), j]
    return _turn_all(space, cosines, sines, rows * lanes)


@inner
def _forward(table: Ints, numbers: Floats, space: Floats, lanes: int) -> None:
    size, first = table[COMPONENTS] * lanes, table[FIRST_OPERATION]
    every = (table[ROWS] + table[CONSTANTS]) * lanes
    matrices = size + 2 * every
    for i in range(size):
        space[np.uintp(i)] = 1.0 if i < lanes else 0.0
    for op in range(first, first + COLUMNS * table[OPERATIONS], COLUMNS):
        kind, start, stop = table[op + KIND], table[op + START], table[op + STOP]
        if kind == TURN:
            c = size + table[op + ROW] * lanes
            if lanes == 1:
                turn_one(space, table, 0, start, stop, c, c + every)
            else:
                turn(space, table, 0, start, stop, c, c + every)
        elif kind == NEGATE:
            _negate(space, 0, table, start, stop, lanes)
        else:
            _matrix(space, 0, table, op, numbers, matrices, matrices + table[GIVEN] * lanes, lanes, 0)


@inner
def _backward(table: Ints, numbers: Floats, asked: Ints, space: Floats, lanes: int) -> None:
    """Undo the line on ψ and all λ, and sum up the slopes of its rows."""
    size, first, rows = table[COMPONENTS] * lanes, table[FIRST_OPERATION], table[ROWS]
    every = (rows + table[CONSTANTS]) * lanes
    matrices = size + 2 * every
    spare = matrices + table[GIVEN] * lanes
    sums = spare + table[LARGEST_SIZE] * lanes
    states = sums + asked[OBSERVABLES] * rows * lanes
    for i in range(sums, states):
        space[np.uintp(i)] = 0.0
    for op in range(first + COLUMNS * (table[OPERATIONS] - 1), first - 1, -COLUMNS):
        kind, start, stop, row = table[op + KIND], table[op + START], table[op + STOP], table[op + ROW]
        wanted = 0 <= row < rows and asked[asked[WANTED] + row] != 0
        c = size + row * lanes
        last = asked[OBSERVABLES] - 1
        for k in range(last + 1):
            at, to = states + k * size, sums + (k * rows + row) * lanes
            if kind == NEGATE:
                _negate(space, at, table, start, stop, lanes)
            elif kind == MATRIX:
                if wanted:
                    _matrix_slope(space, 0, at, table, op, matrices, to, lanes)
                _matrix(space, at, table, op, numbers, matrices, spare, lanes, 1)
            elif k == last:
                to = to if wanted else spare
                if lanes == 1:
                    undo_one(space, table, 0, at, start, stop, c, c + every, to)
                else:
                    undo(space, table, 0, at, start, stop, c, c + every, to)
            elif lanes == 1:
                if wanted:
                    slope_one(space, table, 0, at, start, stop, to)
                turn_one_back(space, table, at, start, stop, c, c + every)
            else:
                if wanted:
                    slope(space, table, 0, at, start, stop, to)
                turn_back(space, table, at, start, stop, c, c + every)
        if kind == NEGATE:
            _negate(space, 0, table, start, stop, lanes)
        elif kind == MATRIX:
            _matrix(space, 0, table, op, numbers, matrices, spare, lanes, 1)


@entry
def run(
    table: Ints,
    numbers: Floats,
    asked: Ints,
    weights: Floats,
    parameters: Floats,
    given: Floats,
    space: Floats,
    values: Floats,
    slopes: Floats,
    first: int,
    last: int,
    lanes: int,
) -> bool:
    """Find values, (P, K), and slopes, (P, K, d), of the sets of parameters from `first` to `last`.

    Args:
        table, numbers, asked, weights: see the module. parameters: (P, inputs). given: (P, G), matrices.
        space: for so many lanes, see `lane_tables.Question.per_lane`: ψ, cosines, sines, matrices, a place of
            the largest matrix, sums of slopes, all λ. lanes: 1 or `LANES`.

    Returns:
        Whether all angles were numbers up to HUGE; if not, the results are not complete.
    """
    size, rows, observables = table[COMPONENTS], table[ROWS], asked[OBSERVABLES]
    spare = (size + 2 * (rows + table[CONSTANTS]) + table[GIVEN]) * lanes
    sums = spare + table[LARGEST_SIZE] * lanes
    states = sums + observables * rows * lanes
    starts, entries = table[STARTS], table[STARTS] + rows + 1
    for p in range(first, last, lanes):
        if not _angles(table, numbers, parameters, given, space, p, last, lanes):
            return False
        _forward(table, numbers, space, lanes)
        here = min(lanes, last - p)
        for k in range(observables):
            begins, to = asked[OPERATORS] + k * (size + 1), states + k * size * lanes
            if lanes == 1:
                observe_one(space, asked, weights, to, begins, asked[SOURCES], size, spare)
            else:
                observe(space, asked, weights, to, begins, asked[SOURCES], size, spare)
            for w in range(here):
                values[p + w, k] = space[spare + w]
        if asked[GRADIENTS] == 0:
            continue
        _backward(table, numbers, asked, space, lanes)
        for w in range(here):
            for k in range(observables):
                for j in range(slopes.shape[2]):
                    slopes[p + w, k, j] = 0.0
                for r in range(rows):
                    if asked[asked[WANTED] + r] != 0:
                        found = 2.0 * space[sums + (k * rows + r) * lanes + w]
                        for e in range(table[starts + r], table[starts + r + 1]):
                            column = asked[asked[COLUMNS_OF] + table[entries + e]]
                            if column >= 0:
                                slopes[p + w, k, column] += found * numbers[rows + e]
    return True
