"""The verifier accepts what is lowered, and says of every broken plan which row is wrong and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sim.machine.sampled import ALL
from strategies import programs

from qdiff.lang.observable import X, Z
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.machine import code as c
from qdiff.sim.machine.bytecode import CODE
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.verify import verify
from qdiff.sim.machine.verify_expressions import InvalidPlan
from qdiff.sim.protocol import Readout
from qdiff.sim.pure import plan as p

EVERYTHING = parse(
    "qubit: a, b, d, e\npara: t, w[3]\ncount: k, m\n"
    "while M[b, a] = 1 do a := |0>; b := |0>; d := |0>; e := |0>; H[a]; Ry(t)[a]; Rzz(t)[a, b];\n"
    "X[d]; CNOT[d, e]; P(t)[e]; C_Rxx(w[0])[e][a, d]; Rx(w[k])[b]; k := k + 1;\n"
    "m := 2*m mod (k + 5) od;\n"
    "k := M[d, e]; a := |0>; if flip(t) and logpower_hazard(k + 1, 1/2) < 2*t then\n"
    "damp(t)[e]; dephase(t/2)[d] else if M[e] = 1 then abort fi fi"
)
READOUT = Readout(("a", "b"), "XZ", (X("a") * Z("b") + 2,))
LARGE = parse("qubit: q[13]\npara: t\nRy(t)[q[3]]; CNOT[q[0], q[12]]; Rxx(t)[q[5], q[6]]; Ry(t)[q[5]]")
PLAN, LARGE_PLAN = lower(EVERYTHING, READOUT), lower(LARGE, Readout())


@pytest.mark.parametrize("name", ALL)
def test_lowered_programs_are_valid(name: str) -> None:
    program, _ = ALL[name]
    verify(lower(program, Readout(program.qubits, "Y" * len(program.qubits), (Z(program.qubits[0]),))))


@settings(max_examples=60)
@given(programs(declared=True))
def test_random_programs_are_valid(program: Program) -> None:
    verify(lower(program, Readout()))


def test_these_plans_are_valid_and_have_everything() -> None:
    verify(PLAN)
    verify(LARGE_PLAN)
    assert set(PLAN.code.instructions[:, c.OP]) == set(range(len(c.OPCODES)))


# --- Broken plans ---------------------------------------------------------------------------------


def with_entry(table: str, where: Any, value: Any, plan: c.Lowered = PLAN) -> c.Lowered:
    """The plan with other numbers at a place of a table."""
    array = getattr(plan.code, table).copy()
    array[where] = value
    return replace(plan, code=plan.code._replace(**{table: array}))


def without_last(table: str) -> c.Lowered:
    return replace(PLAN, code=PLAN.code._replace(**{table: getattr(PLAN.code, table)[:-1]}))


def at(operation: int) -> int:
    """The first instruction of a kind."""
    return int(np.flatnonzero(PLAN.code.instructions[:, c.OP] == operation)[0])


def instruction(operation: int, column: int, value: int) -> c.Lowered:
    return with_entry("instructions", (at(operation), column), value)


def op(kind: int, column: int, value: int, plan: c.Lowered = PLAN) -> c.Lowered:
    """The plan with another number in the first op of a kind that is made of one gate at least."""
    return with_entry("ops", (int(np.flatnonzero(plan.code.ops[:, p.KIND] == kind)[0]), column), value, plan)


def row_of(name: str) -> int:
    """The first row of an expression that does this."""
    return int(np.flatnonzero(PLAN.code.rows[:, 0] == CODE[name])[0])


LIVE_OP = int(np.flatnonzero(PLAN.code.ops[:, c.LIVE] >= 0)[0])
LIVE_GATE = int(PLAN.code.ops[LIVE_OP, c.LIVE])
BOUND = int(np.flatnonzero(PLAN.code.modes == c.BOUND)[0])
FUSED = int(np.flatnonzero(np.diff(PLAN.code.member_starts) > 1)[0])
STRETCH = int(PLAN.code.instructions[at(c.MEASURE), c.A])

BROKEN: dict[str, tuple[Callable[[], c.Lowered], str]] = {
    # Instructions
    "columns": (
        lambda: replace(PLAN, code=PLAN.code._replace(instructions=PLAN.code.instructions[:, :6])),
        "instructions have 7 columns",
    ),
    "no source": (lambda: replace(PLAN, sources=PLAN.sources[:-1]), "every instruction has a source"),
    "no such operation": (
        lambda: instruction(c.STEP, c.OP, 14),
        r"instruction \d+: there is no operation 14",
    ),
    "no cost": (lambda: instruction(c.TOSS, c.COST, 0), r"\(toss\): it counts 0 steps, at least 1"),
    "counter of a step": (lambda: instruction(c.STEP, c.A, 2), r"\(step\): counter 2 is outside 0 \.\. 1"),
    "expression of a step": (lambda: instruction(c.STEP, c.C, -1), r"\(step\): expression -1 is outside"),
    "left side": (lambda: instruction(c.DECIDE, c.A, 99), r"\(decide\): left side 99 is outside"),
    "right side": (lambda: instruction(c.DECIDE, c.B, 99), r"\(decide\): right side 99 is outside"),
    "operator": (lambda: instruction(c.DECIDE, c.C, 6), r"\(decide\): operator 6 is outside 0 \.\. 5"),
    "expression of a set": (lambda: instruction(c.SET, c.A, 99), r"\(set\): expression 99 is outside"),
    "counter of a set": (lambda: instruction(c.SET, c.B, -1), r"\(set\): counter -1 is outside"),
    "stop": (lambda: instruction(c.STOP, c.A, 2), r"\(stop\): whether it aborts 2 is outside 0 \.\. 1"),
    "clear": (lambda: instruction(c.CLEAR, c.A, 3), r"\(clear\): it resets 3 of 4 qubits"),
    "ops out of range": (lambda: instruction(c.GATES, c.B, 99), r"\(gates\): its ops are \d+ \.\. 98"),
    "ops of a live gate": (
        lambda: instruction(c.LIVE_GATE, c.B, LIVE_OP),
        r"\(live_gate\): it has 0 ops, not one",
    ),
    "live gate as gates": (
        lambda: with_entry("instructions", (at(c.LIVE_GATE), c.OP), c.GATES),
        rf"\(gates\): op {LIVE_OP} belongs to the other kind",
    ),
    "op of nobody": (
        lambda: instruction(c.GATES, c.B, int(PLAN.code.instructions[at(c.GATES), c.A])),
        "every op belongs to one instruction",
    ),
    "probability of a flip": (lambda: instruction(c.TOSS, c.A, 99), r"\(toss\): probability 99 is outside"),
    "measured qubits": (lambda: instruction(c.MEASURE, c.A, 99), r"\(measure\): its qubits are out of range"),
    "measured qubit": (lambda: with_entry("qubits", STRETCH, 4), r"\(measure\): qubit 4 is outside 0 \.\. 3"),
    "measured twice": (
        lambda: with_entry("qubits", STRETCH, PLAN.code.qubits[STRETCH + 1]),
        r"\(measure\): it measures qubits \[0, 0\], each once",
    ),
    "nothing measured": (
        lambda: instruction(c.READ, c.B, 0),
        r"\(read\): it measures qubits \[\], each once",
    ),
    "room for outcomes": (lambda: replace(PLAN, outcomes=2), "4 outcomes in room for 2"),
    "targets": (lambda: instruction(c.MEASURE, c.C, 99), r"\(measure\): its targets are out of range"),
    "recorded counter": (lambda: instruction(c.RECORD, c.C, 2), r"\(record\): counter 2 is outside 0 \.\. 1"),
    "reset qubit": (lambda: instruction(c.RESET, c.A, 4), r"\(reset\): qubit 4 is outside 0 \.\. 3"),
    "probability of a channel": (lambda: instruction(c.CHANNEL, c.A, 99), r"\(channel\): probability 99 is"),
    "qubit of a channel": (lambda: instruction(c.CHANNEL, c.B, -1), r"\(channel\): qubit -1 is outside"),
    "channel without a record": (lambda: replace(PLAN, channels={}), r"\(channel\): its channel"),
    "not written": (lambda: replace(PLAN, written={}), "nothing says what it was written as"),
    "Kraus operators of two channels": (
        lambda: instruction(c.CHANNEL, c.C, 16 - int(PLAN.code.instructions[at(c.CHANNEL), c.C])),
        r"Kraus operators: numbers 0 \.\. 15 belong to none, or to two",
    ),
    # Flow
    "entry": (lambda: replace(PLAN, entry=99), "the entry 99 is outside"),
    "jump": (lambda: instruction(c.RESET, c.NEXT, 99), r"\(reset\): jump 99 is outside"),
    "jump of an outcome": (lambda: with_entry("targets", 0, -1), r"\(measure\): jump -1 is outside"),
    "other branch": (lambda: instruction(c.DECIDE, c.ELSE, 99), r"\(decide\): jump 99 is outside"),
    "never reached": (
        lambda: instruction(c.RECORD, c.NEXT, at(c.RECORD)),
        r"instruction \d+: nothing leads there",
    ),
    # Gates
    "row of a gate": (lambda: without_last("gates"), "every gate has a row"),
    "how": (lambda: with_entry("gates", (0, c.HOW), 4), r"gate 0: how it is made 4 is outside 0 \.\. 3"),
    "angle": (lambda: with_entry("gates", (0, c.EXPRESSION), 99), "gate 0: expression 100 is outside"),
    "angle of another": (
        lambda: with_entry("gates", (LIVE_GATE, c.EXPRESSION), BOUND),
        f"gate {LIVE_GATE}: its angle is not that of the gate",
    ),
    "fixed with an angle": (
        lambda: with_entry("gates", (LIVE_GATE, c.HOW), c.FIXED),
        f"gate {LIVE_GATE}: it is fixed and has an angle, or neither",
    ),
    "size of a gate": (lambda: with_entry("gates", (0, c.SIZE), 8), "gate 0: its matrix has 8 rows"),
    "data of a gate": (lambda: with_entry("gates", (0, c.DATA), 9999), "gate 0: its data are out of range"),
    "place of a gate": (
        lambda: with_entry("gates", (0, c.PLACE), 1),
        r"gate matrices: numbers 0 \.\. 0 belong to none, or to two",
    ),
    # Ops
    "columns of ops": (
        lambda: replace(PLAN, code=PLAN.code._replace(ops=PLAN.code.ops[:, :9])),
        "ops have 12 columns",
    ),
    "starts of members": (
        lambda: with_entry("member_starts", 0, 1),
        "the members of every op begin somewhere",
    ),
    "lost member": (lambda: with_entry("member_starts", -1, 1), "every member belongs to an op"),
    "made of nothing": (
        lambda: with_entry("member_starts", FUSED + 1, PLAN.code.member_starts[FUSED]),
        rf"op {FUSED}: it is made of no gate",
    ),
    "kind": (lambda: op(c.LISTED, p.KIND, 3), r"op \d+: there is no kind 3"),
    "size of a matrix": (lambda: op(c.LISTED, c.NUMBERS, 16), r"op \d+: size of its matrix"),
    "matrix of two ops": (lambda: with_entry("ops", (1, c.MATRIX), 0), "matrices: numbers .* or to two"),
    "gate of a member": (
        lambda: with_entry("members", (PLAN.code.member_starts[FUSED], c.GATE), 99),
        rf"op {FUSED}: gate 99 is outside",
    ),
    "live gate of another": (
        lambda: with_entry("ops", (LIVE_OP, c.LIVE), LIVE_GATE + 1),
        rf"op {LIVE_OP}: its live gate is not its gate",
    ),
    "live gate that is not": (
        lambda: replace(
            with_entry("gates", (LIVE_GATE, c.EXPRESSION), BOUND),
            gates=[replace(g, expression=BOUND) if i == LIVE_GATE else g for i, g in enumerate(PLAN.gates)],
        ),
        rf"op {LIVE_OP}: its live gate reads no counter",
    ),
    "no permutation": (
        lambda: with_entry("perms", PLAN.code.ops[PLAN.code.ops[:, p.KIND] == c.MONOMIAL][0, p.FIRST], 1),
        r"op \d+: it is no permutation",
    ),
    "permutation out of range": (
        lambda: op(c.MONOMIAL, p.FIRST, -1),
        r"op \d+: its permutation is out of range",
    ),
    "places": (lambda: op(c.LISTED_MANY, p.FIRST, 9999), r"op \d+: its places are out of range"),
    "list": (lambda: op(c.LISTED, p.FIELDS, 9999), r"op \d+: its list is out of range"),
    "twice": (
        lambda: with_entry("perms", PLAN.code.ops[PLAN.code.ops[:, p.KIND] == c.LISTED][0, p.FIELDS], 2),
        r"op \d+: it touches an amplitude twice",
    ),
    "outside": (lambda: op(c.LISTED, p.FIRST, 16), r"op \d+: it leaves its 4 qubits"),
    "fields": (lambda: op(p.GENERAL, p.FIELDS_END, 9999, LARGE_PLAN), r"op \d+: its fields are out of range"),
    "too few": (lambda: op(p.GENERAL, p.COUNT, 3, LARGE_PLAN), r"op \d+: it touches not 8192 amplitudes"),
    "member that is too large": (
        lambda: with_entry("members", (PLAN.code.member_starts[FUSED], p.FIRST), 4),
        rf"op {FUSED}, gate \d+: it leaves its \d qubits",
    ),
    # Expressions
    "starts": (lambda: without_last("starts"), "every expression begins somewhere"),
    "first row": (lambda: with_entry("starts", 0, 1), "the first expression begins at row 0"),
    "lost row": (lambda: with_entry("starts", -1, 1), "every row belongs to an expression"),
    "mode of none": (lambda: without_last("modes"), "every expression has a mode and a kind"),
    "no rows": (lambda: with_entry("starts", 1, 0), r"expression 0 \(`.*`\): it has no rows"),
    "longest": (lambda: replace(PLAN, longest=1), r"rows in room for 1"),
    "operation": (lambda: with_entry("rows", (0, 0), 99), "row 0: there is no operation 99"),
    "later row": (
        lambda: with_entry("rows", (row_of("hazard"), 1), 50),
        "`hazard` reads row 50, which is not before it",
    ),
    "other kind": (
        lambda: with_entry("rows", (row_of("to float"), 0), CODE["negate"]),
        "`negate` reads `.*`, of the other kind",
    ),
    "counter": (lambda: with_entry("rows", (row_of("counter"), 1), 2), r"`counter` reads 2 \.\. 2 of 2"),
    "parameter": (
        lambda: with_entry("rows", (row_of("parameter"), 1), 4),
        r"`parameter` reads 4 \.\. 4 of 4",
    ),
    "element": (lambda: with_entry("rows", (row_of("element"), 3), 4), r"`element` reads 1 \.\. 4 of 4"),
    "hazards": (lambda: without_last("hazards"), r"`hazard` reads 0 \.\. 8191 of 8191"),
    "mode": (lambda: with_entry("modes", 0, 1), r"expression 0 .*: its mode is 1, not -\d"),
    "kind of an expression": (
        lambda: with_entry("whole", 0, not PLAN.code.whole[0]),
        "expression 0 .*: its kind is not that of its last row",
    ),
    # Read-out
    "masks": (lambda: without_last("masks"), "every operator of the read-out has its masks"),
    "phases": (lambda: without_last("phases"), "every operator of the read-out has a phase"),
    "operators taken twice": (
        lambda: instruction(c.EXPECT, c.A, 1),
        "every operator is taken by one instruction",
    ),
    "operators that are none": (
        lambda: instruction(c.EXPECT, c.B, 99),
        r"\(expect\): its operators are 0 \.\. 98",
    ),
    "mask": (lambda: with_entry("masks", (0, 0), 16), r"operator 0: mask 16 is outside 0 \.\. 15"),
    "ones": (lambda: with_entry("masks", (0, 3), 1), "operator 0: it asks for ones where it keeps nothing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plan_is_explained(name: str) -> None:
    break_it, message = BROKEN[name]
    with pytest.raises(InvalidPlan, match=message):
        verify(break_it())
