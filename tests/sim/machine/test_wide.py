"""One shot whose state is shared by threads gives the same numbers as on one thread, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.errors import EvaluationError
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.machine.binding import bound
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.running import Request, execute
from qdiff.sim.machine.wide import WIDE_QUBITS
from qdiff.sim.protocol import Readout

TEXT = f"""qubit: q[{WIDE_QUBITS}] para: t count: c, d
    for i in 0..{WIDE_QUBITS - 1} do Ry(t*(i + 1))[q[i]] od;
    for i in 0..{WIDE_QUBITS - 2} do CNOT[q[i], q[i + 1]] od;
    c := M[q[{WIDE_QUBITS - 1}], q[3]]; H[q[{WIDE_QUBITS - 1}]]; Ry(t*c)[q[2]];
    q[{WIDE_QUBITS - 1}] := |0>; q[0] := |0>; CSWAP[q[0], q[1], q[2]]; H[q[{WIDE_QUBITS - 1}]];
    while M[q[{WIDE_QUBITS - 1}]] = 0 and d < 4 do
        d := d + 1; H[q[{WIDE_QUBITS - 1}]]; C_Ry(t)[q[{WIDE_QUBITS - 2}]][q[{WIDE_QUBITS - 1}]];
        dephase(0.2)[q[1]]; CCNOT[q[0], q[1], q[5]]
    od"""


def request(text: str = TEXT, t: float = 0.7, shots: int = 3) -> Request:
    program = parse(text)
    observable = parse_observable("Z[q[2]]*Z[q[17]] + c")
    plan = lower(program, Readout((program.qubits[0], program.qubits[5]), "ZX", (observable,)))
    return Request(plan, bound(plan, {"t": t}), shots, 5, 0, {}, 10**6)


def test_any_number_of_threads_gives_the_same() -> None:
    wanted = request()
    alone = execute(wanted)
    assert len({tuple(row) for row in alone.counters.tolist()}) > 1
    for threads, states in ((16, None), (4, 1), (2, None)):
        shared = execute(wanted, threads, states)
        for one, other in zip(alone, shared, strict=True):
            assert np.array_equal(one, other)


def test_an_angle_without_a_value_is_an_error_there_too() -> None:
    failing = request(TEXT.replace("Ry(t*c)", "Ry(sqrt(t))"), t=-0.7, shots=1)
    with pytest.raises(EvaluationError, match=r"sqrt\(t\)"):
        execute(failing, 4)
