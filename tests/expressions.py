"""Expressions for tests: Hypothesis strategies, and deep trees."""

from __future__ import annotations

from hypothesis import strategies as st

from qdiff.lang.expr import (
    FUNCTIONS,
    ONE,
    Call,
    Counter,
    Expr,
    Indicator,
    IntegerQuotient,
    Modulo,
    Number,
    Parameter,
    ParameterElement,
    Pi,
    Power,
    add,
    divide,
    multiply,
    negate,
    number,
)

T, S, C = Parameter("t"), Parameter("s"), Counter("c")
W = [Parameter(f"w[{i}]") for i in range(3)]

POINT = {"t": 0.3, "s": 1.7, "w[0]": -0.4, "w[1]": 0.9, "w[2]": 2.1}
STORE = {"c": 2, "m[0]": 5}

integer_numbers = st.integers(0, 9).map(Number)
real_numbers = st.floats(0.125, 8, allow_subnormal=False).map(lambda x: number(round(x, 3)))
counters = st.sampled_from([C, Counter("m[0]")])


def _pairs(operands: st.SearchStrategy[Expr]) -> st.SearchStrategy[tuple[Expr, Expr]]:
    return st.tuples(operands, operands)


def _integer_nodes(x: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    positive = st.integers(1, 5).map(Number)
    return st.one_of(
        _pairs(x).map(lambda p: add(*p)),
        _pairs(x).map(lambda p: multiply(*p)),
        x.map(negate),
        st.tuples(x, positive).map(lambda p: IntegerQuotient(*p)),
        st.tuples(x, positive).map(lambda p: Modulo(*p)),
    )


integer_expressions = st.recursive(st.one_of(integer_numbers, counters), _integer_nodes, max_leaves=6)
elements = integer_expressions.map(lambda index: ParameterElement("w", 3, Modulo(index, Number(3))))


def _real_nodes(x: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return st.one_of(
        st.lists(x, min_size=2, max_size=4).map(lambda p: add(*p)),
        st.lists(x, min_size=2, max_size=4).map(lambda p: multiply(*p)),
        _pairs(x).map(lambda p: add(p[0], negate(p[1]))),
        _pairs(x).map(lambda p: divide(*p)),
        x.map(negate),
        st.tuples(x, st.integers(0, 3).map(Number)).map(lambda p: Power(*p)),
        st.tuples(st.sampled_from(FUNCTIONS), x).map(lambda p: Call(*p)),
    )


expressions = st.recursive(
    st.one_of(integer_numbers, real_numbers, st.just(Pi()), st.sampled_from([T, S, *W]), counters, elements),
    _real_nodes,
    max_leaves=10,
)
"""Expressions with every kind of node, many of them without a value at POINT and STORE."""

EVERY_KIND: dict[str, Expr] = {
    "number": Number(3),
    "pi": Pi(),
    "parameter": T,
    "element": ParameterElement("w", 3, C),
    "counter": C,
    "sum": add(T, S, negate(multiply(Number(2), T))),
    "product": multiply(T, S, add(T, ONE)),
    "long product": multiply(*(add(T, Number(i)) for i in range(1, 20))),
    "negate": negate(Call("sin", T)),
    "reciprocal": divide(S, add(T, Number(2))),
    "power 0": Power(T, Number(0)),
    "power 1": Power(T, Number(1)),
    "power 2": Power(T, Number(2)),
    "power 3": Power(add(T, S), Number(3)),
    "power 2.5": Power(add(T, ONE), Number(2.5)),
    "power 0.5": Power(add(T, ONE), Number(0.5)),
    "power -2": Power(add(T, ONE), number(-2)),
    "power of a counter": Power(T, C),
    "parameter in the exponent": Power(Number(2), multiply(T, S)),
    "parameter in both": Power(add(T, S), T),
    **{function: Call(function, multiply(T, Number(0.7))) for function in FUNCTIONS},
    "abs below 0": Call("abs", add(T, number(-2))),
    "chain": Call("exp", Call("sin", Power(T, Number(2)))),
    "quotient of integers": multiply(T, IntegerQuotient(add(C, Number(5)), Number(2))),
    "modulo": multiply(T, Modulo(add(C, Number(5)), Number(4))),
    "indicator": multiply(T, Indicator(C, 2)),
    "element twice": multiply(ParameterElement("w", 3, C), ParameterElement("w", 3, Modulo(C, Number(2)))),
}
"""One expression for every kind of node and every rule of differentiation, with a value at POINT."""

DEPTH = 5000


def deep(leaf: Expr = T) -> Expr:
    """Return an expression of many kinds of nodes, 5000 deep, with values in a moderate range."""
    expr = leaf
    for level in range(DEPTH):
        match level % 6:
            case 0:
                expr = Call("sin", expr)
            case 1:
                expr = add(expr, ONE)
            case 2:
                expr = Power(expr, Number(2))
            case 3:
                expr = divide(ONE, add(expr, Number(3)))
            case 4:
                expr = multiply(Number(0.5), expr, leaf)
            case _:
                expr = negate(Call("cos", expr))
    return expr
