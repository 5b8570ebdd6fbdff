"""One term of an observable, and the rules that every term keeps."""

from __future__ import annotations

import cmath
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass

from qdiff.errors import QdiffError, ResourceError, listed
from qdiff.lang.element_names import checked_name, name_key
from qdiff.lang.observable_functions import Functions, checked_function, counters_of, function_product
from qdiff.lang.observable_printer import term_text
from qdiff.lang.pauli_algebra import LETTERS, Operators, ordered

Counters = tuple[tuple[str, int], ...]
Key = tuple[Counters, Operators, Functions]

LARGEST_DEGREE = 1000


@dataclass(frozen=True, slots=True)
class Term:
    """coefficient · Π counter^power · Π letter[qubit] · Π function^power.

    Attributes:
        counters: (name, power > 0), sorted by name.
        operators: (qubit, letter), the letter one of X Y Z P0 P1, sorted by qubit.
        functions: (expression over counters, power > 0), see `observable_functions`.
    """

    coefficient: complex
    counters: Counters = ()
    operators: Operators = ()
    functions: Functions = ()

    @property
    def degree(self) -> int:
        """Sum of the powers of the counters, functions of them left out."""
        return sum(power for _, power in self.counters)

    @property
    def read(self) -> frozenset[str]:
        """The counters of the term: those with powers, and those that its functions read."""
        return frozenset(name for name, _ in self.counters) | counters_of(self.functions)

    def __str__(self) -> str:
        return term_text(self)


def checked_key(term: Term) -> Key | None:
    """Return what a term has besides its coefficient, sorted; refuse what breaks the rules of `Term`.

    None where two selections of the term exclude each other: it is zero.
    """
    counters: dict[str, int] = {}
    for name, power in term.counters:
        _check_power(f"counter `{name}`", power)
        counters[name] = counters.get(checked_name(name, "counter"), 0) + power
    letters: dict[str, str] = {}
    for qubit, letter in term.operators:
        if letter not in LETTERS:
            raise QdiffError(f"There is no operator {letter!r}. Operators: {listed(LETTERS)}.")
        if checked_name(qubit, "qubit") in letters:
            raise QdiffError(f"The qubit `{qubit}` stands twice in one term; multiply observables instead.")
        letters[qubit] = letter
    for function, power in term.functions:
        _check_power(f"function `{checked_function(function)}`", power)
    functions = function_product(term.functions)
    return None if functions is None else (checked_degree(counters), ordered(letters.items()), functions)


def _check_power(what: str, power: object) -> None:
    if isinstance(power, bool) or not isinstance(power, int) or power < 1:
        raise QdiffError(f"The power of the {what} is a whole number from 1, not {power!r}.")


def checked_degree(powers: Mapping[str, int]) -> Counters:
    """Return powers of counters, sorted; refuse a total degree that no float could hold."""
    if sum(powers.values()) > LARGEST_DEGREE:
        raise ResourceError(f"The counters of a term have a total power of at most {LARGEST_DEGREE}.")
    return tuple(sorted(powers.items(), key=lambda pair: name_key(pair[0])))


def checked_coefficient(value: object, role: str) -> complex:
    """Return a finite number of any of Python's or numpy's types as a complex."""
    if not isinstance(value, numbers.Complex):
        raise QdiffError(f"{role.capitalize()} of an observable is a number, not {type_text(value)}.")
    try:
        number = complex(value)
    except OverflowError:
        number = complex(math.inf)
    if not cmath.isfinite(number):
        shown = number if number.imag else number.real
        raise QdiffError(f"{role.capitalize()} of an observable is a finite number, not {shown}.")
    return number


def type_text(value: object) -> str:
    """Return the type of a value for a message: "a str", "an object"."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
