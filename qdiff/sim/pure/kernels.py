"""Compiled loops over amplitudes, gate by gate: for branches, second derivatives, and arrays in memory.

A state is float64 (2, D), real and imaginary parts apart, so that every loop runs over contiguous
numbers of one kind. A *plan* is a table of gates (`plan.Plan`): one call runs all of them for all
rows. The places where a gate acts are runs of indices: `outer` times a base, found by spreading the
bits of a number over the free positions, then `count` indices `stride` apart.

Everything compiled is in this file: Numba keys its cache on the file of the function that is called.

Rounding, with u = 2⁻⁵³: an amplitude of a gate on one target is a sum of four real products each for
its real and imaginary part, so the state moves by at most √2 · 4u · ‖|U|‖ <= 8u of its norm (|U| by
entries, norm at most √2); on two targets √2 · 8u · 2 < 23u; on n targets, s = 2ⁿ, 2(s + 2)√s u.
Sums over amplitudes go in blocks of 512.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from qdiff.sim.pure.plan import (
    ANTIDIAGONAL,
    CONTROLS,
    COUNT,
    DIAGONAL,
    DIAGONAL2,
    EXCHANGE,
    FIELDS,
    FIELDS_END,
    FIRST,
    FLIP,
    KIND,
    MANY,
    OUTER,
    PHASE,
    REAL,
    SECOND,
    STRIDE,
)

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Ints = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])

BLOCK = 512


def entry(function: F) -> F:
    """A function that Python calls: compiled once, kept on disk."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))


def inner(function: F) -> F:
    """A function that only compiled ones call; its code is kept with theirs."""
    return cast(F, numba.njit(function))


def summed(function: F) -> F:
    """An inner function whose sums may be taken in any order."""
    return cast(F, numba.njit(fastmath={"reassoc", "contract", "nsz"})(function))


# --- Gates --------------------------------------------------------------------------------------


@inner
def _base(k: int, start: int, end: int, low: Ints, width: Ints) -> int:
    """Spread the bits of k over the positions that are neither fixed nor inside a run."""
    for f in range(start, end):
        k = ((k & ~low[f]) << width[f]) | (k & low[f])
    return k


@inner
def _one(kind: int, re: Floats, im: Floats, a: int, b: int, n: int, d: int, c: Complexes) -> None:
    """A gate on one target: x at a, a + d, … and y at b, b + d, … where it is 0 and 1."""
    if kind == REAL:
        _rotate(re, a, b, n, d, c)
        _rotate(im, a, b, n, d, c)
    elif kind == FLIP:
        _exchange(re, a, b, n, d)
        _exchange(im, a, b, n, d)
    elif kind == PHASE:
        _scale(re, im, b, n, d, c[3])
    elif kind == DIAGONAL:
        _scale(re, im, a, n, d, c[0])
        _scale(re, im, b, n, d, c[3])
    elif kind == ANTIDIAGONAL:
        _cross(re, im, a, b, n, d, c[1], c[2])
    else:
        pr, pi, qr, qi = c[0].real, c[0].imag, c[1].real, c[1].imag
        rr, ri, sr, si = c[2].real, c[2].imag, c[3].real, c[3].imag
        for i in range(n):
            j, k = np.uintp(a + i * d), np.uintp(b + i * d)
            xr, xi, yr, yi = re[j], im[j], re[k], im[k]
            re[j] = pr * xr - pi * xi + qr * yr - qi * yi
            im[j] = pr * xi + pi * xr + qr * yi + qi * yr
            re[k] = rr * xr - ri * xi + sr * yr - si * yi
            im[k] = rr * xi + ri * xr + sr * yi + si * yr


@inner
def _rotate(part: Floats, a: int, b: int, n: int, d: int, c: Complexes) -> None:
    p, q, r, s = c[0].real, c[1].real, c[2].real, c[3].real
    for i in range(n):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        x, y = part[j], part[k]
        part[j] = p * x + q * y
        part[k] = r * x + s * y


