"""Compiled loops of `grouped_terms`: products of one-qubit operators, on one block of amplitudes at a time.

A block is 2ᵇ amplitudes with the same high bits h; it fits in the first-level cache with what is computed on
it. The terms of an operator come in groups with equal flips f, and

    (Oψ)_i = Σ_f g_f(i) ψ_{i ^ f}.

On a block g_f is a sum of terms c_j (-1)^{|i & s_j|}; the high bits of s_j only give c_j a sign there. If the
low bits of all s_j are the same, the sum has one factor and one pattern of signs, and no table is written.
The patterns of up to FEW terms are written into a table one after the other; those of more come from one
Walsh-Hadamard transform of the c_j, each at the place s_j.

Numbers are summed in double precision whatever a state is made of, in blocks, so that they do not depend on
the number of threads that share the blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from qdiff.sim.machine.compiled import entry, inner
from qdiff.sim.static.term_vectors import add_products, add_signed

Reals = NDArray[Any]  # float64 or float32
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
F = TypeVar("F", bound=Callable[..., Any])

_BARE: Any = {"_nrt": False, "no_cfunc_wrapper": True, "no_cpython_wrapper": True}  # as `compiled.inner`

FEW = 3  # terms that are written down one after the other
ROOM = 4  # blocks of float64 that a thread needs

FLIP, IMAGINARY, ALIKE, TOP, FIRST, MIDDLE, LAST = range(7)
"""Columns of the table of groups.

FLIP       the bits f that all terms of the group flip
IMAGINARY  1 where the coefficients are imaginary, i times those of the table
ALIKE      1 where all terms have the same low signs, and none has kept low bits
TOP        the highest bit of f above those of a block, as a bit of h; 0 where f stays in its block
FIRST      the first term of the group
MIDDLE     the first of its terms with kept low bits, P0 or P1; LAST where there are none
LAST       behind its last term
"""


def summed(function: F) -> F:
    """An inner function whose sums may be taken in any order."""
    fastmath = {"reassoc", "contract", "nsz"}
    return cast(F, numba.njit(error_model="numpy", fastmath=fastmath, **_BARE)(function))


@entry
def apply_blocks(
    x: Reals,
    out: Reals,
    written: bool,
    bits: int,
    first: int,
    last: int,
    groups: Ints,
    signs: Ints,
    kept: Ints,
    ones: Ints,
    coefficients: Floats,
    room: Floats,
    parts: Floats,
) -> None:
    """Find Oψ on the blocks from `first` to `last`, and Re <ψ|Oψ> of each.

    Args:
        x: ψ, (2, D). out: Oψ, (2, D), is overwritten where `written`; else any array of the kind of x.
        bits: b, at least 3.
        groups: (G, 7), its columns as named above.
        signs, kept, ones, coefficients: of the terms; those of a group with kept low bits from MIDDLE on.
        room: (ROOM, 2ᵇ). parts: (blocks,) takes Re <ψ|Oψ>. Without `written`, O is taken as Hermitian: of
            two blocks that a group joins one is looked at.
    """
    size = 1 << bits
    re, im, table, scratch = room[0], room[1], room[2], room[3]
    for h in range(first, last):
        start = h << bits
        re[:] = 0.0
        im[:] = 0.0
        for number in range(groups.shape[0]):
            group = groups[number]
            weight = 1.0
            if not written and group[TOP] != 0:
                if (h & group[TOP]) != 0:
                    continue
                weight = 2.0
            source = (h ^ (group[FLIP] >> bits)) << bits
            flip = group[FLIP] & (size - 1)
            xr, xi, to_re, to_im = x[0], x[1], weight, weight
            if group[IMAGINARY] != 0:
                xr, xi, to_re = xi, xr, -weight
            if group[ALIKE] != 0:
                value = _common(h, bits, group, signs, kept, ones, coefficients)
                sign = signs[group[FIRST]] & (size - 1)
                if value != 0.0:
                    add_signed(re, im, xr, xi, size, source, flip, to_re * value, to_im * value, sign)
            elif _tabulate(table, scratch, h, bits, group, signs, kept, ones, coefficients):
                add_products(re, im, table, xr, xi, size, source, flip, to_re, to_im)
        parts[h] = _dot(x[0], re, start) + _dot(x[1], im, start)
        if written:
            for part in range(2):
                for i in range(size):
                    out[part, np.uintp(start + i)] = room[part, np.uintp(i)]


@summed
def _dot(x: Reals, y: Floats, start: int) -> float:
    total = 0.0
    for i in range(y.size):
        total += x[np.uintp(start + i)] * y[np.uintp(i)]
    return total


# --- Coefficients ---------------------------------------------------------------------------------


@inner
def _sign(bits: int) -> float:
    """-1 where an odd number of the low 32 bits is set, else 1."""
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    bits ^= bits >> 2
    bits ^= bits >> 1
    return 1.0 - 2.0 * (bits & 1)


@inner
def _common(h: int, bits: int, group: Ints, signs: Ints, kept: Ints, ones: Ints, c: Floats) -> float:
    """The factor of the signs of a block, where all terms of a group have the same there."""
    total = 0.0
    for j in range(group[FIRST], group[MIDDLE]):
        if (h & (kept[j] >> bits)) == ones[j] >> bits:
            total += c[j] * _sign(h & (signs[j] >> bits))
    return total


@inner
def _tabulate(
    table: Floats,
    scratch: Floats,
    h: int,
    bits: int,
    group: Ints,
    signs: Ints,
    kept: Ints,
    ones: Ints,
    c: Floats,
) -> bool:
    """table_j = g'(j) on a block; False where it is zero."""
    some = False
    low = table.size - 1
    if group[MIDDLE] - group[FIRST] <= FEW:
        for j in range(group[FIRST], group[MIDDLE]):
            if (h & (kept[j] >> bits)) == ones[j] >> bits:
                value = c[j] * _sign(h & (signs[j] >> bits))
                if some:
                    _double(scratch, signs[j] & low, value)
                    for i in range(table.size):
                        table[np.uintp(i)] += scratch[np.uintp(i)]
                else:
                    _double(table, signs[j] & low, value)
                    some = True
    else:
        table[:] = 0.0
        for j in range(group[FIRST], group[MIDDLE]):
            if (h & (kept[j] >> bits)) == ones[j] >> bits:
                table[np.uintp(signs[j] & low)] += c[j] * _sign(h & (signs[j] >> bits))
        _transform(table)
        some = True
    for j in range(group[MIDDLE], group[LAST]):
        if (h & (kept[j] >> bits)) == ones[j] >> bits:
            if not some:
                table[:] = 0.0
                some = True
            value = c[j] * _sign(h & (signs[j] >> bits))
            free, one, sign = low & ~kept[j], low & ones[j], low & signs[j]
            i = 0
            while True:  # over the subsets of the free bits
                table[np.uintp(i | one)] += value * _sign((i | one) & sign)
                i = (i - free) & free
                if i == 0:
                    break
    return some


