"""Which parts of the machine a plan needs: only these are compiled."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from qdiff.sim.machine import arithmetic, bytecode, matrices, states
from qdiff.sim.machine import code as c
from qdiff.sim.machine.compiled import Part
from qdiff.sim.machine.plans import PLANS
from qdiff.sim.machine.tables import Parts


@lru_cache(maxsize=PLANS)
def addresses_of(plan: c.Lowered, *, derivatives: bool = False) -> Parts:
    """Addresses of the parts that a plan needs, 0 for the others.

    Args:
        derivatives: whether the expressions that no instruction reads are needed too.
    """
    code = plan.code
    present = set(code.instructions[:, c.OP].tolist())
    gates = bool(present & {c.GATES, c.LIVE_GATE}) or len(code.gates) > 0
    measured = bool(present & {c.MEASURE, c.RECORD, c.RESET, c.READ})
    channels = c.CHANNEL in present
    return Parts(
        evaluate=_address(arithmetic.evaluate, _computes(code, derivatives)),
        matrix=_address(matrices.matrix, gates),
        apply=_address(states.apply, gates),
        weigh=_address(states.weigh, measured),
        keep=_address(states.keep, measured),
        weigh_channel=_address(states.weigh_channel, channels),
        act=_address(states.act, channels),
        expect=_address(states.expect, c.EXPECT in present),
    )


def _address(part: Part, needed: bool) -> int:
    return part.address if needed else 0


def _computes(code: c.Code, derivatives: bool) -> bool:
    """Whether a run needs an expression that is computed while it runs, or `matrices.bind` one that is not
    SIMPLE; of integers, one that is no constant.
    """
    rows = code.instructions
    operation = rows[:, c.OP]
    read = np.concatenate(
        [
            rows[np.isin(operation, [c.DECIDE, c.SET, c.TOSS]), c.A],
            rows[operation == c.DECIDE, c.B],
            code.gates[code.gates[:, c.EXPRESSION] >= 0, c.EXPRESSION],
        ]
    )
    others = ~np.isin(code.rows[:, 0], [bytecode.CODE[name] for name in matrices.SIMPLE])
    simple = (np.add.reduceat(others, code.starts[:-1]) == 0) & (~code.whole | (np.diff(code.starts) == 1))
    modes = code.modes if derivatives else code.modes[read]
    return bool((modes == c.COMPUTED).any() or ((code.modes == c.BOUND) & ~simple).any())
