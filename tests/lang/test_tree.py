"""Trees: names, trainable parameters, equality; walking; nesting is no limit."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from expressions import C, S, T

from qdiff.lang.expr import ONE, Number, Parameter, ParameterElement, add
from qdiff.lang.source import Position, Source
from qdiff.lang.tree import (
    Abort,
    And,
    Assign,
    Block,
    Case,
    Compare,
    Condition,
    Flip,
    Gate,
    If,
    Measure,
    Measured,
    Not,
    Or,
    Program,
    Register,
    Reset,
    Skip,
    Statement,
    While,
)
from qdiff.lang.walk import (
    all_conditions,
    blocks_of,
    compared_parameters,
    condition_of,
    conditions,
    differentiable_expressions,
    differentiable_parameters,
    statements,
    unbounded_loops,
)

Q_IS_ONE = Measured(("q",), 1)
HERE = Position(3, 5)
RX = Gate("Rx", (T,), (), ("q",))
NESTING = 500


def program(*body: Statement) -> Program:
    return Program(
        (Register("q"), Register("data", 2)),
        (Register("t"), Register("s"), Register("w", 3)),
        (Register("c"), Register("m", 2)),
        body,
    )


def test_elements_of_registers() -> None:
    assert Register("q").elements == ("q",)
    assert Register("w", 3).elements == ("w[0]", "w[1]", "w[2]")
    assert Register("w", 1).elements == ("w[0]",)


def test_names_in_declared_order() -> None:
    p = program(Skip())
    assert p.qubits == ("q", "data[0]", "data[1]")
    assert p.parameters == ("t", "s", "w[0]", "w[1]", "w[2]")
    assert p.counters == ("c", "m[0]", "m[1]")


def test_trainable_are_those_in_angles_and_probabilities_and_in_no_comparison() -> None:
    p = program(
        Gate("Rx", (Parameter("w[1]"),), (), ("q",)),
        If(And((Flip(T), Compare(C, "<", S))), (Gate("Ry", (add(S, T),), (), ("q",)),)),
    )
    assert differentiable_parameters(p) == {"t", "s", "w[1]"}
    assert compared_parameters(p) == p.compared == {"s"}
    assert p.trainable == ("t", "w[1]")


def test_unbounded_loops_in_printed_order() -> None:
    inner, outer = While(Q_IS_ONE, (RX,)), While(Q_IS_ONE, (Skip(),), 3)
    last = While(Not(Q_IS_ONE), (Skip(),))
    assert unbounded_loops(program(While(Q_IS_ONE, (inner,), 2), outer, If(Q_IS_ONE, (last,)))) == [
        inner,
        last,
    ]
    assert unbounded_loops(program(outer, RX)) == []


def test_all_elements_of_an_array_indexed_by_a_counter_are_trainable() -> None:
    p = program(Gate("Ry", (ParameterElement("w", 3, C),), (), ("q",)))
    assert p.trainable == ("w[0]", "w[1]", "w[2]")


def test_nothing_is_trainable_where_nothing_occurs() -> None:
    assert program(Skip()).trainable == ()


EVERY_STATEMENT: list[Statement] = [
    Skip(),
    Abort(),
    Reset("q"),
    RX,
    Assign("c", add(C, ONE)),
    Measure("c", ("q",)),
    If(Q_IS_ONE, (RX,), (Skip(),)),
    Case(("q",), ((0, (RX,)), (1, (Skip(),))), (Abort(),)),
    While(Q_IS_ONE, (RX,), 3),
]
EVERY_CONDITION: list[Condition] = [
    Q_IS_ONE,
    Flip(T),
    Compare(C, "<=", Number(3)),
    Not(Q_IS_ONE),
    And((Q_IS_ONE, Flip(T))),
    Or((Q_IS_ONE, Flip(T))),
]
EVERY_NODE = [*EVERY_STATEMENT, *EVERY_CONDITION]


@pytest.mark.parametrize("node", EVERY_NODE, ids=lambda node: type(node).__name__)
def test_positions_do_not_count(node: Statement | Condition) -> None:
    fields = {name: getattr(node, name) for name in type(node).__match_args__}
    moved = type(node)(**fields, pos=HERE)
    assert moved == node
    assert hash(moved) == hash(node)
    assert repr(moved) == repr(node)
    assert moved.pos == HERE


def test_different_nodes_are_not_equal() -> None:
    variants = [
        *EVERY_NODE,
        If(Q_IS_ONE, (RX,)),
        If(Q_IS_ONE, (Skip(),), (RX,)),
        If(Q_IS_ONE, (RX, Skip())),
        If(Not(Q_IS_ONE), (RX,)),
        Case(("q",), ((0, (RX,)), (1, ())), (Skip(), Abort())),
        Case(("q",), ((0, (RX,)),), (Skip(), Abort())),
        While(Q_IS_ONE, (RX,)),
        While(Q_IS_ONE, (RX,), 4),
        And((Flip(T), Q_IS_ONE)),
        And((Q_IS_ONE, Flip(T), Flip(T))),
        And((And((Q_IS_ONE, Flip(T))), Flip(T))),
        And((Q_IS_ONE, And((Flip(T), Flip(T))))),
        Gate("Rx", (T,), ("data[0]",), ("q",)),
    ]
    for i, one in enumerate(variants):
        for j, other in enumerate(variants):
            assert (one == other) == (i == j)
        assert one != repr(one)
    assert len(set(variants)) == len(variants)


def test_repr_shows_every_field_but_the_position() -> None:
    assert repr(If(Not(Q_IS_ONE, pos=HERE), (Skip(), Abort()), pos=HERE)) == (
        "If(condition=Not(operand=Measured(qubits=('q',), value=1)), then=(Skip(), Abort()), otherwise=())"
    )
    assert repr(While(Q_IS_ONE, (Skip(),), 2)) == (
        "While(condition=Measured(qubits=('q',), value=1), body=(Skip(),), bound=2)"
    )


def test_nodes_are_frozen() -> None:
    for node in EVERY_NODE:
        name = (*type(node).__match_args__, "pos")[0]
        with pytest.raises(FrozenInstanceError):
            setattr(node, name, None)


def test_the_source_of_a_program_does_not_count() -> None:
    one = program(RX)
    other = Program(
        one.qubit_registers, one.parameter_registers, one.counter_registers, one.body, Source("a.qprog", "…")
    )
    assert one == other
    assert hash(one) == hash(other)
    assert one != program(RX, RX)


def nested(levels: int) -> Block:
    block: Block = (RX,)
    for level in range(levels):
        match level % 3:
            case 0:
                block = (If(Q_IS_ONE, (Skip(),), block),)
            case 1:
                block = (While(Not(Q_IS_ONE), block),)
            case _:
                block = (Case(("q",), ((1, block),)),)
    return block


def nested_condition(levels: int) -> Condition:
    condition: Condition = Flip(T)
    for level in range(levels):
        condition = (Not(condition), And((condition, Q_IS_ONE)), Or((Q_IS_ONE, condition)))[level % 3]
    return condition


def test_nesting_is_no_limit_for_statements() -> None:
    one, other = program(*nested(NESTING)), program(*nested(NESTING))
    assert one == other
    assert hash(one) == hash(other)
    assert one != program(*nested(NESTING - 3))
    assert repr(one).count("While(") == len(range(1, NESTING, 3))
    assert len(list(statements(one.body))) == NESTING + 1 + len(range(0, NESTING, 3))
    assert one.trainable == ("t",)


def test_nesting_is_no_limit_for_conditions() -> None:
    one, other = nested_condition(NESTING), nested_condition(NESTING)
    assert one == other
    assert hash(one) == hash(other)
    assert one != nested_condition(NESTING - 3)
    assert repr(one).count("Not(") == len(range(0, NESTING, 3))
    assert program(If(one, (Skip(),))).trainable == ("t",)


def test_walking_goes_in_printed_order() -> None:
    inner = If(Q_IS_ONE, (RX,), (Abort(),))
    loop = While(Q_IS_ONE, (Skip(), inner))
    case = Case(("q",), ((0, (Reset("q"),)), (1, (Skip(),))), (Abort(),))
    assert list(statements((loop, case))) == [
        loop, Skip(), inner, RX, Abort(), case, Reset("q"), Skip(), Abort(),
    ]  # fmt: skip
    assert list(statements(())) == []


def test_blocks_of_every_statement() -> None:
    assert [blocks_of(statement) for statement in EVERY_STATEMENT] == [
        (), (), (), (), (), (), ((RX,), (Skip(),)), ((RX,), (Skip(),), (Abort(),)), ((RX,),),
    ]  # fmt: skip


def test_conditions_of_statements() -> None:
    both = And((Q_IS_ONE, Not(Flip(T))))
    guard = Or((both, Flip(S)))
    assert list(conditions(guard)) == [guard, both, Q_IS_ONE, Not(Flip(T)), Flip(T), Flip(S)]
    block = (While(guard, (If(Q_IS_ONE, (Skip(),)),)),)
    assert list(all_conditions(block)) == [*conditions(guard), Q_IS_ONE]
    assert [condition_of(statement) for statement in EVERY_STATEMENT] == [None] * 6 + [
        Q_IS_ONE,
        None,
        Q_IS_ONE,
    ]


def test_angles_and_probabilities_are_the_differentiable_expressions() -> None:
    block = (RX, If(And((Flip(S), Compare(C, "<", Parameter("w[0]")))), (Gate("P", (ONE,), (), ("q",)),)))
    assert set(differentiable_expressions(block)) == {T, S, ONE}
