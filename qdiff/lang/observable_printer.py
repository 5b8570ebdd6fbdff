"""Observables as text that parses back to the same observable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from qdiff.lang.expr import Reciprocal
from qdiff.lang.observable_functions import factor_text

if TYPE_CHECKING:
    from qdiff.lang.observable_terms import Counters, Term

LARGEST_INTEGER = 2**53


def observable_text(terms: Iterable[Term]) -> str:
    """Return the text of a sum of terms; "0" where there is none."""
    text = ""
    for term in terms:
        piece = term_text(term)
        if not text:
            text = piece
        else:
            text += f" - {piece[1:]}" if piece.startswith("-") else f" + {piece}"
    return text or "0"


def term_text(term: Term) -> str:
    """Return the text of one term: number, counters, functions, operators, divisors."""
    factors = [counter_text(term.counters)] if term.counters else []
    divisors = ""
    for function, power in term.functions:
        text = factor_text(function, power)
        if isinstance(function, Reciprocal) and power == 1:
            divisors += text[1:]  # "1/k" becomes "/k"
        else:
            factors.append(text)
    factors += [f"{letter}[{qubit}]" for qubit, letter in term.operators]
    number = _number_text(term.coefficient)
    if not factors:
        return number + divisors
    if number in ("1", "-1"):
        return number[:-1] + "*".join(factors) + divisors
    return "*".join([number, *factors]) + divisors


def counter_text(counters: Counters) -> str:
    """Return the text of a product of counter powers."""
    return "*".join(name if power == 1 else f"{name}^{power}" for name, power in counters)


def _number_text(value: complex) -> str:
    if value.imag:  # the language has no complex numbers: for the eye only
        return repr(value) if value.real else f"({value!r})"
    real = value.real
    return str(int(real)) if real.is_integer() and abs(real) < LARGEST_INTEGER else repr(real)
