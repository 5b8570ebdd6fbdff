"""The sweep is compiled apart from the loop that runs shots, which calls it by its address.

It is like a `compiled.Part`, for tables whose types are found from the first plan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
from numba import types
from numba.extending import intrinsic

from qdiff.sim.machine.compiled import address_in, by_address

_NUMBERS = (types.int64, types.int64, types.float64, types.int64, types.int64, types.int64, types.int64)
"""What the sweep is told besides tables."""


def address_of(function: Callable[..., None], *tables: object) -> int:
    """The address of the sweep for tables like these; it is compiled, or loaded from disk."""
    return address_in(function, (*map(numba.typeof, tables), *_NUMBERS))


def _call_sweep(
    typing_context: Any,
    address: Any,
    code: Any,
    bound: Any,
    tree: Any,
    sites: Any,
    slopes: Any,
    trail: Any,
    last: Any,
    node: Any,
    logged: Any,
    shots: Any,
    score: Any,
    rests: Any,
    begins: Any,
    ends: Any,
) -> Any:
    """Call `adjoint_sweep.sweep` at its address."""
    arguments = (code, bound, tree, sites, slopes, trail, last, *_NUMBERS)

    return types.void(types.int64, *arguments), by_address(types.none, arguments)


call_sweep = cast(Callable[..., None], intrinsic(_call_sweep))
