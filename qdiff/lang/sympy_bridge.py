"""Expressions to SymPy and back. SymPy is imported when this is used, and never reads text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qdiff.errors import QdiffError, listed
from qdiff.lang import expr as ex
from qdiff.lang.element_names import checked_name
from qdiff.lang.expr import Expr

_NAME_IN_SYMPY = {"abs": "Abs"}


def to_sympy(expr: Expr) -> Any:
    """Return the SymPy expression that means the same.

    Parameters become real symbols, counters integer symbols, `w[c]` an element of an
    `IndexedBase`, `[c = k]` a `KroneckerDelta`, floats `Float` with all their digits.
    """
    import sympy as sp

    def combine(node: Expr, x: list[Any]) -> Any:
        match node:
            case ex.Number(value=value):
                return sp.Integer(value) if isinstance(value, int) else sp.Float(value, 17)
            case ex.Pi():
                return sp.pi
            case ex.Parameter(name=name):
                return sp.Symbol(name, real=True)
            case ex.Counter(name=name):
                return sp.Symbol(name, integer=True)
            case ex.ParameterElement(array=array, size=size):
                return sp.IndexedBase(array, shape=(size,), real=True)[x[0]]
            case ex.Sum():
                return sp.Add(*x)
            case ex.Product():
                return sp.Mul(*x)
            case ex.Negate():
                return -x[0]
            case ex.Reciprocal():
                return 1 / x[0]
            case ex.Power():
                return sp.Pow(x[0], x[1])
            case ex.Call(function=function):
                return getattr(sp, _NAME_IN_SYMPY.get(function, function))(x[0])
            case ex.IntegerQuotient():
                return sp.floor(x[0] / x[1])
            case ex.Modulo():
                # SymPy turns Mod(c*Mod(c, 4), 3) into Mod(c*Mod(c, 4)**2, 3): no Mod within a Mod.
                return x[0] - x[1] * sp.floor(x[0] / x[1]) if x[0].has(sp.Mod) else sp.Mod(x[0], x[1])
            case ex.LogPowerHazard():
                return sp.Function(ex.HAZARD)(x[0], x[1])
            case ex.Indicator(value=value):
                return sp.KroneckerDelta(x[0], value)
            case _:
                raise AssertionError(f"unknown expression {type(node).__name__}")

    return expr.fold(combine)


def from_sympy(value: Any, counters: Iterable[str] = ()) -> Expr:
    """Return the expression of a SymPy object; symbols are parameters unless named in `counters`.

    Raises:
        QdiffError: the object holds something the language has no word for.
    """
    import sympy as sp

    counter_names = frozenset(counters)
    functions = {getattr(sp, _NAME_IN_SYMPY.get(name, name)): name for name in ex.FUNCTIONS if name != "sqrt"}

    def convert(node: Any, x: list[Expr]) -> Expr:
        match node:
            case sp.Integer():
                return ex.number(int(node))
            case sp.Rational():
                return ex.divide(ex.number(int(node.p)), ex.number(int(node.q)))
            case sp.Float():
                return ex.number(float(node))
            case sp.Symbol():
                if node.name in counter_names:
                    return ex.Counter(node.name)
                return ex.Parameter(checked_name(node.name, "parameter"))
            case sp.Add():
                return ex.add(*sorted(x, key=_is_literal))  # t - 1, where SymPy has -1 + t
            case sp.Mul():
                return _divisors_last(ex.multiply(*x))
            case sp.Pow():
                return _power(node, x)
            case sp.KroneckerDelta() if any(isinstance(side, sp.Integer) for side in node.args):
                at = 0 if isinstance(node.args[0], sp.Integer) else 1  # SymPy sorts the two
                return ex.Indicator(x[1 - at], int(node.args[at]))
            case sp.Indexed() if len(node.indices) == 1 and _known_size(node.base.shape):
                array = checked_name(str(node.base.label), "parameter")
                return ex.ParameterElement(array, int(node.base.shape[0]), _integer(x[1], node))
            case sp.Mod():
                return ex.Modulo(_integer(x[0], node), _integer(x[1], node))
            case _ if node is sp.pi:
                return ex.Pi()
            case _ if node is sp.E:
                return ex.Call("exp", ex.ONE)
            case _ if str(node.func) == ex.HAZARD and len(node.args) == 2:
                return ex.LogPowerHazard(x[0], x[1])
            case _ if node.func in functions:
                return ex.Call(functions[node.func], x[0])
            case _ if node.func is sp.floor and node.args[0].as_numer_denom()[1] != 1:
                numerator, denominator = node.args[0].as_numer_denom()
                return ex.IntegerQuotient(_integer(walk(numerator), node), _integer(walk(denominator), node))
            case _:
                raise _no_counterpart(node)

    def _power(node: Any, x: list[Expr]) -> Expr:
        if node.exp == sp.Rational(1, 2):
            return ex.Call("sqrt", x[0])
        if node.exp == -1:
            return ex.divide(ex.ONE, x[0])
        if node.base is sp.E:
            return ex.Call("exp", x[1])
        return ex.Power(x[0], x[1])

    def walk(root: Any) -> Expr:
        done: dict[Any, Expr] = {}
        pending = [(root, False)]
        while pending:
            node, ready = pending.pop()
            if node in done:
                continue
            arguments = () if node.is_Atom else node.args
            if isinstance(node, sp.Indexed):
                arguments = (sp.Integer(0), *node.indices)
            if isinstance(node, sp.floor):
                arguments = ()
            if not all(isinstance(argument, sp.Expr) for argument in arguments):
                raise _no_counterpart(node)  # limits of an integral, pieces of a Piecewise
            if ready:
                done[node] = convert(node, [done[argument] for argument in arguments])
            else:
                pending.append((node, True))
                pending.extend((argument, False) for argument in arguments)
        return done[root]

    if not isinstance(value, sp.Expr):
        raise QdiffError(f"Expected a SymPy expression, got {type(value).__name__}.")
    return walk(value)


def _no_counterpart(node: Any) -> QdiffError:
    return QdiffError(
        f"SymPy's `{node}` ({type(node).__name__}) has no counterpart here. "
        f"Usable: + - * / ^, pi, {listed(ex.FUNCTIONS)}."
    )


def _known_size(shape: Any) -> bool:
    return shape is not None and bool(shape[0].is_Integer)


def _is_literal(expr: Expr) -> bool:
    return isinstance(expr.operand if isinstance(expr, ex.Negate) else expr, ex.Number)


def _divisors_last(expr: Expr) -> Expr:
    """Write t/3 for SymPy's 1/3*t, which is rounded once instead of twice."""
    if isinstance(expr, ex.Negate):
        return ex.negate(_divisors_last(expr.operand))
    if isinstance(expr, ex.Product):
        return ex.multiply(*sorted(expr.factors, key=lambda factor: isinstance(factor, ex.Reciprocal)))
    return expr


_INTEGER_KINDS = (ex.Counter, ex.Sum, ex.Product, ex.Negate, ex.Power, ex.IntegerQuotient, ex.Modulo)


def _integer(expr: Expr, node: Any) -> Expr:
    """Return `expr`, an operand or index in `node`, if it holds integers and counters only."""
    for part in expr.walk():
        if isinstance(part, ex.Number) and isinstance(part.value, int):
            continue
        if not isinstance(part, _INTEGER_KINDS):
            raise QdiffError(
                f"SymPy's `{node}` has no counterpart here: `{part}` is no integer, and div, mod and "
                "indices take integers and counters only. Name the counters in `counters=`."
            )
    return expr
