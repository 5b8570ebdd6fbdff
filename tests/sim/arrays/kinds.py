"""The array libraries that tests run on: those installed, and one with nothing but the standard."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from qdiff.sim.arrays.libraries import open_library
from qdiff.sim.arrays.primitives import ArrayLibrary
from qdiff.sim.arrays.standard import StandardLibrary

KINDS = ("numba", "numpy", "strict", "torch", "jax")
NEEDED = {
    "strict": ("array_api_strict",),
    "torch": ("torch", "array_api_compat"),
    "jax": ("jax",),
    "numpy": (),
    "numba": (),
}


def opened(kind: str, dtype: str = "complex128", piece: int | None = None) -> ArrayLibrary:
    """A library on the CPU; the test is skipped where it is not installed.

    Args:
        piece: amplitudes of a piece: few, so that small arrays are handled in several.
    """
    present(kind)
    library: Any
    if kind == "strict":
        strict = importlib.import_module("array_api_strict")
        library = StandardLibrary("strict", strict, "cpu", dtype, to_host=np.asarray)
    else:
        library = open_library(kind, "cpu", dtype)
    if piece is not None:
        library.piece = piece
    return library  # type: ignore[no-any-return]


def present(kind: str) -> None:
    """Skip the test where a library is not installed."""
    for module in NEEDED[kind]:
        pytest.importorskip(module)
    if kind == "jax" and not importlib.import_module("jax").config.jax_enable_x64:
        pytest.skip("JAX_ENABLE_X64 is not set")