@inner
def _double(table: Floats, signs: int, value: float) -> None:
    """table_j = value (-1)^{|j & signs|}."""
    table[0] = value
    half = 1
    while half < table.size:
        c = -1.0 if (signs & half) != 0 else 1.0
        for i in range(half):
            table[np.uintp(half + i)] = c * table[np.uintp(i)]
        half *= 2


@inner
def _transform(table: Floats) -> None:
    """table_j = Σ_s (-1)^{|j & s|} table_s: the Walsh-Hadamard transform, in place."""
    for k in range(0, table.size, 8):
        o = np.uintp(k)
        a, b, c, d = table[o], table[o + np.uintp(1)], table[o + np.uintp(2)], table[o + np.uintp(3)]
        e, f, g, h = (
            table[o + np.uintp(4)],
            table[o + np.uintp(5)],
            table[o + np.uintp(6)],
            table[o + np.uintp(7)],
        )
        a, b, c, d, e, f, g, h = a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h
        a, c, b, d, e, g, f, h = a + c, a - c, b + d, b - d, e + g, e - g, f + h, f - h
        table[o], table[o + np.uintp(4)] = a + e, a - e
        table[o + np.uintp(1)], table[o + np.uintp(5)] = b + f, b - f
        table[o + np.uintp(2)], table[o + np.uintp(6)] = c + g, c - g
        table[o + np.uintp(3)], table[o + np.uintp(7)] = d + h, d - h
    half = 8
    while half < table.size:
        for base in range(0, table.size, 2 * half):
            for i in range(base, base + half):
                a, b = table[np.uintp(i)], table[np.uintp(i + half)]
                table[np.uintp(i)] = a + b
                table[np.uintp(i + half)] = a - b
        half *= 2
