"""Observables for arrays: terms in few neighbouring qubits as small matrices, the others by what they flip.

    O x = Σ_windows M_w x  +  Σ_flips f ⊙ (x permuted by the flip),

M_w a matrix on neighbouring qubits, and f(i) = Σ_t h_t(high bits of i) l_t(low bits of i): a product of two
small tables. So a term costs a share of a matrix product instead of a pass over the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.pure.operators import Masks

Complexes = NDArray[np.complex128]

WINDOW = 4
"""Qubits of a window at most."""


@dataclass(frozen=True, eq=False)
class Flipped:
    """Terms that flip the same qubits.

    Attributes:
        flip: bit mask. high: (2^(n - low bits), terms), with the coefficients. low: (terms, 2^low bits).
    """

    flip: int
    high: Complexes
    low: Complexes


@dataclass(frozen=True, eq=False)
class Operators:
    """An observable at one store.

    Attributes:
        windows: (targets, matrix) of terms on neighbouring qubits. flipped: the others.
        masks: all terms as they came.
    """

    qubits: int
    windows: tuple[tuple[tuple[int, ...], Complexes], ...]
    flipped: tuple[Flipped, ...]
    masks: Masks


def operators_of(masks: Masks, qubits: int, window: int = WINDOW) -> Operators:
    """Sort the terms of an observable."""
    width = min(window, qubits)
    flips, support = masks.flips, masks.flips | masks.signs | masks.kept
    lowest = [(int(s) & -int(s)).bit_length() - 1 for s in support]
    spans = [int(s).bit_length() - low for s, low in zip(support, lowest, strict=True)]
    whole = qubits <= window
    near = [t for t in range(len(flips)) if whole or (flips[t] and spans[t] <= width)]
    windows: list[tuple[int, list[int]]] = []
    for t in sorted(near, key=lambda t: lowest[t]):
        if not windows or lowest[t] + spans[t] > windows[-1][0] + width:
            windows.append((min(max(lowest[t], 0), qubits - width), []))
        windows[-1][1].append(t)
    rest = sorted(set(range(len(flips))) - set(near))
    return Operators(
        qubits,
        tuple(
            (tuple(range(start, start + width)), _matrix(_shifted(_chosen(masks, terms), start), width))
            for start, terms in windows
        ),
        tuple(
            _flipped(_chosen(masks, [t for t in rest if flips[t] == flip]), int(flip), qubits)
            for flip in sorted({int(flips[t]) for t in rest})
        ),
        masks,
    )


def _chosen(masks: Masks, terms: list[int]) -> Masks:
    arrays = (masks.flips, masks.signs, masks.kept, masks.ones, masks.coefficients)
    return Masks(*(array[terms] for array in arrays))  # type: ignore[arg-type]


def _shifted(masks: Masks, start: int) -> Masks:
    return Masks(
        masks.flips >> start,
        masks.signs >> start,
        masks.kept >> start,
        masks.ones >> start,
        masks.coefficients,
    )


def _matrix(masks: Masks, qubits: int) -> Complexes:
    """The sum of terms as a matrix."""
    index = np.arange(1 << qubits)
    result = np.zeros((len(index), len(index)), dtype=np.complex128)
    for t, column in enumerate(_signs(masks, index, masks.kept, masks.ones, masks.signs).T):
        result[index, index ^ masks.flips[t]] += masks.coefficients[t] * column
    return result


def _flipped(masks: Masks, flip: int, qubits: int) -> Flipped:
    bits = qubits // 2
    below = (1 << bits) - 1
    low = _signs(masks, np.arange(1 << bits), masks.kept & below, masks.ones & below, masks.signs & below)
    high = _signs(
        masks, np.arange(1 << (qubits - bits)), masks.kept >> bits, masks.ones >> bits, masks.signs >> bits
    )
    return Flipped(flip, high * masks.coefficients, np.ascontiguousarray(low.T.astype(np.complex128)))


def _signs(
    masks: Masks,
    index: NDArray[np.int64],
    kept: NDArray[np.int64],
    ones: NDArray[np.int64],
    signs: NDArray[np.int64],
) -> NDArray[np.float64]:
    """(-1)^{|i & signs|} where the bits of i in `kept` are those of `ones`, else 0: (indices, terms)."""
    odd = (index[:, None] & signs).astype(np.uint64)
    odd = reduce(lambda x, shift: x ^ (x >> np.uint64(shift)), (32, 16, 8, 4, 2, 1), odd) & np.uint64(1)
    return np.where((index[:, None] & kept) == ones, 1.0 - 2.0 * odd.astype(float), 0.0)
