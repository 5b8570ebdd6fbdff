"""What is fused, and that long sequences on large registers are cut where an interrupt can be heard."""

from __future__ import annotations

import numpy as np
import pytest
from sim.machine.sampled import executed

from qdiff.lang.text.parser import parse
from qdiff.sim.machine import code as c
from qdiff.sim.machine import lowering
from qdiff.sim.machine.listing import listing, program_listing
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.verify import verify
from qdiff.sim.protocol import Readout


def passes(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """The kinds of the passes, and their gates."""
    return [(one.kind, one.gates) for line in program_listing(parse(text)).lines for one in line.passes]


def test_a_small_register_is_one_matrix() -> None:
    gates = ("H[a]", "CNOT[a, b]", "Ry(t)[b]")
    assert passes("qubit: a, b\npara: t\n" + "; ".join(gates)) == [("whole register", gates)]


def test_a_gate_alone_stays_alone() -> None:
    assert passes("qubit: a, b, d\nH[b]") == [("one qubit", ("H[b]",))]


FOUR = "qubit: a, b, d, e\npara: t, u\n"


def test_gates_on_the_same_qubits_are_one_block() -> None:
    found = passes(FOUR + "Ry(t)[a]; Ry(u)[d]; Rzz(t)[a, b]; H[b]; H[d]")
    assert found == [("block", ("Ry(t)[a]", "Rzz(t)[a, b]", "H[b]")), ("one qubit", ("Ry(u)[d]", "H[d]"))]


def test_permutations_and_phases_are_one_pass() -> None:
    found = passes(FOUR + "CNOT[a, b]; CNOT[b, d]; CNOT[d, e]; P(t)[e]; H[a]")
    assert found == [
        ("permutation", ("CNOT[a, b]", "CNOT[b, d]", "CNOT[d, e]", "P(t)[e]")),
        ("one qubit", ("H[a]",)),
    ]


def test_a_gate_does_not_pass_one_that_it_does_not_commute_with() -> None:
    found = passes(FOUR + "CNOT[a, b]; H[b]; CNOT[b, d]; CNOT[a, e]; X[b]")
    order = [gate for _, gates in found for gate in gates]
    assert order.index("CNOT[a, b]") < order.index("H[b]") < order.index("CNOT[b, d]") < order.index("X[b]")


def test_identities_are_left_out_and_count_as_steps() -> None:
    plan = lower(parse(FOUR + "I[a]; H[b]; I[d]"), Readout())
    assert listing(plan).totals["gates"] == 1
    assert plan.code.instructions[0, c.COST] == 3
    empty = lower(parse(FOUR + "I[a]; I[d]"), Readout())
    verify(empty)
    assert empty.code.instructions[0, [c.A, c.B, c.COST]].tolist() == [0, 0, 2]


def test_where_ways_join_a_run_of_gates_ends() -> None:
    text = "qubit: a, b\nX[a]; if M[b] = 1 then Y[a] fi; Z[a]; while M[a] = 0 do S[a] od; H[b]"
    assert sorted(gates for _, gates in passes(text)) == [
        ("H[b]",),
        ("S[a]",),
        ("X[a]",),
        ("Y[a]",),
        ("Z[a]",),
    ]


def test_long_sequences_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse(
        FOUR
        + "\n".join(f"Ry(t*{i})[a]; Rxx(u)[a, b]; I[e]; Rx({i})[d]; Rzz(t)[d, b];" for i in range(1, 9))
        + "H[a]"
    )
    params = {"t": 0.3, "u": 0.9}
    whole = lower(program, Readout())
    expected = executed(program, params, 200)
    monkeypatch.setattr(lowering, "MOST_AMPLITUDES", 3 * 16)
    cut = lower(program, Readout())
    verify(cut)
    rows = cut.code.instructions
    gates = rows[rows[:, c.OP] == c.GATES]
    assert len(gates) > 5
    assert (gates[:, c.B] - gates[:, c.A]).max() == 3
    assert rows[:, c.COST].sum() == whole.code.instructions[:, c.COST].sum()
    found = executed(program, params, 200)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
