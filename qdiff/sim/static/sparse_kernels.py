"""Compiled loops of `sparse_terms`: a sparse matrix on some qubits of a register, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.machine.compiled import entry, inner

Reals = NDArray[Any]  # float64 or float32
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Indices = NDArray[Any]  # int32, int64 in large registers

CHUNK = 1 << 12  # results that are summed one after the other


@entry
def apply_rows(
    x: Reals,
    out: Reals,
    written: bool,
    first: int,
    last: int,
    bits: int,
    places: Ints,
    starts: Ints,
    rows: Indices,
    columns: Indices,
    re: Floats,
    im: Floats,
    parts: Floats,
) -> None:
    """Find Mψ on the chunks from `first` to `last`, and Re <ψ|Mψ> of each.

    Args:
        x: ψ, (2, D). out: Mψ, (2, D), is overwritten where `written`; else any array of the kind of x.
        bits: k, of a matrix with 2ᵏ rows. places: (k,) the index bits it acts on, ascending.
        starts: (2ᵏ + 1,) where rows start among the entries. rows: (2ᵏ,), columns: (entries,): their bits
            at their places. re, im: (entries,), im empty where all are real.
        parts: (chunks,) takes Re <ψ|Mψ>.
    """
    real = im.size == 0
    for chunk in range(first, last):
        total = 0.0
        for number in range(chunk * CHUNK, min((chunk + 1) * CHUNK, x.shape[1])):
            row = number & ((1 << bits) - 1)
            base = _spread(number >> bits, places)
            a, b = 0.0, 0.0
            for j in range(starts[row], starts[row + 1]):
                i = np.uintp(base | columns[j])
                if real:
                    a += re[j] * x[0, i]
                    b += re[j] * x[1, i]
                else:
                    a += re[j] * x[0, i] - im[j] * x[1, i]
                    b += re[j] * x[1, i] + im[j] * x[0, i]
            i = np.uintp(base | rows[row])
            total += x[0, i] * a + x[1, i] * b
            if written:
                out[0, i] = a
                out[1, i] = b
        parts[chunk] = total


@inner
def _spread(k: int, places: Ints) -> int:
    """Put zeros into the bits of k at some places, ascending."""
    if k == 0:
        return 0
    for place in places:
        low = k & ((1 << place) - 1)
        k = ((k - low) << 1) | low
    return k
