"""What every derivative program is made of besides its rules' blocks: small statements, and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qdiff.lang.expr import Counter, add, number
from qdiff.lang.tree import Abort, Assign, Block, Compare, If, Program, Skip

ABORT: Block = (Abort(),)
NOTHING: Block = (Skip(),)


def compare(counter: str, operator: str, value: int) -> Compare:
    """counter operator value, as a condition."""
    return Compare(Counter(counter), operator, number(value))


def count_down(counter: str) -> If:
    """if counter > 1 then counter := counter - 1 fi: one more execution has gone by."""
    return If(compare(counter, ">", 1), (Assign(counter, add(Counter(counter), number(-1))),))


def started(program: Program, inputs: Mapping[str, int]) -> Program:
    """Return a program that first sets its input counters, so that it has no input."""
    given = [Assign(name, number(value)) for name, value in inputs.items()]
    return replace(program, body=(*given, *program.body))
