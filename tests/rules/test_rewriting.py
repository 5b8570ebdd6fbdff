"""Rewriting: conditions that are evaluated in steps, and loops that are counted, mean the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from reference.interpreter import expectation, run
from strategies import cases

from qdiff.lang.check import check
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Block, Channel, Flip, Program, Skip
from qdiff.rules.primitive import Primitive, argument
from qdiff.rules.rewriting import Rewriter
from qdiff.rules.workspace import Workspace

Seen = list[tuple[str, bool]]


def rewritten(program: Program, parameter: str, seen: Seen, *, keep: bool = True) -> Program:
    """The program with every primitive of a parameter replaced by what does the same, or by nothing."""
    workspace = Workspace(program)

    def occurs(expression: Expr) -> bool:
        return parameter in expression.parameters()

    def put(primitive: Primitive, same: Block, looped: bool) -> Block:
        seen.append((str(argument(primitive)), looped))
        return same if keep else (Skip(),)

    body = Rewriter(program, occurs, put, workspace).body()
    made = workspace.completed(replace(program, body=body))
    check(made)
    assert parse(str(made)) == made
    return made


def value(program: Program, observable: Observable, params: dict[str, float]) -> float:
    return float(expectation(program, observable, run(program, params)))


CONDITIONS = """qubit: q, r para: t count: c
Ry(0.7)[q]; Ry(1.1)[r];
if M[q] = 1 and not (flip(t) or M[r] = 0) or c < 1 and flip(t/2) then c++ else X[r] fi;
while{3} flip(0.9*t) or M[q] = 1 do c := c + 2; Ry(t)[q]; if flip(t) then skip else H[r] fi od
"""


def test_conditions_are_evaluated_in_steps() -> None:
    program, observable, seen = parse(CONDITIONS), parse_observable("c + Z[q] + X[r]*c + 1"), Seen()
    made = rewritten(program, "t", seen)
    assert seen == [("t", False), ("t/2", False), ("0.9*t", True), ("t", True), ("t", True)]
    params = {"t": 0.3}
    assert value(made, observable, params) == pytest.approx(value(program, observable, params), abs=1e-12)
    # Nothing in place of the primitives is another program.
    broken = rewritten(program, "t", [], keep=False)
    assert abs(value(broken, observable, params) - value(program, observable, params)) > 1e-2


def test_what_is_not_touched_stays() -> None:
    program = parse(
        "qubit: q para: t, u while M[q] = 0 and flip(u) do Ry(u)[q]; U(u, u, 0.2)[q] od; Ry(t)[q]"
    )
    seen = Seen()
    assert rewritten(program, "t", seen).body == program.body
    assert seen == [("t", False)]


def test_the_pass_beyond_the_bound_aborts() -> None:
    program = parse("qubit: q para: t count: c while{2} flip(t) do c++ od")
    made, observable = rewritten(program, "t", []), parse_observable("1")
    for t in (0.0, 0.4, 1.0):
        # The second pass ends in abort: 1 - t, and t(1 - t) after one pass.
        assert value(made, observable, {"t": t}) == pytest.approx(1 - t**2, abs=1e-12)


@settings(max_examples=40)
@given(cases(unbounded=False))
def test_random_programs_mean_the_same(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    for parameter in program.trainable[:2]:
        made = rewritten(program, parameter, Seen())
        assert value(made, observable, params) == pytest.approx(value(program, observable, params), abs=1e-9)


def test_primitives_are_gates_channels_and_flips() -> None:
    program, kinds = parse("qubit: q para: t Ry(t)[q]; damp(t)[q]; if flip(t) then U(t, 1, t)[q] fi"), []

    def put(primitive: Primitive, same: Block, looped: bool) -> Block:
        kinds.append("flip" if isinstance(primitive, Flip) else primitive.name)
        assert isinstance(primitive, Channel | Flip) or len(primitive.angles) == 1
        return same

    Rewriter(program, lambda e: "t" in e.parameters(), put, Workspace(program)).body()
    assert kinds == ["Ry", "damp", "flip", "P", "Ry"]