@inner
def _exchange(part: Floats, a: int, b: int, n: int, d: int) -> None:
    for i in range(n):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        x = part[j]
        part[j] = part[k]
        part[k] = x


@inner
def _scale(re: Floats, im: Floats, a: int, n: int, d: int, c: complex) -> None:
    cr, ci = c.real, c.imag
    for i in range(n):
        j = np.uintp(a + i * d)
        x, y = re[j], im[j]
        re[j] = cr * x - ci * y
        im[j] = cr * y + ci * x


@inner
def _cross(re: Floats, im: Floats, a: int, b: int, n: int, d: int, p: complex, q: complex) -> None:
    """(x, y) ← (p y, q x)."""
    pr, pi, qr, qi = p.real, p.imag, q.real, q.imag
    for i in range(n):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        xr, xi, yr, yi = re[j], im[j], re[k], im[k]
        re[j] = pr * yr - pi * yi
        im[j] = pr * yi + pi * yr
        re[k] = qr * xr - qi * xi
        im[k] = qr * xi + qi * xr


@inner
def _two(kind: int, re: Floats, im: Floats, a: int, s: int, t: int, n: int, d: int, c: Complexes) -> None:
    """A gate on two targets with strides s and t; a is where both are 0."""
    if kind == DIAGONAL2:
        _scale(re, im, a, n, d, c[0])
        _scale(re, im, a + s, n, d, c[5])
        _scale(re, im, a + t, n, d, c[10])
        _scale(re, im, a + s + t, n, d, c[15])
    elif kind == EXCHANGE:
        _cross(re, im, a + s, a + t, n, d, c[6], c[9])
    else:
        for i in range(n):
            j = np.uintp(a + i * d)
            k, h, m = np.uintp(a + i * d + s), np.uintp(a + i * d + t), np.uintp(a + i * d + s + t)
            x, y = complex(re[j], im[j]), complex(re[k], im[k])
            z, w = complex(re[h], im[h]), complex(re[m], im[m])
            p = c[0] * x + c[1] * y + c[2] * z + c[3] * w
            q = c[4] * x + c[5] * y + c[6] * z + c[7] * w
            r = c[8] * x + c[9] * y + c[10] * z + c[11] * w
            o = c[12] * x + c[13] * y + c[14] * z + c[15] * w
            re[j], im[j] = p.real, p.imag
            re[k], im[k] = q.real, q.imag
            re[h], im[h] = r.real, r.imag
            re[m], im[m] = o.real, o.imag


@inner
def _many(re: Floats, im: Floats, a: int, places: Ints, n: int, d: int, c: Complexes) -> None:
    """A gate on any targets: local state s is at a + places[s]."""
    size = places.size
    old = np.empty(size, dtype=np.complex128)
    for i in range(n):
        base = a + i * d
        for s in range(size):
            old[s] = complex(re[base + places[s]], im[base + places[s]])
        for s in range(size):
            total = complex(0.0, 0.0)
            for t in range(size):
                total += c[s * size + t] * old[t]
            re[base + places[s]], im[base + places[s]] = total.real, total.imag


@inner
def _apply(x: Floats, op: Ints, low: Ints, width: Ints, places: Ints, c: Complexes) -> None:
    """x ← (gate) x."""
    re, im = x[0], x[1]
    kind, s, t, d, n = op[KIND], op[FIRST], op[SECOND], op[STRIDE], op[COUNT]
    if kind == MANY:
        local = places[s : s + t]
        for k in range(op[OUTER]):
            a = _base(k, op[FIELDS], op[FIELDS_END], low, width) | op[CONTROLS]
            _many(re, im, a, local, n, d, c)
        return
    for k in range(op[OUTER]):
        a = _base(k, op[FIELDS], op[FIELDS_END], low, width) | op[CONTROLS]
        if kind >= DIAGONAL2:
            _two(kind, re, im, a, s, t, n, d, c)
        else:
            _one(kind, re, im, a, a + s, n, d, c)


# --- Generators -----------------------------------------------------------------------------------


