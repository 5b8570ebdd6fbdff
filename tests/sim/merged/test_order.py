"""The order of instructions: branches before where they meet, loops before what follows them."""

from __future__ import annotations

from hypothesis import given, settings
from strategies import cases

from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.machine import code as c
from qdiff.sim.machine.lowering import lower
from qdiff.sim.merged.order import ranks
from qdiff.sim.protocol import Readout


def order(program: Program) -> list[tuple[str, list[int]]]:
    """Names and operands of the instructions as they are ranked, read-outs first."""
    plan = lower(program, Readout(program.qubits))
    places = ranks(plan.code, plan.entry)
    rows = [plan.code.instructions[pc] for pc in sorted(range(len(places)), key=lambda pc: places[pc])]
    return [(c.OPCODES[row[c.OP]], [int(row[c.A]), int(row[c.B])]) for row in rows]


def test_nested_loops_and_branches() -> None:
    program = parse(
        "qubit: q\ncount: a, b, d, e\n"
        "while flip(0.5) do a++; while flip(0.25) do b++ od;"
        "if flip(0.75) then d++ else d := 7 fi; e++ od; X[q]"
    )
    names = order(program)
    assert names[0][0] == "read"
    steps = [operands[0] for name, operands in names if name == "step"]
    assert steps == [0, 1, 2, 3]
    kinds = [name for name, _ in names[1:]]
    assert kinds[-2:] == ["gates", "stop"]
    assert kinds[:4] == ["toss", "step", "toss", "step"]


@settings(max_examples=60)
@given(cases())
def test_only_ways_back_to_heads_go_backwards(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, _, _ = case
    plan = lower(program, Readout(()))
    places = ranks(plan.code, plan.entry)
    assert sorted(places.tolist()) == list(range(1, len(places) + 1))
    heads = set()
    for pc, row in enumerate(plan.code.instructions):
        following = [row[c.NEXT], row[c.ELSE]] if row[c.OP] in (c.DECIDE, c.TOSS) else [row[c.NEXT]]
        if row[c.OP] == c.MEASURE:
            following = plan.code.targets[row[c.C] : row[c.C] + (1 << row[c.B])].tolist()
        if row[c.OP] != c.STOP:
            heads |= {int(target) for target in following if places[target] <= places[pc]}
    assert len(heads) <= str(program).count("while")
