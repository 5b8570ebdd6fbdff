"""The plans of the last programs: lowering one takes longer than a few of its shots.

A plan belongs to a program and not to what is equal to it, as errors point at places of its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from qdiff.lang.tree import Program
from qdiff.sim.machine.code import Lowered
from qdiff.sim.machine.lowering import lower
from qdiff.sim.protocol import Readout

if TYPE_CHECKING:
    from qdiff.sim.machine.adjoint_code import GradientPlan

PLANS = 8
"""Plans; one takes some MiB at most."""


def plan_of(program: Program, readout: Readout) -> Lowered:
    """Return `lower(program, readout)`, made once as long as few other programs are lowered."""
    return _lowered(_Itself(program), readout)


@lru_cache(maxsize=PLANS)
def gradient_plan_of(plan: Lowered, wrt: tuple[str, ...]) -> GradientPlan:
    """Return `adjoint_code.differentiated(plan, wrt)`, made once as long as few others are asked for."""
    from qdiff.sim.machine.adjoint_code import differentiated  # it loads the compiler

    return differentiated(plan, wrt)


@dataclass(frozen=True, eq=False)
class _Itself:
    """A program that is equal to none but itself."""

    program: Program

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.program is self.program

    def __hash__(self) -> int:
        return id(self.program)


@lru_cache(maxsize=PLANS)
def _lowered(program: _Itself, readout: Readout) -> Lowered:
    return lower(program.program, readout)