@summed
def _products(xr: Floats, xi: Floats, yr: Floats, yi: Floats, a: int, b: int, n: int, d: int) -> float:
    """Σ Re(conj(x) y), x at a, a + d, … and y at b, b + d, …"""
    p, q, r, o = 0.0, 0.0, 0.0, 0.0
    quarter = n >> 2  # four sums at a time: one alone would wait for itself
    w = quarter * d
    for i in range(quarter):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        p += xr[j] * yr[k] + xi[j] * yi[k]
        j, k = np.uintp(a + i * d + w), np.uintp(b + i * d + w)
        q += xr[j] * yr[k] + xi[j] * yi[k]
        j, k = np.uintp(a + i * d + 2 * w), np.uintp(b + i * d + 2 * w)
        r += xr[j] * yr[k] + xi[j] * yi[k]
        j, k = np.uintp(a + i * d + 3 * w), np.uintp(b + i * d + 3 * w)
        o += xr[j] * yr[k] + xi[j] * yi[k]
    for i in range(4 * quarter, n):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        p += xr[j] * yr[k] + xi[j] * yi[k]
    return (p + q) + (r + o)


@summed
def _crossed(xr: Floats, xi: Floats, yr: Floats, yi: Floats, a: int, b: int, n: int, d: int) -> float:
    """Σ Im(conj(x) y)."""
    p, q, r, o = 0.0, 0.0, 0.0, 0.0
    quarter = n >> 2  # four sums at a time: one alone would wait for itself
    w = quarter * d
    for i in range(quarter):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        p += xr[j] * yi[k] - xi[j] * yr[k]
        j, k = np.uintp(a + i * d + w), np.uintp(b + i * d + w)
        q += xr[j] * yi[k] - xi[j] * yr[k]
        j, k = np.uintp(a + i * d + 2 * w), np.uintp(b + i * d + 2 * w)
        r += xr[j] * yi[k] - xi[j] * yr[k]
        j, k = np.uintp(a + i * d + 3 * w), np.uintp(b + i * d + 3 * w)
        o += xr[j] * yi[k] - xi[j] * yr[k]
    for i in range(4 * quarter, n):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        p += xr[j] * yi[k] - xi[j] * yr[k]
    return (p + q) + (r + o)


@inner
def _overlap_of_many(
    x: Floats, y: Floats, op: Ints, low: Ints, width: Ints, places: Ints, g: Complexes
) -> float:
    """Return Im <x|K|y>, K by rows, on any targets."""
    xr, xi, yr, yi = x[0], x[1], y[0], y[1]
    local, size = places[op[FIRST] : op[FIRST] + op[SECOND]], op[SECOND]
    result = 0.0
    for k in range(op[OUTER]):
        base = _base(k, op[FIELDS], op[FIELDS_END], low, width) | op[CONTROLS]
        for s in range(size):
            for t in range(size):
                entry = g[s * size + t]
                a, b = base + local[s], base + local[t]
                if entry.real != 0.0:
                    result += entry.real * _crossed(xr, xi, yr, yi, a, b, op[COUNT], op[STRIDE])
                if entry.imag != 0.0:
                    result += entry.imag * _products(xr, xi, yr, yi, a, b, op[COUNT], op[STRIDE])
    return result


@inner
def _overlap(
    x: Floats,
    y: Floats,
    op: Ints,
    low: Ints,
    width: Ints,
    places: Ints,
    c: Complexes,
    rows: Ints,
    columns: Ints,
    values: Complexes,
) -> float:
    """Return Im <x|G|y>, G with values[j] in row rows[j] and column columns[j], or behind the matrix in c."""
    if op[KIND] == MANY:
        size = op[SECOND] * op[SECOND]
        return _overlap_of_many(x, y, op, low, width, places, c[size : 2 * size])
    xr, xi, yr, yi = x[0], x[1], y[0], y[1]
    d, n = op[STRIDE], op[COUNT]
    result = 0.0
    for k in range(op[OUTER]):
        base = _base(k, op[FIELDS], op[FIELDS_END], low, width) | op[CONTROLS]
        for j in range(rows.size):
            a = base + (rows[j] & 1) * op[FIRST] + (rows[j] >> 1) * op[SECOND]
            b = base + (columns[j] & 1) * op[FIRST] + (columns[j] >> 1) * op[SECOND]
            g = values[j]
            if g.real != 0.0:
                result += g.real * _crossed(xr, xi, yr, yi, a, b, n, d)
            if g.imag != 0.0:
                result += g.imag * _products(xr, xi, yr, yi, a, b, n, d)
    return result


