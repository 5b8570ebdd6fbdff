"""Memory of pure states, refused before it is allocated."""

from __future__ import annotations

from typing import Any

import numpy as np

from qdiff.errors import QdiffError, ResourceError
from qdiff.sim.exact import OR_FROM_SHOTS
from qdiff.sim.seeds import integer
from qdiff.sim.sizes import size_text


def checked_dtype(dtype: object) -> np.dtype[Any]:
    """Return the type of amplitudes.

    Raises:
        QdiffError: neither complex128 nor complex64.
    """
    try:
        found: np.dtype[Any] = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        found = np.dtype(object)
    if dtype is None or found not in (np.complex128, np.complex64):
        raise QdiffError(f"dtype is that of amplitudes, complex128 or complex64, not {dtype!r}.")
    return found


def checked_memory(max_memory: object) -> int:
    """Return a limit in bytes.

    Raises:
        QdiffError: no positive whole number.
    """
    number = integer(max_memory)
    if number is None or number < 1:
        raise QdiffError(
            f"max_memory is a positive whole number of bytes, such as 4 << 30, not {max_memory!r}."
        )
    return number


def state_bytes(qubits: int, dtype: Any = np.complex128) -> int:
    """Bytes of one pure state."""
    return (8 if dtype == np.complex64 else 16) << qubits


def require(
    states: int,
    others: int,
    qubits: int,
    limit: int,
    engine: str,
    advice: str,
    dtype: Any = np.complex128,
) -> None:
    """Refuse states that do not fit.

    Args:
        states: how many states on all qubits; others: bytes besides them; limit: in bytes.
        advice: what besides a higher limit and shots would help. dtype: of amplitudes.

    Raises:
        ResourceError: they do not fit.
    """
    needed = states * state_bytes(qubits, dtype) + others
    if needed > limit:
        raise ResourceError(
            f"The {engine} engine needs {size_text(needed)} for {states} pure "
            f"{'state' if states == 1 else 'states'} on {qubits} qubits"
            f"{' with their buffers' if others else ''}; the limit is {size_text(limit)}. "
            f"Raise it (qd.expectation(…, max_memory=bytes)), {advice}",
            advice=OR_FROM_SHOTS,
        )
