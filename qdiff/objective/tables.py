"""Parameter values read as a whole: arrays and lists of plain numbers become one `ParameterTable`.

What needs a closer look is left to those who read value by value and say what is wrong with which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from qdiff.errors import ParameterError
from qdiff.lang.parameter_table import ParameterTable
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats, Parameters

_PLAIN = frozenset({float, int, np.float64})
_REAL = "fiu"  # kinds of dtypes


def one_row(program: Program, params: object) -> Sequence[Parameters]:
    """Return one set of values, as `resolve` reads it, as rows for an engine.

    Raises:
        ParameterError: as `resolve`.
    """
    if isinstance(params, Mapping):
        found = _row_of_mapping(program, params)
    else:
        same = len(program.trainable) == len(program.parameters)
        found = _numbers(params, 1) if same and isinstance(params, np.ndarray) else None
    # The fastest way to ask whether all are finite numbers.
    if found is None or np.count_nonzero(np.isfinite(found)) != len(program.parameters) or not found.size:
        return [resolve(program, params)]
    return ParameterTable(program.parameters, found.reshape(1, -1))


def whole(program: Program, batch: object) -> ParameterTable | None:
    """Return a batch that can be read as a whole, None where it cannot.

    Raises:
        ParameterError: an array that holds no real numbers.
    """
    if isinstance(batch, Mapping):
        values = _of_mapping(program, batch)
    else:
        _refuse_dtype(batch, "A batch")
        same = len(program.trainable) == len(program.parameters)
        values = _numbers(batch, 2) if same else None
    if values is None or values.shape[1] != len(program.parameters) or not np.isfinite(values).all():
        return None
    return ParameterTable(program.parameters, values)


def _refuse_dtype(entry: object, what: str) -> None:
    """Raise for an array of complex numbers, truth values or texts.

    Raises:
        ParameterError: as said; it names the dtype and the conversion.
    """
    if isinstance(entry, np.ndarray) and entry.ndim and entry.dtype.kind not in _REAL + "O":
        advice = (
            "Pass its real part: array.real" if entry.dtype.kind == "c" else "Convert it: array.astype(float)"
        )
        raise ParameterError(
            f"{what} holds real numbers, and this array has the dtype {entry.dtype}. {advice}."
        )


def _of_mapping(program: Program, batch: Mapping[Any, Any]) -> Floats | None:
    registers = {register.name: register for register in program.parameter_registers}
    for name, entry in batch.items():
        _refuse_dtype(entry, f"The entry `{name}` of a batch")
    if batch.keys() != registers.keys():
        return None
    parts: list[tuple[Floats, bool]] = []  # of each register: numbers, and whether they are by row
    for name, register in registers.items():
        entry, width = batch[name], register.size or 1
        if type(entry) in _PLAIN and register.size is None:
            found, by_row = _numbers([entry], 1), False
        elif register.size is None:
            found, by_row = _numbers(entry, 1), True
        else:
            found, by_row = _numbers(entry, 2), True
            if found is None:
                found, by_row = _numbers(entry, 1), False
        if found is None or found.size % width:
            return None
        if (found.ndim == 2 and found.shape[1] != width) or not (by_row or found.size == width):
            return None
        parts.append((found.reshape(-1, width), by_row))
    lengths = {len(found) for found, by_row in parts if by_row}
    if len(lengths) != 1:
        return None
    [rows] = lengths
    result = np.empty((rows, len(program.parameters)))
    filled = 0
    for found, _ in parts:
        result[:, filled : filled + found.shape[1]] = found
        filled += found.shape[1]
    return result


def _row_of_mapping(program: Program, params: Mapping[Any, Any]) -> Floats | None:
    if len(params) != len(program.parameter_registers):
        return None
    result, filled = np.empty(len(program.parameters)), 0
    for register in program.parameter_registers:
        entry = params.get(register.name)
        found = _numbers([entry] if register.size is None else entry, 1)
        if found is None or len(found) != (register.size or 1):
            return None
        result[filled : filled + len(found)] = found
        filled += len(found)
    return result


def _numbers(entry: object, axes: int) -> Floats | None:
    """Return plain real numbers as an array of its own with so many axes, None for anything else."""
    if isinstance(entry, np.ndarray):
        if entry.ndim != axes or entry.dtype.kind not in _REAL:
            return None
        if type(entry) is not np.ndarray and np.ma.is_masked(entry):  # the question itself takes 1 µs
            return None
        return np.array(entry, dtype=np.float64, order="C", subok=False)
    if not isinstance(entry, list | tuple):
        return None
    numbers: Any = entry
    if axes == 2:
        if len({len(row) if isinstance(row, list | tuple) else -1 for row in entry}) != 1:
            return None
        numbers = chain.from_iterable(row if isinstance(row, list | tuple) else (None,) for row in entry)
    if not _PLAIN.issuperset(map(type, numbers)):
        return None
    try:
        return np.array(entry, dtype=np.float64)
    except OverflowError:  # an integer beyond the floats
        return None
