"""How large the functions of counters in an observable are: at a store, everywhere, and their rounding.

magnitude:      about how much a run counts that goes on from a store (no bound: it steers how far to look)
largest_value:  sup_σ |Π g(σ)| by interval arithmetic, inf where none is proved
rounding:       |Σ coefficient · (computed Π c^p Π g - exact)| at a store, where the program ends
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from qdiff.errors import EvaluationError
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable, Term
from qdiff.lang.observable_functions import Functions, Selection, selected
from qdiff.sim.intervals import interval
from qdiff.sim.rounding import UNIT, expression_error

UNBOUNDED = "the observable contains a function of counters for which no bound is proved"


def magnitude(observable: Observable, store: Mapping[str, int]) -> float:
    """Return an estimate of how large an observable becomes for runs that are at a store; no bound.

    What a term selects is not known before the end, and only one of several selections will be: the largest
    term counts. A function without a value here is left out. Without functions it is `norm_bound`.
    """
    if not observable.functions:
        return observable.norm_bound(store)
    values: dict[Expr, float] = {}
    for function in observable.functions:
        try:
            values[function] = 1.0 if isinstance(function, Selection) else _absolute(function, store)
        except EvaluationError:
            values[function] = 1.0
    return max(_size(term, values, store) for term in observable.terms)


def _size(term: Term, values: Mapping[Expr, float], store: Mapping[str, int]) -> float:
    factors = [abs(store[name]) ** power for name, power in term.counters]
    try:
        return abs(term.coefficient) * math.prod(
            [*map(float, factors), *(values[function] ** power for function, power in term.functions)]
        )
    except OverflowError:
        return math.inf


def _absolute(function: Expr, store: Mapping[str, int]) -> float:
    return abs(float(function.evaluate({}, store)))


def largest_value(functions: Functions) -> float:
    """Return a bound of a product of functions over all stores, inf where none is proved."""
    result = 1.0
    for function, power in functions:
        low, high = interval(function, {}, {})
        result *= max(abs(low), abs(high)) ** power
    return result if result >= 0 else math.inf  # nan: 0·inf proves nothing


def rounding(observable: Observable, store: Mapping[str, int]) -> float:
    """Return a bound of what rounding in functions of counters does to ‖O(σ)‖; inf where none is proved."""
    total = 0.0
    for term in observable.terms:
        if not term.functions or not selected(term.functions, store):
            continue
        exact = most = abs(term.coefficient)
        for name, power in term.counters:
            exact, most = exact * float(abs(store[name])) ** power, most * float(abs(store[name])) ** power
        for function, power in term.functions:
            if not isinstance(function, Selection):
                value = _absolute(function, store)
                exact, most = (
                    exact * value**power,
                    most * (value + expression_error(function, {}, store)) ** power,
                )
        powers = sum(power for _, power in term.functions)
        total += (most - exact) + 4 * (len(term.counters) + powers + 2) * UNIT * most
    return total if total >= 0 else math.inf