@inner
def _add_scaled(
    xr: Floats, xi: Floats, yr: Floats, yi: Floats, a: int, b: int, n: int, d: int, c: complex
) -> None:
    """y += c x, x at a, a + d, … and y at b, b + d, …"""
    cr, ci = c.real, c.imag
    for i in range(n):
        j, k = np.uintp(a + i * d), np.uintp(b + i * d)
        p, q = xr[j], xi[j]
        yr[k] += cr * p - ci * q
        yi[k] += cr * q + ci * p


@inner
def _add_generator(
    x: Floats,
    y: Floats,
    c: complex,
    op: Ints,
    low: Ints,
    width: Ints,
    places: Ints,
    table: Complexes,
    rows: Ints,
    columns: Ints,
    values: Complexes,
) -> None:
    """y += c G x."""
    xr, xi, yr, yi = x[0], x[1], y[0], y[1]
    if op[KIND] == MANY:
        size = op[SECOND]
        for k in range(op[OUTER]):
            base = _base(k, op[FIELDS], op[FIELDS_END], low, width) | op[CONTROLS]
            for s in range(size):
                for t in range(size):
                    entry = table[(size + s) * size + t]
                    if entry != 0.0:
                        a, b = base + places[op[FIRST] + t], base + places[op[FIRST] + s]
                        _add_scaled(xr, xi, yr, yi, a, b, op[COUNT], op[STRIDE], c * entry)
        return
    for k in range(op[OUTER]):
        base = _base(k, op[FIELDS], op[FIELDS_END], low, width) | op[CONTROLS]
        for j in range(rows.size):
            a = base + (columns[j] & 1) * op[FIRST] + (columns[j] >> 1) * op[SECOND]
            b = base + (rows[j] & 1) * op[FIRST] + (rows[j] >> 1) * op[SECOND]
            _add_scaled(xr, xi, yr, yi, a, b, op[COUNT], op[STRIDE], c * values[j])


# --- Whole plans ----------------------------------------------------------------------------------


@entry
def forward(
    psi: Floats,
    tangents: Floats,
    ops: Ints,
    low: Ints,
    width: Ints,
    places: Ints,
    numbers: Ints,
    coefficients: Complexes,
    slopes: Floats,
    starts: Ints,
    rows: Ints,
    columns: Ints,
    values: Complexes,
) -> None:
    """Run a plan on states, and on their derivatives along some directions.

    Args:
        psi: (P, 2, D), changed in place; tangents: (P, T, 2, D), T may be 0.
        ops, low, width, places: the plan. numbers: (M,) the entry of each gate in the tables that follow.
        coefficients: (P, N, E) matrices by rows. slopes: (P, T, N) derivative of each angle.
        starts, rows, columns, values: entries of the generator of gate m from starts[m] to starts[m+1].
    """
    for p in range(psi.shape[0]):
        for m in range(ops.shape[0]):
            op, number = ops[m], numbers[m]
            c = coefficients[p, number]
            _apply(psi[p], op, low, width, places, c)
            for t in range(tangents.shape[1]):
                _apply(tangents[p, t], op, low, width, places, c)
                slope = slopes[p, t, number]
                if slope != 0.0:
                    a, b = starts[m], starts[m + 1]
                    _add_generator(
                        psi[p],
                        tangents[p, t],
                        complex(0.0, -0.5 * slope),
                        op,
                        low,
                        width,
                        places,
                        c,
                        rows[a:b],
                        columns[a:b],
                        values[a:b],
                    )


