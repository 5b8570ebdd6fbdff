"""Which Python values can be the value of a parameter or of an array of parameters."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qdiff.errors import ParameterError, did_you_mean, listed
from qdiff.lang.tree import Program, Register

MOST_SHOWN = 50


class ValueProblem(Exception):
    """Why a value cannot be used; what is missing in front is the name of the parameter."""


def real_number(value: object) -> float | int:
    """Return a finite real number as an `int` or a `float`.

    Raises:
        ValueProblem: it is none.
    """
    if value is np.ma.masked:  # as a number it would be 0
        raise ValueProblem("is masked, not a real number")
    if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueProblem(f"is {described(value)}, not a real number")
    try:
        number = value if isinstance(value, int) else float(value)
        finite = math.isfinite(number)
    except OverflowError:
        raise ValueProblem("is too large for a floating-point number") from None
    if not finite:
        raise ValueProblem(f"is {number}, not a finite number")
    return number


def is_sequence(value: object) -> bool:
    """Whether a value can stand for an array: a list, a tuple, an ndarray with axes, a range."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


class Collected:
    """Values of parameters by name, and everything that is wrong with them.

    Attributes:
        numbers: name of a parameter or of an array element, to its value.
    """

    def __init__(self, program: Program) -> None:
        self.numbers: dict[str, float | int] = {}
        self._program = program
        self._registers = {register.name: register for register in program.parameter_registers}
        self._elements = frozenset(program.parameters)
        self._given: set[str] = set()
        self._problems: list[str] = []

    def add_mapping(self, values: Mapping[Any, Any]) -> None:
        """Take values by name; single elements of arrays win over whole arrays."""
        elements: list[tuple[Any, Any]] = []
        origin = self._program.origin
        for name, value in (values if origin is None else origin.renamed(values)).items():
            register = self._registers.get(name) if isinstance(name, str) else None
            if register is None:
                elements.append((name, value))
            elif register.size is None:
                self.add(name, value)
            else:
                self._add_array(register, value)
        for name, value in elements:
            if isinstance(name, str) and name in self._elements:
                self.add(name, value)
            else:
                self.problem(self._unknown(name))

    def add(self, name: str, value: object) -> None:
        """Take the value of one parameter or element."""
        self._given.add(name)
        try:
            if is_sequence(value):
                raise ValueProblem(f"is one number, got {described(value)}")
            self.numbers[name] = real_number(value)
        except ValueProblem as problem:
            self.problem(f"`{name}` {problem}")

    def problem(self, text: str) -> None:
        """Note something that is wrong."""
        self._problems.append(text)

    def _add_array(self, register: Register, value: Any) -> None:
        elements = register.elements
        self._given.update(elements)
        if not is_sequence(value) or len(value) != len(elements) or np.ndim(value[:0]) > 1:
            self.problem(f"`{register.name}` is an array of {len(elements)}, got {described(value)}")
            return
        for element, part in zip(elements, value, strict=True):
            self.add(element, part)

    def _unknown(self, name: object) -> str:
        if not isinstance(name, str):
            return f"{name!r} is not the name of a parameter"
        array = self._registers.get(name.partition("[")[0])
        if array is not None and name.endswith("]"):
            size = "no array" if array.size is None else f"an array of {array.size}"
            return f"`{name}` does not exist: `{array.name}` is {size}"
        if name in self._program.counters:
            return f"`{name}` is a counter, not a parameter"
        hint = did_you_mean(name, self._registers)
        return f"`{name}` is not a parameter{f' (d{hint[1:]})' if hint else ''}"

    def finish(self, wanted: Sequence[str] = ()) -> None:
        """Raise if anything is wrong, or one of `wanted` has no value.

        Raises:
            ParameterError: names everything that is wrong.
        """
        missing = [name for name in wanted if name not in self._given]
        if missing:
            self.problem(f"no value for {listed(missing, MOST_SHOWN)}")
        if self._problems:
            rest = len(self._problems) - MOST_SHOWN
            more = f"; and {rest} more problems" if rest > 0 else ""
            shown = "; ".join(self._problems[:MOST_SHOWN])
            raise ParameterError(f"Parameter values: {shown}{more}. Parameters: {declared(self._program)}.")


def declared(program: Program) -> str:
    """The parameters of a program as they are declared: "t, w[3]"."""
    return listed(
        register.name if register.size is None else f"{register.name}[{register.size}]"
        for register in program.parameter_registers
    )


def described(value: object) -> str:
    """A value in a few words."""
    if isinstance(value, np.ndarray) and value.ndim != 1:
        return f"an array of shape {value.shape}"
    if is_sequence(value):
        return f"{len(value)} values"  # type: ignore[arg-type]
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
