"""Angles as numbers or ParameterExpressions of Qiskit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qdiff.errors import EvaluationError
from qdiff.interop.explicit import Inexpressible
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.origin import Origin
from qdiff.lang.rebuild import rebuild
from qdiff.lang.tree import Program

_METHODS = {
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "exp": "exp",
    "log": "log",
    "abs": "abs",
}


class Angles:
    """The parameters of a circuit, and expressions over them.

    Args:
        values: numbers for parameters by name, array elements as "w[0]"; the others stay symbols.
    """

    def __init__(self, program: Program, values: Mapping[str, float]) -> None:
        self.values = values
        self.symbols = _symbols(program)
        self._known: dict[Expr, Any] = {}

    def angle(self, expr: Expr) -> Any:
        """A float, or a ParameterExpression where a parameter without a value occurs; no counters.

        Raises:
            Inexpressible: there is no value, or Qiskit has no such function.
        """
        found = self._known.get(expr)
        if found is None:
            found = self._known[expr] = self._angle(expr)
        return found

    def number(self, expr: Expr) -> float | None:
        """The value of an angle; None where a parameter without a value occurs."""
        if any(name not in self.values for name in expr.parameters()):
            return None
        try:
            return float(expr.evaluate(self.values))
        except EvaluationError as error:
            raise Inexpressible(_sentence(error), expr.place()) from None

    def _angle(self, expr: Expr) -> Any:
        value = self.number(expr)
        if value is not None:
            return value
        found = expr.fold(self._combined)
        return found if hasattr(found, "parameters") else float(found)

    def _combined(self, node: Expr, x: list[Any]) -> Any:
        if not any(hasattr(operand, "parameters") for operand in x):  # a part without symbols
            if isinstance(node, ex.Parameter) and node.name not in self.values:
                return self.symbols[node.name]
            value = self.number(node)
            # What a factor 0 has made a number has none of its symbols any more.
            return self.number(rebuild(node, list(map(ex.number, x)))) if value is None else value
        try:
            return _operation(node, x)
        except (ZeroDivisionError, ValueError, OverflowError, RuntimeError):
            raise Inexpressible(f"`{node}` has no value", node.place()) from None


def _operation(node: Expr, x: list[Any]) -> Any:
    match node:
        case ex.Sum():
            total = x[0]
            for term in x[1:]:
                total = total + term
            return total
        case ex.Negate():
            return -x[0]
        case ex.Product(factors=factors):
            if any(not hasattr(value, "parameters") and value == 0 for value in x):
                return 0.0  # where a counter is 0; symbols would stay in Qiskit's expression
            found = x[0]
            for factor, value in zip(factors[1:], x[1:], strict=True):
                # x / 3, not x * (1 / 3): rounded once.
                divides = isinstance(factor, ex.Reciprocal) and isinstance(factor.operand, ex.Number)
                found = found / factor.operand.value if divides else found * value  # type: ignore[attr-defined]
            return found
        case ex.Reciprocal():
            return 1 / x[0]
        case ex.Power():
            return x[0] ** x[1]
        case ex.Call(function="sqrt"):
            return x[0] ** 0.5
        case ex.Call(function=function):
            return getattr(x[0], _METHODS[function])()
        case _:
            raise Inexpressible(f"Qiskit's ParameterExpression has nothing like `{node}`", node.place())


def _symbols(program: Program) -> dict[str, Any]:
    """A Parameter for each parameter, under the name that it has where the program comes from."""
    from qiskit.circuit import Parameter, ParameterVector

    original = _originals(program.origin)
    found: dict[str, Any] = {}
    for register in program.parameter_registers:
        name = original.get(register.name, register.name)
        if register.size is None:
            found[register.name] = Parameter(name)
        else:
            found.update(zip(register.elements, ParameterVector(name, register.size), strict=True))
    return found


def _originals(origin: Origin | None) -> dict[str, str]:
    return {} if origin is None else {ours: theirs for theirs, ours in origin.aliases.items()}


def _sentence(error: EvaluationError) -> str:
    return str(error).rstrip(".")
