"""What compiled code reads and writes besides the code of a plan: numbers, room, results."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.machine.code import Code, Complexes, Floats, Ints

Words = NDArray[np.uint64]

FINISHED, PAUSED, ASK, SHARE = range(4)
"""Why the loop over shots returned: all are done, the budget is spent, an instruction needs a number, or is
shared by threads."""
ENDED, ABORTED, CUT = 0, 1, 2
"""How a shot ended."""
ROW, PC, NODE, STEPS, DRAWS, DRAWN, RUNNING, GIVEN, BUDGET, WIDE = range(10)
CONTEXT = 10
"""Entries of `Work.context`: the shot, where it is, …; DRAWN: the block of random words at hand; GIVEN: the
number asked for is there; WIDE: whether what acts on a state is shared by threads (`wide`)."""


class Bound(NamedTuple):
    """The numbers of one set of parameters.

    Attributes:
        parameters: (N,). values, integers: (E,) of expressions without counters; nan where there is none.
        gate_matrices, matrices, kraus: tables; threads have their own of the last two, which change while a
            program runs.
    """

    parameters: Floats
    values: Floats
    integers: Ints
    gate_matrices: Complexes
    matrices: Complexes
    kraus: Complexes


class Work(NamedTuple):
    """What one thread writes to.

    Attributes:
        context: int64 (CONTEXT,) or more. words: the current block of random words. store: the counters.
        psi, other: states (2, D). outcomes: room for the weights of all outcomes. single: for one number.
        whole_rows, real_rows: values of an expression's rows. given_whole,
            given_real: a number that was asked for.
    """

    context: Ints
    words: Words
    store: Ints
    psi: Floats
    other: Floats
    outcomes: Floats
    whole_rows: Ints
    real_rows: Floats
    single: Ints
    given_whole: Ints
    given_real: Floats


class Tables(NamedTuple):
    """All that a part of the machine may read; see `compiled`."""

    code: Code
    bound: Bound
    work: Work


class Parts(NamedTuple):
    """Addresses of parts; 0 for one that the plan does not need (`parts`).

    Attributes:
        evaluate: see `arithmetic`. matrix: `matrices`. apply, weigh, keep, weigh_channel, act, expect:
            `states`.
    """

    evaluate: int
    matrix: int
    apply: int
    weigh: int
    keep: int
    weigh_channel: int
    act: int
    expect: int


class Results(NamedTuple):
    """One row for each shot."""

    counters: Ints
    bits: NDArray[np.uint8]
    status: NDArray[np.uint8]
    expectations: Floats
