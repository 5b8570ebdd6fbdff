"""Division by an observable without operators: the quotient is a function of counters in a term.

1/O(σ) = 1/(Σ_k a_k · Π_c σ(c)^{p_kc} · Π_i g_ki(σ)),   a_k real
"""

from __future__ import annotations

from collections.abc import Sequence

from qdiff.errors import QdiffError
from qdiff.lang.expr import ONE, Counter, Expr, Negate, Number, Power, add, divide, multiply, number
from qdiff.lang.observable_printer import LARGEST_INTEGER, observable_text
from qdiff.lang.observable_terms import Term


def reciprocal(terms: Sequence[Term]) -> Term:
    """Return 1/Σ terms as one term, the same that the text "1/(…)" has.

    Args:
        terms: of an observable that is no number.

    Raises:
        QdiffError: a term with an operator on a qubit, or with a coefficient that is not real.
    """
    for term in terms:
        if term.operators:
            raise QdiffError(
                f"Nothing can be divided by `{observable_text(terms)}`, which acts on a qubit: a divisor "
                'is a number, or contains counters only, such as qd.count("c").'
            )
        if term.coefficient.imag:
            raise QdiffError(
                f"Nothing can be divided by `{observable_text(terms)}`: a divisor with counters has real "
                "coefficients."
            )
    quotient = divide(ONE, add(*map(_expression, terms)))
    if isinstance(quotient, Negate):
        return Term(-1, functions=((quotient.operand, 1),))
    return Term(1, functions=((quotient, 1),))


def _expression(term: Term) -> Expr:
    real = term.coefficient.real
    factors = [number(int(real) if real.is_integer() and abs(real) < LARGEST_INTEGER else real)]
    powers = [(Counter(name), power) for name, power in term.counters] + list(term.functions)
    factors += [base if power == 1 else Power(base, Number(power)) for base, power in powers]
    return multiply(*factors)
