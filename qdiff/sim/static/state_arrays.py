"""What compiled loops over amplitudes take as a state: anything else would read past its end."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError

Reals = NDArray[np.float64] | NDArray[np.float32]


def check_state(psi: Any, qubits: int) -> None:
    """Refuse what is no state of n qubits.

    Raises:
        QdiffError: another shape or type, or numbers that do not follow each other in memory.
    """
    shape = 2, 1 << qubits
    if not isinstance(psi, np.ndarray) or psi.shape != shape or psi.dtype not in (np.float64, np.float32):
        raise QdiffError(
            f"A state of {qubits} qubits is a float64 or float32 array {shape}, real and imaginary parts; "
            f"got {_described(psi)}."
        )
    if not psi.flags.c_contiguous:
        raise QdiffError("A state is a contiguous array: np.ascontiguousarray(psi) makes one.")


def check_pair(psi: Any, out: Any, qubits: int) -> None:
    """Refuse a state, or an array for its image, that is none; or the same array twice.

    Raises:
        QdiffError: as `check_state`; arrays of different types, or that share memory.
    """
    check_state(psi, qubits)
    check_state(out, qubits)
    if psi.dtype != out.dtype:
        raise QdiffError(f"A state of {psi.dtype} has an image of {psi.dtype}, not of {out.dtype}.")
    if np.may_share_memory(psi, out):
        raise QdiffError("The image of a state needs an array of its own.")


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__
