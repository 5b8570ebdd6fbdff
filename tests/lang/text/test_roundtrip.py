"""`parse(str(p)) == p` for random programs and random expressions."""

from __future__ import annotations

from amounts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.channels import known_channels
from qdiff.lang.check import check
from qdiff.lang.expr import Counter, Expr, Number, Parameter
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program, Register

QUBITS = ("q", "S", "d[0]", "d[1]")
COUNTERS = ("c", "T", "m[0]", "m[1]")
PARAMETERS = ("t", "P", "w[0]", "w[1]", "w[2]")

# --- Expressions --------------------------------------------------------------------------------

integers = st.integers(0, 2**63).map(Number)
floats = st.floats(0, 1e308).map(lambda x: Number(abs(x)))


def _integer_nodes(inner: SearchStrategy[Expr]) -> SearchStrategy[Expr]:
    some = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        some.map(lambda x: ex.add(*x)),
        some.map(lambda x: ex.multiply(*x)),
        inner.map(ex.negate),
        st.builds(ex.IntegerQuotient, inner, inner),
        st.builds(ex.Modulo, inner, inner),
    )


counters = st.sampled_from(COUNTERS).map(Counter)
integer_expressions = st.recursive(integers | counters, _integer_nodes, max_leaves=8)


def _element(index: Expr) -> Expr:
    return ex.ParameterElement("w", 3, index) if index.counters() else Parameter("w[0]")


def _real_nodes(inner: SearchStrategy[Expr]) -> SearchStrategy[Expr]:
    some = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        some.map(lambda x: ex.add(*x)),
        some.map(lambda x: ex.multiply(*x)),
        inner.map(ex.negate),
        st.builds(ex.divide, inner, inner),
        st.builds(ex.Power, inner, inner),
        st.builds(ex.Call, st.sampled_from(ex.FUNCTIONS), inner),
    )


leaves = st.one_of(
    integers,
    floats,
    st.just(ex.Pi()),
    counters,
    st.sampled_from(PARAMETERS).map(Parameter),
    integer_expressions.map(_element),
)
expressions = st.recursive(leaves, _real_nodes, max_leaves=12)

# --- Conditions and statements ------------------------------------------------------------------

some_qubits = st.lists(st.sampled_from(QUBITS), min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def measured(draw: DrawFn) -> tree.Condition:
    qubits = draw(some_qubits)
    return tree.Measured(qubits, draw(st.integers(0, 2 ** len(qubits) - 1)))


def _condition_nodes(inner: SearchStrategy[tree.Condition]) -> SearchStrategy[tree.Condition]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(tree.Not, inner), st.builds(tree.And, several), st.builds(tree.Or, several))


simple_conditions = st.one_of(
    measured(),
    st.builds(tree.Flip, expressions),
    st.builds(tree.Compare, expressions, st.sampled_from(tree.OPERATORS), expressions),
)
conditions = st.recursive(simple_conditions, _condition_nodes, max_leaves=5)


@st.composite
def gates(draw: DrawFn) -> tree.Statement:
    name, angles, targets = draw(
        st.sampled_from(
            [("H", 0, 1), ("X", 0, 1), ("Y", 0, 1), ("Z", 0, 1), ("S", 0, 1), ("SWAP", 0, 2), ("Ry", 1, 1),
             ("P", 1, 1), ("Rzz", 1, 2), ("R_XZY", 1, 3), ("U", 3, 1)]
        )
    )  # fmt: skip
    qubits = draw(st.permutations(QUBITS))
    controls = draw(st.integers(0, len(qubits) - targets))
    values = tuple(draw(expressions) for _ in range(angles))
    return tree.Gate(name, values, tuple(qubits[:controls]), tuple(qubits[controls : controls + targets]))


@st.composite
def channels(draw: DrawFn) -> tree.Statement:
    qubit = draw(st.sampled_from(QUBITS))
    return tree.Channel(draw(st.sampled_from(known_channels())), draw(expressions), (qubit,))


simple_statements = st.one_of(
    st.just(tree.Skip()),
    st.just(tree.Abort()),
    st.sampled_from(QUBITS).map(tree.Reset),
    gates(),
    channels(),
    st.builds(tree.Assign, st.sampled_from(COUNTERS), integer_expressions),
    st.builds(tree.Measure, st.sampled_from(COUNTERS), some_qubits),
)


def _blocks(inner: SearchStrategy[tree.Statement]) -> SearchStrategy[tree.Block]:
    return st.lists(inner, min_size=1, max_size=3).map(tuple)


@st.composite
def cases(draw: DrawFn, inner: SearchStrategy[tree.Statement]) -> tree.Statement:
    qubits = draw(some_qubits)
    labels = draw(st.lists(st.integers(0, 2 ** len(qubits) - 1), max_size=3, unique=True))
    arms = tuple((label, draw(_blocks(inner))) for label in labels)
    return tree.Case(qubits, arms, draw(_otherwise(inner)))


def _otherwise(inner: SearchStrategy[tree.Statement]) -> SearchStrategy[tree.Block]:
    return st.just(()) | _blocks(inner).filter(lambda block: block != (tree.Skip(),))


def _statement_nodes(inner: SearchStrategy[tree.Statement]) -> SearchStrategy[tree.Statement]:
    bounds = st.none() | st.integers(1, 10**6)
    return st.one_of(
        st.builds(tree.If, conditions, _blocks(inner), _otherwise(inner)),
        st.builds(tree.While, conditions, _blocks(inner), bounds),
        cases(inner),
    )


statements = st.recursive(simple_statements, _statement_nodes, max_leaves=8)


def program(*body: tree.Statement) -> Program:
    return Program(
        (Register("q"), Register("S"), Register("d", 2)),
        (Register("t"), Register("P"), Register("w", 3)),
        (Register("c"), Register("T"), Register("m", 2)),
        body,
    )


# --- Tests --------------------------------------------------------------------------------------


def _survives(original: Program) -> None:
    assert check(original) is original
    text = str(original)
    again = parse(text)
    assert again == original
    assert hash(again) == hash(original)
    assert str(again) == text


@given(expressions)
def test_angles(expression: Expr) -> None:
    _survives(program(tree.Gate("Ry", (expression,), (), ("q",))))


@given(integer_expressions)
def test_integer_expressions(expression: Expr) -> None:
    _survives(program(tree.Assign("c", expression)))


@given(conditions)
def test_conditions(condition: tree.Condition) -> None:
    _survives(program(tree.If(condition, (tree.Skip(),))))


@settings(max_examples=examples(30))
@given(st.lists(statements, min_size=1, max_size=3))
def test_programs(body: list[tree.Statement]) -> None:
    _survives(program(*body))


@settings(max_examples=examples(20))
@given(st.lists(statements, min_size=1, max_size=2), st.floats(-1e9, 1e9), st.integers(-5, 5))
def test_bound_programs(body: list[tree.Statement], t: float, p: int) -> None:
    bound = program(*body).bind(t=t, P=p)
    assert bound.parameters == ("w[0]", "w[1]", "w[2]")
    _survives(bound)
