"""Opening an array library by name, on a device, with a dtype; or the error that says what would help."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qdiff.errors import QdiffError, did_you_mean, listed, shown
from qdiff.sim.arrays.primitives import ArrayLibrary
from qdiff.sim.arrays.standard import StandardLibrary
from qdiff.sim.pure.memory import checked_dtype

DEFAULT_LIBRARY = "numpy"
DEFAULT_DTYPE = "complex128"
COMPATIBLE = "array-api-compat>=1.9"


def open_library(
    name: str = DEFAULT_LIBRARY, device: str | None = None, dtype: str = DEFAULT_DTYPE
) -> ArrayLibrary:
    """Return an array library.

    Args:
        name: "numpy", "numba" (compiled loops), "torch", "jax" or "cupy".
        device: "cpu", "cuda", "cuda:1", … as the library calls it; None is "cuda" for CuPy, else "cpu".
        dtype: "complex128", or "complex64": half the memory, errors below 1.5e-6 as measured.

    Raises:
        QdiffError: an unknown name, device or dtype; a library that is not installed.
    """
    if not isinstance(name, str) or name not in _OPENERS:
        known = listed(_OPENERS)
        hint = did_you_mean(str(name), _OPENERS)
        raise QdiffError(f"There is no array library {shown(name)}. Known: {known}. {hint}".rstrip())
    dtype = checked_dtype(dtype).name
    if device is None:
        device = "cuda" if name == "cupy" else "cpu"
    if not isinstance(device, str):
        raise QdiffError(f"device= is a name, as 'cpu', 'cuda' or 'cuda:1', got {shown(device)}.")
    return _OPENERS[name](device, dtype)


def _numpy(device: str, dtype: str) -> ArrayLibrary:
    _only("NumPy", device, "cpu")
    return StandardLibrary("numpy", np, device, dtype)


def _numba(device: str, dtype: str) -> ArrayLibrary:
    from qdiff.sim.arrays.compiled import CompiledLibrary  # it loads the compiler

    _only("Numba", device, "cpu")
    return CompiledLibrary(dtype)


def _torch(device: str, dtype: str) -> ArrayLibrary:
    torch = _imported("torch", "PyTorch", "torch")
    namespace = _imported("array_api_compat.torch", "array-api-compat", COMPATIBLE)
    try:
        place = torch.device(device)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as problem:
        raise _no_device("PyTorch", device, problem) from None
    _holds("PyTorch", device, dtype, partial(torch.zeros, 1, dtype=torch.complex128, device=place))
    return StandardLibrary(
        "torch", namespace, device, dtype, place=place, to_host=lambda x: np.asarray(x.resolve_conj().cpu())
    )


def _jax(device: str, dtype: str) -> ArrayLibrary:
    jax = _imported("jax", "JAX", "jax" if device == "cpu" else "jax[cuda12]")
    kind, number = _numbered("JAX", device)
    try:
        place = jax.devices(kind)[number]
    except (RuntimeError, IndexError) as problem:
        raise _no_device("JAX", device, problem) from None
    if dtype == "complex128" and not jax.config.jax_enable_x64:
        raise QdiffError(
            "JAX computes in single precision until it is told otherwise: call "
            "`jax.config.update('jax_enable_x64', True)` (or set JAX_ENABLE_X64=1) first, or ask for "
            "dtype='complex64'."
        )
    # On GPUs a product of float32 is rounded to ten bits unless it is told otherwise.
    matmul = partial(jax.numpy.matmul, precision="highest")
    return StandardLibrary("jax", jax.numpy, device, dtype, place=place, writes=False, matmul=matmul)


def _cupy(device: str, dtype: str) -> ArrayLibrary:
    cupy = _imported("cupy", "CuPy", "cupy-cuda12x")
    namespace = _imported("array_api_compat.cupy", "array-api-compat", COMPATIBLE)
    kind, number = _numbered("CuPy", device)
    try:
        if kind != "cuda" or not 0 <= number < cupy.cuda.runtime.getDeviceCount():
            raise ValueError("CuPy computes on NVIDIA GPUs: 'cuda', 'cuda:1', …")
        place = cupy.cuda.Device(number)
        place.use()  # CuPy launches on the device that is in use
    except (RuntimeError, ValueError) as problem:
        raise _no_device("CuPy", device, problem) from None
    return StandardLibrary("cupy", namespace, device, dtype, place=place, to_host=cupy.asnumpy)


_OPENERS: dict[str, Callable[[str, str], ArrayLibrary]] = {
    "numpy": _numpy,
    "numba": _numba,
    "torch": _torch,
    "jax": _jax,
    "cupy": _cupy,
}


def _imported(module: str, name: str, package: str) -> Any:
    """Import a library.

    Raises:
        QdiffError: it is not installed; with the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise QdiffError(f"{name} is not installed here: pip install '{package}'") from None


def _only(name: str, device: str, known: str) -> None:
    if device != known:
        raise QdiffError(
            f"{name} computes on the device '{known}', not on {shown(device)}. For a GPU choose "
            "library='torch', 'jax' or 'cupy'."
        )


def _no_device(name: str, device: str, problem: Exception) -> QdiffError:
    reason = str(problem).strip().partition("\n")[0]
    return QdiffError(f"{name} has no device {shown(device)} here: {reason}")


def _holds(name: str, device: str, dtype: str, make: Callable[[], object]) -> None:
    """Refuse complex128 on a device that does not have it."""
    if dtype != "complex128":
        return
    try:
        make()
    except (RuntimeError, TypeError, NotImplementedError):
        raise QdiffError(
            f"The device {shown(device)} of {name} has no complex128: ask for dtype='complex64'."
        ) from None


def _numbered(name: str, device: str) -> tuple[str, int]:
    kind, _, number = device.partition(":")
    if number and not number.isdecimal():
        raise QdiffError(f"{name} has no device {shown(device)}: devices are 'cpu', 'cuda', 'cuda:1', …")
    return kind, int(number or 0)