@entry
def backward(
    psi: Floats,
    tangents: Floats,
    pulled: Floats,
    pulled_tangents: Floats,
    ops: Ints,
    low: Ints,
    width: Ints,
    places: Ints,
    numbers: Ints,
    adjoints: Complexes,
    slopes: Floats,
    starts: Ints,
    rows: Ints,
    columns: Ints,
    values: Complexes,
    wanted: NDArray[np.bool_],
    gradients: Floats,
    gradient_tangents: Floats,
) -> None:
    """Undo a plan and collect Im <λ|G|ψ> of its gates, with the derivatives along directions.

    Args:
        psi, tangents: as `forward` left them. pulled: λ = Aψ, (P, K, 2, D).
        pulled_tangents: derivatives of λ, (P, K, T, 2, D). adjoints: matrices of the inverse gates.
        wanted: (N,) whether a derivative by the angle is asked for.
        gradients: (P, K, N); gradient_tangents: (P, K, T, N): added to.
    """
    for p in range(psi.shape[0]):
        for m in range(ops.shape[0] - 1, -1, -1):
            op, number = ops[m], numbers[m]
            c = adjoints[p, number]
            a, b = starts[m], starts[m + 1]
            g_rows, g_columns, g_values = rows[a:b], columns[a:b], values[a:b]
            for k in range(pulled.shape[1]):
                if wanted[number]:
                    gradients[p, k, number] += _overlap(
                        pulled[p, k], psi[p], op, low, width, places, c, g_rows, g_columns, g_values
                    )
                    for t in range(tangents.shape[1]):
                        gradient_tangents[p, k, t, number] += _overlap(
                            pulled_tangents[p, k, t],
                            psi[p],
                            op,
                            low,
                            width,
                            places,
                            c,
                            g_rows,
                            g_columns,
                            g_values,
                        ) + _overlap(
                            pulled[p, k],
                            tangents[p, t],
                            op,
                            low,
                            width,
                            places,
                            c,
                            g_rows,
                            g_columns,
                            g_values,
                        )
                        if op[KIND] == MANY:
                            size = op[SECOND] * op[SECOND]
                            gradient_tangents[p, k, t, number] += slopes[p, t, number] * _overlap_of_many(
                                pulled[p, k], psi[p], op, low, width, places, c[2 * size : 3 * size]
                            )
                for t in range(tangents.shape[1]):
                    back = complex(0.0, 0.5 * slopes[p, t, number])
                    if back != 0.0:
                        _add_generator(
                            pulled[p, k],
                            pulled_tangents[p, k, t],
                            back,
                            op,
                            low,
                            width,
                            places,
                            c,
                            g_rows,
                            g_columns,
                            g_values,
                        )
                    _apply(pulled_tangents[p, k, t], op, low, width, places, c)
                _apply(pulled[p, k], op, low, width, places, c)
            for t in range(tangents.shape[1]):
                back = complex(0.0, 0.5 * slopes[p, t, number])
                if back != 0.0:
                    _add_generator(
                        psi[p], tangents[p, t], back, op, low, width, places, c, g_rows, g_columns, g_values
                    )
                _apply(tangents[p, t], op, low, width, places, c)
            _apply(psi[p], op, low, width, places, c)


# --- Observables and inner products -----------------------------------------------------------------


@inner
def _odd(bits: int) -> bool:
    """Whether an odd number of the low 32 bits is set."""
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    bits ^= bits >> 2
    bits ^= bits >> 1
    return (bits & 1) == 1


