"""Matrices of groups from those of their gates, and derivatives by angles from transition matrices of groups.

With V_m the gates of a dense group behind gate m and T = Tr_rest |ψ><λ| behind the group,

    Im <λ_m|G_m|ψ_m> = Im tr(G_m V_m† T V_m),

so T, found once from the large states, gives the derivatives of all gates of the group; those of gates on one
qubit of a product follow from the Hermitian A = (T_q - T_q†)/2i, A_m = U_m A_{m-1} U_m†, as tr(G_m A_m).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.machine.compiled import entry, inner, plain
from qdiff.sim.static.group_sizes import GROUP_QUBITS, LOCAL
from qdiff.sim.static.group_vectors import PRODUCT_NUMBERS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

INSTANCE, TARGETS, T0, T1, T2, CONTROLS, GENERATOR, END = range(8)
MEMBER_WIDTH = 8
"""Columns of the table of members, see `group_tables`."""
PLAIN, ADJOINT, TRANSPOSED = (plain(how) for how in range(3))


@inner
def _entry(c: Complexes, size: int, s: int, t: int, how: int) -> complex:
    """An entry of a matrix, or of its adjoint or transpose."""
    if how == PLAIN:
        return complex(c[s * size + t])
    if how == ADJOINT:
        return complex(np.conj(c[t * size + s]))
    return complex(c[t * size + s])


@inner
def _spread(member: Ints, s: int) -> int:
    """The local state whose targets are the bits of s, all else 0."""
    place = 0
    for i in range(member[TARGETS]):
        place |= ((s >> i) & 1) << member[T0 + i]
    return place


@inner
def _rows(x: Floats, member: Ints, c: Complexes, how: int, scratch: Floats) -> None:
    """A gate on the rows of a matrix, x (2, LOCAL, LOCAL)."""
    size = 1 << member[TARGETS]
    targets, controls = _spread(member, size - 1), member[CONTROLS]
    for base in range(LOCAL):
        if base & targets or base & controls != controls:
            continue
        for s in range(size):
            row = base | _spread(member, s)
            for k in range(LOCAL):
                scratch[0, s, k], scratch[1, s, k] = x[0, row, k], x[1, row, k]
        for s in range(size):
            row = base | _spread(member, s)
            for k in range(LOCAL):
                x[0, row, k], x[1, row, k] = 0.0, 0.0
            for t in range(size):
                entry = _entry(c, size, s, t, how)
                p, q = entry.real, entry.imag
                if p != 0.0 or q != 0.0:
                    for k in range(LOCAL):
                        x[0, row, k] += p * scratch[0, t, k] - q * scratch[1, t, k]
                        x[1, row, k] += p * scratch[1, t, k] + q * scratch[0, t, k]


@inner
def _one(x: Floats) -> None:
    """The identity."""
    for i in range(LOCAL):
        for k in range(LOCAL):
            x[0, i, k], x[1, i, k] = 1.0 if i == k else 0.0, 0.0


@entry
def rotations(places: Ints, sizes: Ints, generators: Complexes, angles: Floats, c: Complexes) -> None:
    """Write cos(a/2) - i sin(a/2) G, by rows, for the instances at some places of the table c (N, E)."""
    for j in range(places.size):
        i, size = places[j], sizes[j]
        cosine, sine = np.cos(0.5 * angles[i]), np.sin(0.5 * angles[i])
        for k in range(size * size):
            g = generators[j, k]
            c[i, k] = complex(sine * g.imag, -sine * g.real)
        for k in range(size):
            c[i, k * size + k] += cosine


@entry
def bind(
    members: Ints,
    dense: Ints,
    factors: Ints,
    phases: Complexes,
    diagonals: Ints,
    diagonal_starts: Ints,
    c: Complexes,
    matrices: Any,
    inverses: Any,
    products: Any,
    back: Any,
    scratch: Floats,
) -> None:
    """Write the numbers of all groups and of their inverses.

    Args:
        members, dense, factors, phases, diagonals: see `group_tables`. c: (N, E) coefficients of instances.
        matrices, inverses: (G, NUMBERS). products, back: (G', PRODUCT_NUMBERS).
        scratch: (3, 2, LOCAL, LOCAL).
    """
    x, spare = scratch[0], scratch[1]
    for g in range(dense.size - 1):
        _one(x)
        for m in range(dense[g], dense[g + 1]):
            _rows(x, members[m], c[members[m, INSTANCE]], PLAIN, spare)
        for s in range(LOCAL):
            for t in range(LOCAL):
                p, q, place = x[0, s, t], x[1, s, t], 2 * (s * LOCAL + t)
                matrices[g, place], matrices[g, place + 1] = p, q
                place = 2 * (t * LOCAL + s)
                inverses[g, place], inverses[g, place + 1] = p, -q
    for g in range(phases.shape[0]):
        for i in range(GROUP_QUBITS):
            a00, a01, a10, a11 = complex(1.0), complex(0.0), complex(0.0), complex(1.0)
            for m in range(factors[3 * g + i], factors[3 * g + i + 1]):
                u = c[members[m, INSTANCE]]
                a00, a10 = u[0] * a00 + u[1] * a10, u[2] * a00 + u[3] * a10
                a01, a11 = u[0] * a01 + u[1] * a11, u[2] * a01 + u[3] * a11
            for k in range(4):
                a = a00 if k == 0 else a01 if k == 1 else a10 if k == 2 else a11
                place = 8 * i + 2 * k
                products[g, place], products[g, place + 1] = a.real, a.imag
                place = 8 * i + 2 * (k if k == 0 or k == 3 else 3 - k)
                back[g, place], back[g, place + 1] = a.real, -a.imag
        for s in range(LOCAL):
            place = PRODUCT_NUMBERS - 2 * LOCAL + 2 * s
            phase = phases[g, s]
            for j in range(diagonal_starts[g], diagonal_starts[g + 1]):
                if diagonals[j, 2 + s] >= 0:
                    phase *= c[diagonals[j, 0], diagonals[j, 2 + s] * (diagonals[j, 1] + 1)]
            p, q = phase.real, phase.imag
            products[g, place], products[g, place + 1] = p, q
            back[g, place], back[g, place + 1] = p, -q


@inner
def _slope(
    member: Ints, y: Floats, v: Floats, c: Complexes, rows: Ints, columns: Ints, values: Complexes
) -> float:
    """Im tr(G Y V), v the transpose of V."""
    size = 1 << member[TARGETS]
    targets, controls = _spread(member, size - 1), member[CONTROLS]
    many = member[GENERATOR] < 0
    first, last = (0, size * size) if many else (member[GENERATOR], member[END])
    total = 0.0
    for e in range(first, last):
        if many:
            g, row, column = c[size * size + e], e // size, e % size
        else:
            g, row, column = values[e], rows[e], columns[e]
        if g == 0.0:
            continue
        row, column = _spread(member, row), _spread(member, column)
        for base in range(LOCAL):
            if base & targets or base & controls != controls:
                continue
            a, b = base | row, base | column
            re, im = 0.0, 0.0
            for k in range(LOCAL):
                re += y[0, b, k] * v[0, a, k] - y[1, b, k] * v[1, a, k]
                im += y[0, b, k] * v[1, a, k] + y[1, b, k] * v[0, a, k]
            total += g.real * im + g.imag * re
    return total


@entry
def collect(
    members: Ints,
    dense: Ints,
    factors: Ints,
    rows: Ints,
    columns: Ints,
    values: Complexes,
    diagonals: Ints,
    diagonal_starts: Ints,
    eigenvalues: Floats,
    c: Complexes,
    wanted: NDArray[np.bool_],
    transitions: Floats,
    differences: Floats,
    local_overlaps: Floats,
    gradients: Floats,
    scratch: Floats,
) -> None:
    """Add Im <λ|G|ψ> of every gate to that of its instance.

    Args:
        members … c: as of `bind`; rows, columns, values: entries of generators. wanted: (N,).
        transitions, differences, local_overlaps: see `group_kernels.Found`.
        gradients: (K, N). scratch: (3, 2, LOCAL, LOCAL).
    """
    y, v, spare = scratch[0], scratch[1], scratch[2]
    for g in range(dense.size - 1):
        first = -1  # the first gate whose derivative is asked for
        for m in range(dense[g + 1] - 1, dense[g] - 1, -1):
            if wanted[members[m, INSTANCE]]:
                first = m
        if first < 0:
            continue
        for k in range(gradients.shape[0]):
            for s in range(LOCAL):
                for t in range(LOCAL):
                    place = 2 * (s * LOCAL + t)
                    y[0, s, t], y[1, s, t] = transitions[g, k, place], transitions[g, k, place + 1]
            _one(v)
            for m in range(dense[g + 1] - 1, first - 1, -1):
                member, number = members[m], members[m, INSTANCE]
                u = c[number]
                if wanted[number]:
                    gradients[k, number] += _slope(member, y, v, u, rows, columns, values)
                if m > first:
                    _rows(y, member, u, ADJOINT, spare)
                    _rows(v, member, u, TRANSPOSED, spare)
    for g in range(differences.shape[0]):
        for j in range(diagonal_starts[g], diagonal_starts[g + 1]):
            for k in range(gradients.shape[0]):
                for s in range(LOCAL):
                    gradients[k, diagonals[j, 0]] += eigenvalues[j, s] * local_overlaps[g, k, s]
        for i in range(GROUP_QUBITS):
            for k in range(gradients.shape[0]):
                found = differences[g, k, i]
                z, u_re, u_im = found[0], found[1], found[2]
                # A = ((z/2, u/2i), (conj(u/2i), -z/2)): Hermitian, without a trace.
                a, b = 0.5 * z, complex(0.5 * u_im, -0.5 * u_re)
                for m in range(factors[3 * g + i], factors[3 * g + i + 1]):
                    number = members[m, INSTANCE]
                    u = c[number]
                    p, q, r, s = u[0], u[1], u[2], u[3]
                    # U A U†: its first row
                    x, w = p * a + q * np.conj(b), p * b - q * a
                    a, b = (x * np.conj(p) + w * np.conj(q)).real, x * np.conj(r) + w * np.conj(s)
                    if wanted[number]:
                        gradients[k, number] += _along(members[m], a, b, u, rows, columns, values)


@inner
def _along(
    member: Ints, a: float, b: complex, c: Complexes, rows: Ints, columns: Ints, values: Complexes
) -> float:
    """tr(G A), A = ((a, b), (conj b, -a))."""
    total = 0.0
    many = member[GENERATOR] < 0
    first, last = (0, 4) if many else (member[GENERATOR], member[END])
    for e in range(first, last):
        if many:
            g, row, column = c[4 + e], e // 2, e % 2
        else:
            g, row, column = values[e], rows[e], columns[e]
        if row == column:
            total += g.real * (a if row == 0 else -a)
        elif row == 0:
            total += (g * np.conj(b)).real
        else:
            total += (g * b).real
    return total
