"""Passes over pairs of waves: through an op, back or forth; contracted with a state; a generator's share.

A pair of waves is an array (D, 4), see `lanes`; a λ, a state or a derivative may be one of a pair. A state ψ
that is contracted is read through its flat numbers: Re ψ_i is number `stride`·i, Im ψ_i number `stride`·i +
`turn`, so it may be (2, D) or the first of a pair.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qdiff.sim.machine.code import DENSE, LISTED, MATRIX, MONOMIAL, Complexes, Floats, Ints
from qdiff.sim.machine.compiled import inlined, inner, plain
from qdiff.sim.machine.lanes import load, number, plus_product, splat, store, times, times_i
from qdiff.sim.pure.plan import (
    CONTROLS,
    COUNT,
    FIELDS,
    FIELDS_END,
    FIRST,
    GENERAL,
    KIND,
    OUTER,
    SECOND,
    STRIDE,
)


@inlined
def _locals(ops: Ints, op: int, dimension: int) -> int:
    """How many local states an op acts on."""
    kind = ops[op, KIND]
    if kind == LISTED or kind == GENERAL:
        return 2
    return dimension if kind == DENSE else int(ops[op, SECOND])


@inlined
def _offset(ops: Ints, op: int, places: Ints, g: int) -> int:
    """Where local state g stands beside local state 0."""
    kind = ops[op, KIND]
    if kind == LISTED or kind == GENERAL:
        return int(g * ops[op, FIRST])
    return g if kind == DENSE else int(places[np.uintp(ops[op, FIRST] + g)])


@inlined
def _base(ops: Ints, op: int, low: Ints, width: Ints, bases: Ints, k: int) -> int:
    """The first place of the k-th row of places where an op acts."""
    if ops[op, KIND] >= LISTED:
        return int(bases[np.uintp(ops[op, FIELDS] + k)])
    base = k
    for f in range(ops[op, FIELDS], ops[op, FIELDS_END]):
        base = ((base & ~low[f]) << width[f]) | (base & low[f])
    return int(base | ops[op, CONTROLS])


@inner
def _product(m: Complexes, e: int, z: Any) -> Any:
    """m[e] z."""
    return plus_product(times(splat(number(m, 2 * e)), z), splat(number(m, 2 * e + 1)), times_i(z))


@inner
def _add(s: Any, m: Complexes, e: int, z: Any) -> Any:
    """s + m[e] z."""
    return plus_product(plus_product(s, splat(number(m, 2 * e)), z), splat(number(m, 2 * e + 1)), times_i(z))


@inner
def _four(m: Complexes, e: int, x: Any, y: Any, z: Any, w: Any) -> Any:
    """m[e] x + m[e + 1] y + m[e + 2] z + m[e + 3] w."""
    return _add(_add(_add(_product(m, e, x), m, e + 1, y), m, e + 2, z), m, e + 3, w)


@inner
def apply(
    waves: Floats,
    room: Floats,
    ops: Ints,
    op: int,
    low: Ints,
    width: Ints,
    places: Ints,
    bases: Ints,
    m: Complexes,
    back: int,
) -> None:
    """waves ← (op) waves, or (op)† waves if it goes back; the numbers are in `m`.

    `room` is (≥ local states, 4), (D, 4) for a permutation.
    """
    at, size = ops[op, MATRIX], waves.shape[0]
    if ops[op, KIND] == MONOMIAL:
        for i in range(size):
            j = bases[np.uintp(ops[op, FIRST] + i)]
            there, here = (j, i) if back else (i, j)
            store(room, there, _product(m, at + i, load(waves, here)))
        for i in range(size):
            store(waves, i, load(room, i))
        return
    locals_, stride, one = _locals(ops, op, size), ops[op, STRIDE], plain(1)
    first, second, third = _offset(ops, op, places, one), 0, 0
    if locals_ == 4:
        second, third = _offset(ops, op, places, one + 1), _offset(ops, op, places, one + 2)
    for k in range(ops[op, OUTER]):
        base = _base(ops, op, low, width, bases, k)
        for _ in range(ops[op, COUNT]):
            if locals_ == 2:
                x, y = load(waves, base), load(waves, base + first)
                store(waves, base, _add(_product(m, at, x), m, at + 1, y))
                store(waves, base + first, _add(_product(m, at + 2, x), m, at + 3, y))
            elif locals_ == 4:
                x, y = load(waves, base), load(waves, base + first)
                z, w = load(waves, base + second), load(waves, base + third)
                a, b = _four(m, at, x, y, z, w), _four(m, at + 4, x, y, z, w)
                c, d = _four(m, at + 8, x, y, z, w), _four(m, at + 12, x, y, z, w)
                store(waves, base, a)
                store(waves, base + first, b)
                store(waves, base + second, c)
                store(waves, base + third, d)
            else:
                for g in range(locals_):
                    e = at + g * locals_
                    r = _product(m, e, load(waves, base))
                    for t in range(1, locals_):
                        r = _add(r, m, e + t, load(waves, base + _offset(ops, op, places, t)))
                    store(room, g, r)
                for g in range(locals_):
                    store(waves, base + _offset(ops, op, places, g), load(room, g))
            base += stride


@inner
def collect(
    x: Floats,
    stride: int,
    turn: int,
    waves: Floats,
    ops: Ints,
    op: int,
    low: Ints,
    width: Ints,
    places: Ints,
    bases: Ints,
    outer: Floats,
) -> None:
    """Add to Σ |ψ⟩⟨λ| of an op, on its local states, summed over the places where it acts.

    For the entry of ψ_g and λ_t, or of ψ_i and λ_i of a permutation, number e in the table of matrices,
    `outer` has Σ Re ψ z in row 2e and Σ Im ψ z in row 2e + 1; see `traced`.
    """
    at, size = ops[op, MATRIX], waves.shape[0]
    if ops[op, KIND] == MONOMIAL:
        for i in range(size):
            e, z = 2 * (at + i), load(waves, i)
            re, im = splat(number(x, stride * i)), splat(number(x, stride * i + turn))
            store(outer, e, plus_product(load(outer, e), re, z))
            store(outer, e + 1, plus_product(load(outer, e + 1), im, z))
        return
    # Two by two entries at a time: their sums stay in registers.
    locals_, step = _locals(ops, op, size), ops[op, STRIDE]
    half = locals_ >> 1
    for block in range(half * half):
        t, g = block // half * 2, block % half * 2
        e = 2 * (at + t * locals_ + g)
        f = e + 2 * locals_
        t, u = _offset(ops, op, places, t), _offset(ops, op, places, t + 1)
        g, h = stride * _offset(ops, op, places, g), stride * _offset(ops, op, places, g + 1)
        a, b, c, d = load(outer, e), load(outer, e + 1), load(outer, e + 2), load(outer, e + 3)
        p, q, r, s = load(outer, f), load(outer, f + 1), load(outer, f + 2), load(outer, f + 3)
        for k in range(ops[op, OUTER]):
            base = _base(ops, op, low, width, bases, k)
            for _ in range(ops[op, COUNT]):
                i = stride * base
                y, z = load(waves, base + t), load(waves, base + u)
                first_re, first_im = splat(number(x, i + g)), splat(number(x, i + g + turn))
                second_re, second_im = splat(number(x, i + h)), splat(number(x, i + h + turn))
                a, b = plus_product(a, first_re, y), plus_product(b, first_im, y)
                c, d = plus_product(c, second_re, y), plus_product(d, second_im, y)
                p, q = plus_product(p, first_re, z), plus_product(q, first_im, z)
                r, s = plus_product(r, second_re, z), plus_product(s, second_im, z)
                base += step
        store(outer, e, a)
        store(outer, e + 1, b)
        store(outer, e + 2, c)
        store(outer, e + 3, d)
        store(outer, f, p)
        store(outer, f + 1, q)
        store(outer, f + 2, r)
        store(outer, f + 3, s)


@inner
def traced(outer: Floats, e: int, lane: int, k: complex) -> float:
    """Im k M for entry e of M = Σ |ψ⟩⟨λ|, of one wave of a pair."""
    re = outer[2 * e, lane] + outer[2 * e + 1, lane + 2]
    im = outer[2 * e + 1, lane] - outer[2 * e, lane + 2]
    return float(k.real * im + k.imag * re)


@inner
def generate(
    wave: Floats,
    lane: int,
    x: Floats,
    ops: Ints,
    op: int,
    low: Ints,
    width: Ints,
    places: Ints,
    bases: Ints,
    generators: Complexes,
    at: int,
) -> None:
    """A wave of a pair += -(i/2) K ψ for a generator K of an op, whose numbers begin at `at`; ψ is the first
    wave of the pair `x`."""
    if ops[op, KIND] == MONOMIAL:
        for i in range(wave.shape[0]):
            half = 0.5 * generators[at + i].real
            wave[i, lane] += half * x[i, 2]
            wave[i, lane + 2] -= half * x[i, 0]
        return
    locals_ = _locals(ops, op, wave.shape[0])
    for k in range(ops[op, OUTER]):
        base = _base(ops, op, low, width, bases, k)
        for _ in range(ops[op, COUNT]):
            for t in range(locals_):
                total = 0j
                for g in range(locals_):
                    i = base + _offset(ops, op, places, g)
                    total += generators[at + t * locals_ + g] * complex(x[i, 0], x[i, 2])
                i = base + _offset(ops, op, places, t)
                wave[i, lane] += 0.5 * total.imag
                wave[i, lane + 2] -= 0.5 * total.real
            base += ops[op, STRIDE]
