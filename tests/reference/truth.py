"""Value and derivatives in extended precision: what the error bounds of engines are held against.

The interpreter with tangents runs on 80-bit numbers, so that its own error stays near 1e-18 of the
value. Programs that take long are refused, by passes of a loop and by work done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from reference.derivatives import TangentInterpreter
from reference.interpreter import expectation
from reference.precision import EXTENDED, is_extended
from reference.semantics import PassLimitReached, Path, State

from qdiff.lang.observable import Observable
from qdiff.lang.tree import Block, Program

PASSES, WORK = 2000, 10_000


class TooLong(Exception):
    """The truth would take too many passes of a loop, or too much work."""


@dataclass(frozen=True)
class Truth:
    """f, and ∂f/∂name by name."""

    value: np.longdouble
    gradient: dict[str, np.longdouble]


def truth(
    program: Program, observable: Observable, params: Mapping[str, float], names: Iterable[str]
) -> Truth:
    """Return value and derivatives in extended precision.

    Raises:
        TooLong: a loop takes more than `PASSES` passes, or statements times stores exceed `WORK`.
    """
    assert is_extended(), "this platform has no extended precision"
    interpreter = _Limited(program, params, tuple(names), EXTENDED)
    interpreter.pass_limit = PASSES
    shape = (1 + len(interpreter.names),)
    try:
        final = interpreter.run()
    except PassLimitReached as error:
        raise TooLong(str(error)) from None
    stack = np.broadcast_to(expectation(program, observable, final), shape)
    return Truth(stack[0], dict(zip(interpreter.names, stack[1:], strict=True)))


class _Limited(TangentInterpreter):
    """Counts statements times stores."""

    work = 0

    def block(self, block: Block, state: State, path: Path) -> State:
        self.work += len(state) * len(block)
        if self.work > WORK:
            raise TooLong(f"more than {WORK} statements, counted for every store")
        return super().block(block, state, path)
