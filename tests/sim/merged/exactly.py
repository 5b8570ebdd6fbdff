"""What a frontier has found, as probabilities of what can be seen."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from chi_square import ABORTED

from qdiff.lang.tree import Program
from qdiff.sim.machine.binding import bound
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.tables import ABORTED as STATUS_ABORTED
from qdiff.sim.machine.tables import CUT
from qdiff.sim.merged.frontier import Found, Frontier
from qdiff.sim.protocol import Readout

CUT_RUNS = "cut"
LIMIT, ROOM = 10**6, 2**28


def frontier(
    program: Program,
    params: Mapping[str, float],
    *,
    readout: Readout | None = None,
    inputs: Mapping[str, int] | None = None,
    step_limit: int = LIMIT,
    room: int = ROOM,
    **options: Any,
) -> Frontier:
    """A frontier at the start of a program; by default all qubits are read."""
    plan = lower(program, Readout(program.qubits) if readout is None else readout)
    return Frontier(plan, bound(plan, params), inputs or {}, step_limit, room, **options)


def distribution(found: Found) -> dict[Hashable, float]:
    """Probability by (store, basis state), `ABORTED`, (`CUT_RUNS`, store)."""
    result: dict[Hashable, float] = {}
    for status, store, bits, mass in zip(
        found.status, found.stores.tolist(), found.bits.tolist(), found.masses.tolist(), strict=True
    ):
        key: Hashable = (tuple(store), bits)
        key = ABORTED if status == STATUS_ABORTED else (CUT_RUNS, tuple(store)) if status == CUT else key
        result[key] = result.get(key, 0.0) + mass
    return result


def distance(found: Mapping[Hashable, float], exact: Mapping[Hashable, float]) -> float:
    """The largest difference of two distributions."""
    return max(abs(found.get(key, 0.0) - exact.get(key, 0.0)) for key in {*found, *exact})
