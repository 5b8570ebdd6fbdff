"""Expressions in compiled code: integers of 64 bits, floats, comparisons; see `bytecode`.

An operation that leaves 64 bits, or a float that is not finite, has no value here: the caller asks for it.
"""

from __future__ import annotations

import numpy as np

from qdiff.sim.machine import bytecode
from qdiff.sim.machine.code import BOUND, Floats, Ints
from qdiff.sim.machine.compiled import WHOLE, field, inlined, inner, item, part, plain
from qdiff.sim.machine.streams import high_word

_INTEGER, _COUNTER = bytecode.CODE["integer"], bytecode.CODE["counter"]
_ADD_INTEGERS, _MULTIPLY_INTEGERS = bytecode.CODE["add integers"], bytecode.CODE["multiply integers"]
_NEGATE_INTEGER, _ABS_INTEGER = bytecode.CODE["negate integer"], bytecode.CODE["abs integer"]
_POWER_OF_INTEGERS, _ASK = bytecode.CODE["power of integers"], bytecode.CODE["ask"]
_DIV, _MOD, _INDICATOR = bytecode.CODE["div"], bytecode.CODE["mod"], bytecode.CODE["indicator"]
_FLOAT, _PARAMETER, _ELEMENT = bytecode.CODE["float"], bytecode.CODE["parameter"], bytecode.CODE["element"]
_TO_FLOAT, _ADD, _MULTIPLY = bytecode.CODE["to float"], bytecode.CODE["add"], bytecode.CODE["multiply"]
_DIVIDE, _NEGATE, _POWER = bytecode.CODE["divide"], bytecode.CODE["negate"], bytecode.CODE["power"]
_DIVIDE_INTEGERS = bytecode.CODE["divide integers"]
_HAZARD, _SIN, _COS, _TAN = (bytecode.CODE[name] for name in ("hazard", "sin", "cos", "tan"))
_ASIN, _ACOS, _ATAN = (bytecode.CODE[name] for name in ("asin", "acos", "atan"))
_EXP, _LOG, _SQRT, _ABS = (bytecode.CODE[name] for name in ("exp", "log", "sqrt", "abs"))
_LEAST, _MOST = -(2**63), 2**63 - 1
_SIGN = np.uint64(2**63)
_HALF = 2**31
_EXACT = 2**53  # integers up to here are floats


@inner
def adds(x: int, y: int) -> bool:
    """Whether a sum is in 64 bits. The sum itself is of no use: where it overflows it is undefined."""
    return x <= _MOST - y if y >= 0 else x >= _LEAST - y


@inner
def _product(x: int, y: int) -> tuple[int, bool]:
    """A product, and whether it is in 64 bits."""
    if -_HALF < x < _HALF and -_HALF < y < _HALF:
        return x * y, True
    # Of magnitudes, as signed integers must not overflow.
    negative = (x < 0) != (y < 0)
    a = np.uint64(x) if x >= 0 else np.uint64(0) - np.uint64(x)
    b = np.uint64(y) if y >= 0 else np.uint64(0) - np.uint64(y)
    low = a * b
    fits = bool(high_word(a, b) == np.uint64(0) and (low < _SIGN or (negative and low == _SIGN)))
    return np.int64(np.uint64(0) - low if negative else low), fits  # type: ignore[return-value]