@entry
def add_operators(
    x: Floats, y: Floats, flips: Ints, signs: Ints, kept: Ints, ones: Ints, coefficients: Complexes
) -> None:
    """y += Σ_j c_j L_j x for states (2, D) and products L_j of one-qubit operators.

    (L x)_i = ± x_(i ^ flips), the sign - where an odd number of bits of i & signs is 1; 0 unless the
    bits of i in `kept` are those of `ones`.
    """
    for j in range(flips.size):
        flip, sign, keep, one = flips[j], signs[j], kept[j], ones[j]
        cr, ci = coefficients[j].real, coefficients[j].imag
        for i in range(x.shape[1]):
            if (i & keep) == one:
                source = i ^ flip
                a, b = x[0, source], x[1, source]
                if _odd(i & sign):
                    a, b = -a, -b
                y[0, i] += cr * a - ci * b
                y[1, i] += cr * b + ci * a


@entry
def dot(x: Floats, y: Floats) -> complex:
    """Return <x|y> of states (2, D)."""
    xr, xi, yr, yi, n = x[0], x[1], y[0], y[1], x.shape[1]
    return complex(_products(xr, xi, yr, yi, 0, 0, n, 1), _crossed(xr, xi, yr, yi, 0, 0, n, 1))


@entry
def add(x: Floats, y: Floats, c: complex) -> None:
    """y += c x for states (2, D)."""
    _add_scaled(x[0], x[1], y[0], y[1], 0, 0, x.shape[1], 1, c)


# --- Measurements -----------------------------------------------------------------------------------


@entry
def weights(x: Floats, qubits: Ints, result: Floats) -> None:
    """result[v] += |P_v x|² for the outcomes v of some qubits, the first its least significant bit."""
    dimension = x.shape[1]
    if qubits.size == 1:  # the most frequent case, in long runs
        stride = 1 << qubits[0]
        for base in range(0, dimension, 2 * stride):
            for v in range(2):
                a = base + v * stride
                result[v] += _products(x[0], x[1], x[0], x[1], a, a, stride, 1)
        return
    for start in range(0, dimension, BLOCK):
        for i in range(start, min(start + BLOCK, dimension)):
            outcome = 0
            for j in range(qubits.size):
                outcome |= ((i >> qubits[j]) & 1) << j
            result[outcome] += x[0, i] ** 2 + x[1, i] ** 2


@entry
def collapse(x: Floats, y: Floats, mask: int, value: int, onto: int, scale: float) -> None:
    """y = scale · |onto><value| x on the qubits of a bit mask, the identity elsewhere."""
    y[:] = 0.0
    for i in range(x.shape[1]):
        if (i & mask) == value:
            target = i ^ value ^ onto
            y[0, target] = scale * x[0, i]
            y[1, target] = scale * x[1, i]


@entry
def add_expanded(x: Floats, y: Floats, mask: int, value: int, onto: int, c: complex) -> None:
    """y += c · |value><onto| x: back through `collapse`."""
    cr, ci = c.real, c.imag
    for i in range(x.shape[1]):
        if (i & mask) == value:
            source = i ^ value ^ onto
            a, b = x[0, source], x[1, source]
            y[0, i] += cr * a - ci * b
            y[1, i] += cr * b + ci * a


@entry
def distance(x: Floats, y: Floats, c: complex) -> float:
    """Return ‖x - c y‖ for states (2, D)."""
    cr, ci = c.real, c.imag
    total = 0.0
    for i in range(x.shape[1]):
        re = x[0, i] - (cr * y[0, i] - ci * y[1, i])
        im = x[1, i] - (cr * y[1, i] + ci * y[0, i])
        total += re * re + im * im
    return float(np.sqrt(total))


@entry
def fingerprint(x: Floats) -> float:
    """Return |<h|x>| for a fixed pseudo-random real h: equal for states that are equal up to a phase."""
    re, im = 0.0, 0.0
    for start in range(0, x.shape[1], BLOCK):
        a, b = 0.0, 0.0
        for i in range(start, min(start + BLOCK, x.shape[1])):
            h = (i + 1) * 0.6180339887498949
            h = (h - np.floor(h)) * 54.28163527486841
            h = h - np.floor(h) - 0.5
            a += h * x[0, i]
            b += h * x[1, i]
        re += a
        im += b
    return float(np.sqrt(re * re + im * im))
