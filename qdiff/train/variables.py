"""Which parameters a run trains, where they start, and what the others are fixed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import ParameterError, listed
from qdiff.lang.parameter_values import is_sequence
from qdiff.lang.parameters import expand, resolve
from qdiff.lang.tree import Program, Register

Vector: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Variables:
    """The trained parameters as a vector, and all parameters as a mapping.

    Attributes:
        names: the trained parameters, array elements as "w[0]", in the order of the vector.
        start: float (d,), where they start.
        fixed: the other parameters.
        order: all parameters in declared order.
    """

    names: tuple[str, ...]
    start: Vector
    fixed: Mapping[str, float]
    order: tuple[str, ...]

    def params(self, x: Vector) -> dict[str, float]:
        """Return every parameter by name, the trained ones at `x` (d,), in declared order."""
        values = {**self.fixed, **dict(zip(self.names, x.tolist(), strict=True))}
        return {name: values[name] for name in self.order}

    def describe(self, x: Vector, limit: int = 8) -> str:
        """Return "t = 1.5, w[0] = 2.0" for a message."""
        pairs = zip(self.names, x.tolist(), strict=True)
        return listed((f"{name} = {value!r}" for name, value in pairs), limit)


def of_program(program: Program, x0: object, wrt: object) -> Variables:
    """Read the start of a run that trains parameters of a program.

    Args:
        x0: a mapping with every parameter, or a flat sequence of the trainable ones when there are no
            others.
        wrt: None for all that is trainable, a parameter, an array, or a list of them.

    Raises:
        ParameterError: names or values that do not fit, nothing to train.
    """
    return _variables(program, program.trainable, x0, wrt)


def of_function(x0: object, wrt: object) -> Variables:
    """Read the start of a run that trains the argument of a plain function.

    Its parameters are those of the mapping x0, or x[0], x[1], … for a sequence; `wrt` as above.

    Raises:
        ParameterError: names or values that do not fit, nothing to train.
    """
    # A program without statements is what says how parameters are declared.
    registers: tuple[Register, ...] = ()
    if isinstance(x0, Mapping):
        named = {name: value for name, value in x0.items() if isinstance(name, str)}
        registers = tuple(Register(name, len(v) if is_sequence(v) else None) for name, v in named.items())
    elif is_sequence(x0):
        registers = (Register("x", len(x0)),)  # type: ignore[arg-type]
    program = Program((), registers, (), ())
    return _variables(program, program.parameters, x0, wrt)


def _variables(program: Program, trainable: tuple[str, ...], x0: object, wrt: object) -> Variables:
    values = resolve(program, x0, names=trainable)
    names = trainable if wrt is None else expand(wrt, program)
    if not names:
        raise ParameterError("There is nothing to train: no parameter is trainable.")
    trained = frozenset(names)
    return Variables(
        names=names,
        start=np.array([values[name] for name in names]),
        fixed={name: values[name] for name in program.parameters if name not in trained},
        order=program.parameters,
    )