@inner
def _whole(operation: int, x: int, y: int, constant: int) -> tuple[int, bool]:
    """An operation on integers, and whether its value is in 64 bits."""
    if operation == _ADD_INTEGERS:
        fits = adds(x, y)
        return (x + y if fits else 0), fits
    if operation == _MULTIPLY_INTEGERS:
        return _product(x, y)
    if operation == _POWER_OF_INTEGERS:
        r, fits = plain(1), y >= 0
        while fits and y > 0:
            if y & 1:
                r, fits = _product(r, x)
            y >>= 1
            if fits and y > 0:
                x, fits = _product(x, x)
        return r, fits
    if operation == _ASK:
        return 0, False
    if operation == _NEGATE_INTEGER:
        return -x, x != _LEAST
    if operation == _ABS_INTEGER:
        return abs(x), x != _LEAST
    if operation == _INDICATOR:
        return int(x == constant), True
    if y == 0 or (y == -1 and x == _LEAST):
        return 0, False
    return (x // y if operation == _DIV else x % y), True


@inner
def _real(operation: int, x: float, y: float) -> float:
    """An operation on floats; what has no value is nan or inf."""
    if operation == _ADD:
        return x + y
    if operation == _MULTIPLY:
        return x * y
    if operation == _DIVIDE:
        return x / y
    if operation == _NEGATE:
        return -x
    if operation == _POWER:
        return float(x**y)
    if operation == _SIN:
        return float(np.sin(x))
    if operation == _COS:
        return float(np.cos(x))
    if operation == _TAN:
        return float(np.tan(x))
    if operation == _ASIN:
        return float(np.arcsin(x))
    if operation == _ACOS:
        return float(np.arccos(x))
    if operation == _ATAN:
        return float(np.arctan(x))
    if operation == _EXP:
        return float(np.exp(x))
    if operation == _LOG:
        return float(np.log(x))
    if operation == _SQRT:
        return float(np.sqrt(x))
    return abs(x)


@part(WHOLE(WHOLE, WHOLE))
def evaluate(machine: int, expression: int) -> int:
    """Compute an expression; return the row that holds its value in `Work.whole_rows` or `Work.real_rows`, as
    it is integer or not; -1 if it has none.
    """
    starts, rows, floats = field(machine, "starts"), field(machine, "rows"), field(machine, "floats")
    hazards, parameters = field(machine, "hazards"), field(machine, "parameters")
    store, whole, real = field(machine, "store"), field(machine, "whole_rows"), field(machine, "real_rows")
    start, end = starts[expression], starts[expression + 1]
    for i in range(end - start):
        row = start + i
        operation, left, right, constant = rows[row, 0], rows[row, 1], rows[row, 2], rows[row, 3]
        if operation == _COUNTER:
            whole[i] = store[left]
        elif operation == _INTEGER:
            whole[i] = constant
        elif operation <= _INDICATOR:
            whole[i], fits = _whole(operation, whole[left], whole[right], constant)
            if not fits:
                return -1
        else:
            if operation == _TO_FLOAT:
                real[i] = float(whole[left])
            elif operation == _DIVIDE_INTEGERS:
                if not (-_EXACT <= whole[left] <= _EXACT and -_EXACT <= whole[right] <= _EXACT):
                    return -1
                real[i] = whole[left] / whole[right]
            elif operation == _PARAMETER:
                real[i] = parameters[left]
            elif operation == _FLOAT:
                real[i] = floats[row]
            elif operation == _ELEMENT or operation == _HAZARD:
                if not 0 <= whole[left] < constant:
                    return -1
                real[i] = (parameters if operation == _ELEMENT else hazards)[right + whole[left]]
            else:
                real[i] = _real(operation, real[left], real[right])
            if not np.isfinite(real[i]):
                return -1
    return int(end - start - 1)


_evaluate = evaluate.call


@inner
def value_of(
    address: int, machine: int, modes: Ints, store: Ints, integers: Ints, values: Floats, expression: int
) -> tuple[bool, int, float]:
    """Whether an expression has a value, and the value: an integer and a float, of which one is meant.

    Args:
        address: of `evaluate`. modes, store, integers, values: of the tables.
    """
    mode = item(modes, expression)
    if mode >= 0:
        return True, item(store, mode), 0.0
    if mode == BOUND:
        y = item(values, expression)
        return not np.isnan(y), item(integers, expression), y
    row = _evaluate(address, machine, expression)
    if row < 0:
        return False, store.size, 0.0
    return True, field(machine, "whole_rows")[row], field(machine, "real_rows")[row]


@inlined
def order(whole: bool, i: int, x: float, other_whole: bool, j: int, y: float) -> int:
    """-1, 0 or 1 as the first value is below, equal to or above the second; integers exactly."""
    if whole and other_whole:
        return int(i > j) - int(i < j)
    if whole:
        return _order_mixed(i, y)
    if other_whole:
        return -_order_mixed(j, x)
    return int(x > y) - int(x < y)


@inlined
def _order_mixed(i: int, y: float) -> int:
    if y >= 2.0**63:
        return -1
    if y < -(2.0**63):
        return 1
    floor = int(np.floor(y))
    if i != floor:
        return 1 if i > floor else -1
    return -1 if y > np.floor(y) else 0


@inner
def compared(operator: int, order: int) -> bool:
    """= != < <= > >= as numbered by `lang.tree.OPERATORS`."""
    if operator == 0:
        return order == 0
    if operator == 1:
        return order != 0
    if operator == 2:
        return order < 0
    if operator == 3:
        return order <= 0
    if operator == 4:
        return order > 0
    return order >= 0
