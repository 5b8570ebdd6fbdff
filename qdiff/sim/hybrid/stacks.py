"""Stacks of matrices: several vertices, moments or observables side by side, and sums over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid.coordinates import Reals, Stack
from qdiff.sim.hybrid.fields import Field

Array = TypeVar("Array", bound=NDArray[Any])


@overload
def added(one: Array | None, other: Array) -> Array: ...
@overload
def added(one: Array | None, other: Array | None) -> Array | None: ...
def added(one: Array | None, other: Array | None) -> Array | None:
    """The sum of two stacks; None is zero."""
    if one is None or other is None:
        return other if one is None else one
    total: Array = one + other
    return total


def side_by_side(field: Field, vertices: Sequence[int] | NDArray[np.int64]) -> Reals:
    """Vertices (…, m) as columns, (P, …, m·C, D²)."""
    found = np.moveaxis(field.array[vertices], -3, 0)  # (P, …, m, C, D²)
    return found.reshape(*found.shape[:-3], -1, found.shape[-1])


def split(a: Array, columns: int, axis: int = -3) -> Array:
    """k·J things along an axis, counted from the end, as (k, J): (…, k·J, D, D) as (…, k, J, D, D)."""
    return a.reshape(*a.shape[:axis], columns, -1, *a.shape[axis + 1 :])  # type: ignore[return-value]


def product_sum(x: Stack, a: Stack) -> Stack:
    """Σ_j X_j A_j as one product, for (..., J, D, D) and (..., k, J, D, D): (..., k, D, D)."""
    j, d = x.shape[-3:-1]
    side_by_side = x.swapaxes(-3, -2).reshape(*x.shape[:-3], 1, d, j * d)
    stacked = a.reshape(*a.shape[:-3], j * d, d)
    return np.asarray(side_by_side @ stacked)
