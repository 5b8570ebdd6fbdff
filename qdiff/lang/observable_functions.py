"""Functions of counters in an observable: what it has besides powers of counters.

    log(k + 1)^1.25     1/k     0.5^k     logpower_hazard(k, 0.25)     [site = 1]

Each is an expression over counters that is no number, sum, product or power with a whole exponent: those are
expanded. A *selection* [e = n] is 1 where e equals the integer n, else 0. A term whose selection is 0 counts
0 and its other functions are not evaluated, so `[site = 1]/k` is 0 at site = 0, k = 0.
"""

from __future__ import annotations

import math
from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.element_names import checked_name
from qdiff.lang.expr import Expr
from qdiff.lang.expr_printer import expr_text
from qdiff.lang.logpower import delta_problem

T = TypeVar("T")

Functions = tuple[tuple[Expr, int], ...]
Selection = ex.Indicator

_ATOMS = (
    ex.Call,
    ex.Reciprocal,
    ex.Power,
    ex.LogPowerHazard,
    ex.Indicator,
    ex.IntegerQuotient,
    ex.Modulo,
)


def whole_exponent(expression: Expr) -> int | None:
    """The exponent n of a power e^n with a literal whole number n from 0, else None."""
    if isinstance(expression, ex.Power) and isinstance(expression.exponent, ex.Number):
        value = expression.exponent.value
        return int(value) if value == math.floor(value) else None
    return None


def checked_function(function: object) -> Expr:
    """Return a function of counters, or refuse what is none.

    Raises:
        QdiffError: a sum, a product or a power that is expanded, a parameter, no counter, a δ out of range.
    """
    if not isinstance(function, _ATOMS) or whole_exponent(function) is not None:
        raise QdiffError(
            f"`{function}` is no function of counters that a term can hold: use qd.observable(text), "
            "which expands sums, products and powers."
        )
    for node in function.walk():
        if isinstance(node, ex.Parameter | ex.ParameterElement):
            raise QdiffError(f"`{function}` contains the parameter `{node}`: an observable has none.")
        if isinstance(node, ex.Counter):
            checked_name(node.name, "counter")
        if isinstance(node, ex.LogPowerHazard):
            _check_delta(node)
    if not function.counters():
        raise QdiffError(f"`{function}` reads no counter: write its value.")
    return function


def _check_delta(node: ex.LogPowerHazard) -> None:
    if node.delta.counters():
        raise QdiffError(f"The second argument of `{ex.HAZARD}` is a constant, got `{node.delta}`.")
    problem = delta_problem(float(node.delta.evaluate()))
    if problem:
        raise QdiffError(f"`{node}`: {problem}")


def function_product(*several: Iterable[tuple[Expr, int]]) -> Functions | None:
    """Return the product of functions in its fixed order; None where two selections exclude each other."""
    powers: dict[Expr, int] = {}
    chosen: dict[Expr, int] = {}
    for function, power in (pair for some in several for pair in some):
        if isinstance(function, Selection):
            if chosen.setdefault(function.index, function.value) != function.value:
                return None
            powers[function] = 1  # its own square
        else:
            powers[function] = powers.get(function, 0) + power
    return tuple(sorted(powers.items(), key=sort_key))


def sort_key(pair: tuple[Expr, int]) -> tuple[object, ...]:
    """The key by which functions are sorted: selections first, divisors last."""
    function, power = pair
    return (
        not isinstance(function, Selection),
        isinstance(function, ex.Reciprocal),
        expr_text(function),
        power,
    )


def selected(functions: Functions, store: Mapping[str, int]) -> bool:
    """Whether no selection is 0 at a store."""
    return all(_holds(function, store) for function, _ in functions if isinstance(function, Selection))


def _holds(selection: Selection, store: Mapping[str, int]) -> bool:
    if isinstance(selection.index, ex.Counter):
        return store[selection.index.name] == selection.value
    return bool(selection.evaluate({}, store))


@dataclass(frozen=True)
class BySelection(Generic[T]):
    """What is multiplied by functions, by the value that they select of one counter.

    Attributes:
        counter: its name, "" where no function selects.
        chosen: value of the counter → what selects it.
        others: what does not depend on it in this way.
    """

    counter: str
    chosen: Mapping[int, Sequence[T]]
    others: Sequence[T]

    def at(self, store: Mapping[str, int]) -> Sequence[T]:
        """What is left at a store: what selects another value of the counter is zero."""
        return [*self.others, *self.chosen.get(store[self.counter], ())] if self.counter else self.others


def by_selection(parts: Sequence[tuple[Functions, T]]) -> BySelection[T]:
    """Return parts by the value that their functions select of the counter that is selected most often.

    The weight of a derivative program has thousands of parts, and a store selects few.
    """
    often = Counts(
        function.index.name
        for functions, _ in parts
        for function, _ in functions
        if isinstance(function, Selection) and isinstance(function.index, ex.Counter)
    )
    counter = max(often, key=lambda name: (often[name], name), default="")
    chosen: dict[int, list[T]] = {}
    others: list[T] = []
    for functions, part in parts:
        values = [
            function.value
            for function, _ in functions
            if isinstance(function, Selection) and function.index == ex.Counter(counter)
        ]
        (chosen.setdefault(values[0], []) if values else others).append(part)
    return BySelection(counter, chosen, others)


def value_at(functions: Functions, store: Mapping[str, int]) -> float:
    """Return the product of functions at a store that has a value for every counter.

    Raises:
        EvaluationError: a function without a finite value.
    """
    if not selected(functions, store):
        return 0.0
    product = 1.0
    try:
        for function, power in functions:
            if not isinstance(function, Selection):
                product *= float(function.evaluate({}, store)) ** power
    except OverflowError:
        product = math.inf
    if not math.isfinite(product):
        raise EvaluationError(f"`{functions_text(functions)}` is too large a number.")
    return product


def counters_of(functions: Functions) -> frozenset[str]:
    """The counters that functions read."""
    return frozenset().union(*(function.counters() for function, _ in functions))


def factor_text(function: Expr, power: int) -> str:
    """Return the text of a function as a factor."""
    text = expr_text(function)
    if power > 1 and not isinstance(function, ex.Call | ex.LogPowerHazard):
        return f"({text})^{power}"
    if isinstance(function, ex.IntegerQuotient | ex.Modulo):
        return f"({text})"
    return text if power == 1 else f"{text}^{power}"


def functions_text(functions: Functions) -> str:
    """Return the text of a product of functions."""
    return "*".join(factor_text(function, power) for function, power in functions)
