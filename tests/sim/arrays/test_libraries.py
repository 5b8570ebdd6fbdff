"""Opening array libraries: what there is, and what the messages say where there is none."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from sim.arrays.kinds import present

from qdiff.errors import QdiffError
from qdiff.sim.arrays.libraries import open_library


def test_names_devices_and_dtypes_that_there_are() -> None:
    for name in ("numpy", "numba"):
        for dtype in ("complex128", "complex64"):
            library = open_library(name, None, dtype)
            assert (library.name, library.device, library.dtype) == (name, "cpu", dtype)
    assert open_library().name == "numpy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("tourch",),
            "There is no array library 'tourch'. Known: numpy, numba, torch, jax, cupy. "
            "Did you mean `torch`?",
        ),
        ((7,), "There is no array library 7. Known: numpy, numba, torch, jax, cupy."),
        (("numpy", "cpu", "float64"), "dtype is that of amplitudes, complex128 or complex64, not 'float64'."),
        (("numpy", 0), "device= is a name, as 'cpu', 'cuda' or 'cuda:1', got 0."),
        (
            ("numpy", "cuda"),
            "NumPy computes on the device 'cpu', not on 'cuda'. For a GPU choose library='torch', 'jax' or "
            "'cupy'.",
        ),
        (
            ("numba", "cuda:1"),
            "Numba computes on the device 'cpu', not on 'cuda:1'. For a GPU choose "
            "library='torch', 'jax' or 'cupy'.",
        ),
    ],
)
def test_what_there_is_not(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        open_library(*arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "module", "message"),
    [
        (("torch",), "torch", "PyTorch is not installed here: pip install 'torch'"),
        (("jax",), "jax", "JAX is not installed here: pip install 'jax'"),
        (("jax", "cuda"), "jax", "JAX is not installed here: pip install 'jax[cuda12]'"),
        (("cupy",), "cupy", "CuPy is not installed here: pip install 'cupy-cuda12x'"),
    ],
)
def test_a_library_that_is_not_installed(
    arguments: tuple[str, ...], module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(QdiffError) as caught:
        open_library(*arguments)
    assert str(caught.value) == message


def test_the_layer_between_is_named_where_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "array_api_compat.torch", None)
    with pytest.raises(QdiffError) as caught:
        open_library("torch")
    assert str(caught.value) == "array-api-compat is not installed here: pip install 'array-api-compat>=1.9'"


def test_devices_of_torch() -> None:
    present("torch")
    with pytest.raises(QdiffError, match=r"^PyTorch has no device 'gpu' here: Expected one of cpu, cuda, "):
        open_library("torch", "gpu")
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        with pytest.raises(QdiffError, match=r"^PyTorch has no device 'cuda' here: "):
            open_library("torch", "cuda")


def test_a_device_without_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    present("torch")
    torch = importlib.import_module("torch")
    zeros = torch.zeros

    def single(*shape: Any, **options: Any) -> Any:
        if options.get("dtype") == torch.complex128:
            raise TypeError("this device has no double precision")
        return zeros(*shape, **options)

    monkeypatch.setattr(torch, "zeros", single)
    with pytest.raises(QdiffError) as caught:
        open_library("torch")
    assert str(caught.value) == ("The device 'cpu' of PyTorch has no complex128: ask for dtype='complex64'.")
    open_library("torch", dtype="complex64")


class _Jax:
    """What is asked of JAX before anything is computed."""

    def __init__(self, *, double: bool) -> None:
        self.config = SimpleNamespace(jax_enable_x64=double)
        self.numpy = SimpleNamespace(matmul=None)

    def devices(self, kind: str) -> list[str]:
        if kind != "cpu":
            raise RuntimeError(f"Unknown backend {kind}\nmore of it")
        return ["the CPU"]


def test_jax_in_single_precision_is_told_how_to_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", _Jax(double=False))  # type: ignore[arg-type]
    with pytest.raises(QdiffError) as caught:
        open_library("jax")
    assert str(caught.value) == (
        "JAX computes in single precision until it is told otherwise: call "
        "`jax.config.update('jax_enable_x64', True)` (or set JAX_ENABLE_X64=1) first, or ask for "
        "dtype='complex64'."
    )
    with pytest.raises(QdiffError, match=r"^JAX has no device 'cuda:1' here: Unknown backend cuda$"):
        open_library("jax", "cuda:1")
    with pytest.raises(QdiffError, match=r"^JAX has no device 'cpu:3' here: "):
        open_library("jax", "cpu:3")
    with pytest.raises(
        QdiffError, match=r"^JAX has no device 'cuda:one': devices are 'cpu', 'cuda', 'cuda:1', …$"
    ):
        open_library("jax", "cuda:one")


def test_cupy_computes_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(getDeviceCount=lambda: 0)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", SimpleNamespace())  # type: ignore[arg-type]
    for device in (None, "cuda:2", "cpu"):
        with pytest.raises(
            QdiffError, match=r"^CuPy has no device '.*' here: CuPy computes on NVIDIA GPUs: 'cuda'"
        ):
            open_library("cupy", device)
