"""Channels in programs: read, printed, checked, bound, found by those who walk through a tree."""

from __future__ import annotations

from typing import Any

import pytest

from qdiff.errors import ProgramError
from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.check import check
from qdiff.lang.expr import Number, Parameter
from qdiff.lang.printer import head_text
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Channel, Program, Register
from qdiff.lang.walk import blocks_of, differentiable_expressions

TEXT = """qubit: damp, q[2]
para: p, depolarize, w[2]
count: dephase
dephase(p)[damp];
damp(0.5*dephase + depolarize)[q[1]];
damp := |0>;
if dephase < 2 then
    depolarize(w[dephase])[q[0]]
fi
"""


def test_a_text_and_its_program() -> None:
    """Like gates, channels may lend their names to qubits, parameters and counters."""
    program = parse(TEXT)
    assert str(program) == TEXT
    assert program.body[0] == Channel("dephase", Parameter("p"), ("damp",))
    assert program.body[2] == tree.Reset("damp")
    assert check(program) is program
    assert program.trainable == ("p", "depolarize", "w[0]", "w[1]")


def test_places() -> None:
    statement = parse("qubit: q\nX[q];\n  dephase(0.1)[q]").body[1]
    assert isinstance(statement, Channel)
    assert statement.pos is not None
    assert (statement.pos.line, statement.pos.column, statement.pos.length) == (3, 3, 15)
    assert statement == Channel("dephase", Number(0.1), ("q",))


def test_in_procedures_and_loops() -> None:
    program = parse(
        "qubit: q[3] para: t def noisy(p)[x] do damp(p/2)[x] od for i in 1..2 do noisy(t*i)[q[i]] od"
    )
    assert [head_text(s) for s in program.body] == ["damp(t/2)[q[1]]", "damp(t*2/2)[q[2]]"]


def test_walking() -> None:
    channel = Channel("damp", ex.add(Parameter("t"), ex.ONE), ("q",))
    assert blocks_of(channel) == ()
    assert list(differentiable_expressions((channel,))) == [channel.probability]


def test_binding() -> None:
    program = parse("qubit: q para: p, t damp(p*t)[q]; dephase(t)[q]")
    bound = program.bind(p=0.25)
    assert bound == parse("qubit: q para: t damp(0.25*t)[q]; dephase(t)[q]")
    assert bound.body[0].pos == program.body[0].pos


def test_a_compared_probability_is_not_trainable() -> None:
    assert parse("qubit: q para: p if p < 1 then damp(p)[q] fi").trainable == ()


def program(*body: Any) -> Program:
    return Program((Register("q"), Register("r")), (Register("t"),), (Register("c"),), body)


HALF = Number(0.5)


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (Channel("damping", HALF, ("q",)), "there is no channel `damping`. Did you mean `damp`?"),
        (Channel("damp", HALF, ("q", "r")), "channel `damp` acts on 1 qubit, got 2."),
        (Channel("damp", HALF, ()), "channel `damp` acts on 1 qubit, got 0."),
        (Channel("damp", HALF, ["q"]), "qubits are given as a tuple of names, got ['q']."),  # type: ignore[arg-type]
        (Channel("damp", HALF, ("s",)), "qubit `s` is not declared. Declared: q, r."),
        (Channel("damp", Parameter("u"), ("q",)), "parameter `u` is not declared. Declared: t."),
        (
            Channel("damp", 0.5, ("q",)),  # type: ignore[arg-type]
            "expected an expression, got 0.5. A number is written `expr.number(0.5)`.",
        ),
    ],
)
def test_trees_that_are_refused(channel: Channel, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        check(program(channel))
    assert str(caught.value) == message
