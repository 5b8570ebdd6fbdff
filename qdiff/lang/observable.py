"""Observables: sums of coefficient · product of functions of counters · product of one-qubit operators.

    O(σ) = Σ_k a_k · Π_c σ(c)^{p_kc} · Π_i g_ki(σ) · ⊗_q L_kq,   L one of X Y Z P0 P1, the identity elsewhere,

for a store σ of counter values; g are functions of counters that are no polynomials, such as 1/k and the
selection [site = 1] (`observable_functions`). `X("q")`, `count("c")` and their fellows build the atoms; + - *
/ and ** do the rest, and operators on the same qubit multiply as operators. The value is immutable.
"""

from __future__ import annotations

import cmath
import math
import numbers
import operator
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NoReturn

import numpy as np

from qdiff.errors import EvaluationError, QdiffError, ResourceError, did_you_mean, listed
from qdiff.lang.element_names import name_key
from qdiff.lang.expr import Expr
from qdiff.lang.observable_division import reciprocal
from qdiff.lang.observable_functions import (
    BySelection,
    Functions,
    by_selection,
    function_product,
    sort_key,
    value_at,
)
from qdiff.lang.observable_printer import counter_text, observable_text, term_text
from qdiff.lang.observable_terms import (
    Counters,
    Key,
    checked_coefficient,
    checked_degree,
    checked_key,
    type_text,
)
from qdiff.lang.observable_terms import Term as Term
from qdiff.lang.pauli_algebra import (
    DIAGONAL,
    LARGEST_TERMS,
    Operators,
    diagonal,
    operator_product,
    vanishes,
)

LARGEST_EXACT_NORM_QUBITS = 8
_IDENTITY: Key = ((), (), ())


class Observable:
    """An observable in normal form: like terms merged, none zero, in a fixed order.

    Args:
        terms: in any order; like terms are added.

    Raises:
        QdiffError: a name that is no name, an unknown letter, a qubit twice in a term, a power
            that is no positive integer, a coefficient that is not finite.
    """

    # numpy's scalars and arrays leave `2.0 * observable` to this class.
    __array_ufunc__ = None

    _parts: dict[Key, complex]

    def __init__(self, terms: Iterable[Term] = ()) -> None:
        parts: dict[Key, complex] = {}
        for term in terms:
            if not isinstance(term, Term):
                raise QdiffError(
                    f"An observable is made of terms, not of {type_text(term)}. "
                    "Use qd.observable(text) for a text."
                )
            key = checked_key(term)
            value = checked_coefficient(term.coefficient, "a coefficient")
            if key is not None:
                parts[key] = parts.get(key, 0j) + value
        self.__dict__["_parts"] = _without_zeros(parts)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"An observable is immutable: `{name}` cannot be set.")

    @classmethod
    def _of(cls, parts: dict[Key, complex]) -> Observable:
        """Wrap parts that are finite, not zero, and sorted within."""
        made = cls()
        made.__dict__["_parts"] = parts
        return made

    @classmethod
    def from_operators(cls, parts: Mapping[Operators, complex]) -> Observable:
        """Return the sum of operator parts, without counters: for sums of thousands of terms.

        Args:
            parts: {operator part: coefficient}; names and letters are known to be right, the qubits of
                each part in order (`pauli_algebra.ordered`).

        Raises:
            QdiffError: a coefficient that is not finite.
        """
        return cls._of(_without_zeros({((), part, ()): complex(value) for part, value in parts.items()}))

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms; first the identity, then by number of qubits, names and powers."""
        keys = sorted(self._parts, key=_term_order)
        return tuple(Term(self._parts[key], *key) for key in keys)

    @cached_property
    def qubits(self) -> tuple[str, ...]:
        """Names of the qubits acted on, sorted."""
        found = {qubit for _, operators, _ in self._parts for qubit, _ in operators}
        return tuple(sorted(found, key=name_key))

    @cached_property
    def counters(self) -> tuple[str, ...]:
        """Names of the counters, sorted; those that functions read among them."""
        found = {name for counters, _, _ in self._parts for name, _ in counters}
        return tuple(sorted(found | self.read, key=name_key))

    @cached_property
    def functions(self) -> frozenset[Expr]:
        """The functions of counters in its terms."""
        return frozenset([function for _, _, functions in self._parts for function, _ in functions])

    @cached_property
    def read(self) -> frozenset[str]:
        """Names of the counters that functions read: their values are needed, moments do not do."""
        return frozenset().union(*(function.counters() for function in self.functions))

    @cached_property
    def degree(self) -> int:
        """Highest total power of counters in a term, functions left out; 0 where there is none."""
        return max((term.degree for term in self.terms), default=0)

    @cached_property
    def is_hermitian(self) -> bool:
        """Whether the operator is Hermitian for every store, to 1e-12 of its largest coefficient."""
        imaginary = {key: value.imag for key, value in self._parts.items() if value.imag}
        if not imaginary:
            return True
        scale = max(abs(value) for value in self._parts.values())
        by_counters: dict[tuple[Counters, Functions], dict[Operators, float]] = {}
        for (counters, operators, functions), value in imaginary.items():
            by_counters.setdefault((counters, functions), {})[operators] = value
        return all(vanishes(parts, 1e-12 * scale) for parts in by_counters.values())

    def coefficients(self, store: Mapping[str, int]) -> dict[Operators, complex]:
        """Return the operator at one store as {operator part: coefficient}, none of them zero.

        Args:
            store: counter name to value; powers are taken exactly.

        Raises:
            QdiffError: a counter without a value.
            EvaluationError: a number too large for a float, a function without a value.
        """
        result: dict[Operators, complex] = {}
        for name in self.read:
            _stored(name, store)
        for (counters, operators, functions), coefficient in self._by_selection.at(store):
            if not counters and not functions:  # thousands of them in one observable
                result[operators] = result.get(operators, 0j) + coefficient
                continue
            try:
                scale = float(math.prod(_stored(name, store) ** power for name, power in counters))
                if functions:
                    scale *= value_at(functions, store)
                result[operators] = result.get(operators, 0j) + coefficient * scale
            except OverflowError:
                text = counter_text(counters)
                raise EvaluationError(f"`{text}` is too large a number at {dict(store)}.") from None
            except EvaluationError as error:
                text = term_text(Term(coefficient, counters, operators, functions))
                raise EvaluationError(
                    f"The term `{text}` of the observable has no value at {dict(store)}: {error}"
                ) from None
        if not all(cmath.isfinite(value) for value in result.values()):
            raise EvaluationError(f"The observable `{self}` is too large a number at {dict(store)}.")
        return {operators: value for operators, value in result.items() if value}

    @cached_property
    def _by_selection(self) -> BySelection[tuple[Key, complex]]:
        return by_selection([(part[0][2], part) for part in self._parts.items()])

    def norm_bound(self, store: Mapping[str, int]) -> float:
        """Return an upper bound of the operator norm ‖O(σ)‖ at one store.

        Sum of |coefficient| over the parts; parts of Z, P0, P1 and the identity on at most 8 qubits
        count with the largest |diagonal entry| of their sum.
        """
        parts = self.coefficients(store)
        flat = {part: value for part, value in parts.items() if all(x in DIAGONAL for _, x in part)}
        qubits = sorted({qubit for part in flat for qubit, _ in part}, key=name_key)
        if len(qubits) > LARGEST_EXACT_NORM_QUBITS:
            return math.fsum(abs(value) for value in parts.values())
        together = sum((value * diagonal(part, qubits) for part, value in flat.items()), start=np.zeros(1))
        others = math.fsum(abs(value) for part, value in parts.items() if part not in flat)
        return float(np.max(np.abs(together))) + others

    def check_names(self, qubits: Iterable[str], counters: Iterable[str]) -> None:
        """Refuse an observable that names what a program does not declare.

        Raises:
            QdiffError: the unknown qubit or counter, what is declared, the nearest name.
        """
        for kind, mine, declared in (
            ("qubit", self.qubits, tuple(qubits)),
            ("counter", self.counters, tuple(counters)),
        ):
            known = frozenset(declared)
            for name in mine:
                if name not in known:
                    raise QdiffError(
                        f"The observable `{self}` names the {kind} `{name}`, which is not declared. "
                        f"Declared: {listed(declared)}. {did_you_mean(name, declared)}".rstrip()
                    )

    # --- Arithmetic -----------------------------------------------------------------------------

    def __add__(self, other: object) -> Observable:
        small, large = sorted((self, _as_observable(other, "+")), key=lambda part: len(part._parts))
        # Only what changes is looked at: a long sum built term by term stays cheap.
        changed = {key: large._parts.get(key, 0j) + value for key, value in small._parts.items()}
        kept = _without_zeros(changed)
        parts = large._parts | kept
        for key in changed.keys() - kept.keys():
            del parts[key]
        return Observable._of(parts)

    __radd__ = __add__

    def __neg__(self) -> Observable:
        return Observable._of({key: -value for key, value in self._parts.items()})

    def __pos__(self) -> Observable:
        return self

    def __sub__(self, other: object) -> Observable:
        return self + -_as_observable(other, "-")

    def __rsub__(self, other: object) -> Observable:
        return _as_observable(other, "-") + -self

    def __mul__(self, other: object) -> Observable:
        return _product(self, _as_observable(other, "*"))

    def __rmul__(self, other: object) -> Observable:
        return _product(_as_observable(other, "*"), self)

    def __truediv__(self, other: object) -> Observable:
        """Return the quotient by a number or by an observable without operators: 1/qd.count("k")."""
        if isinstance(other, Observable):
            if other._parts.keys() - {_IDENTITY}:
                return self * Observable((reciprocal(other.terms),))
            other = other._parts.get(_IDENTITY, 0)
        if not isinstance(other, numbers.Complex):
            raise QdiffError(
                f"An observable can be divided by a number or by counters, not by {type_text(other)}. "
                'Write `observable / 2` or `observable / qd.count("c")`.'
            )
        divisor = checked_coefficient(other, "a divisor")
        if divisor == 0:
            raise QdiffError("An observable cannot be divided by 0.")
        quotients = {key: _quotient(value, divisor) for key, value in self._parts.items()}
        return Observable._of(_without_zeros(quotients))

    def __rtruediv__(self, other: object) -> Observable:
        return _as_observable(other, "/") / self

    def __pow__(self, exponent: object) -> Observable:
        try:
            remaining = operator.index(exponent)  # type: ignore[arg-type]
        except TypeError:
            remaining = -1
        if remaining < 0:
            raise QdiffError(f"The exponent of an observable is a whole number from 0, not {exponent!r}.")
        result, square = constant(1), self
        while remaining:
            if remaining & 1:
                result = result * square
            remaining >>= 1
            if remaining:
                square = square * square
        return result

    def __eq__(self, other: object) -> bool:
        return self._parts == other._parts if isinstance(other, Observable) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(frozenset(self._parts.items()))

    def __str__(self) -> str:
        """The text form; it parses back to an equal observable if all coefficients are real."""
        return observable_text(self.terms)

    def __repr__(self) -> str:
        return f"Observable({str(self)!r})"


# --- Atoms --------------------------------------------------------------------------------------


def X(qubit: str) -> Observable:
    """Pauli X on a qubit."""
    return _letter("X", qubit)


def Y(qubit: str) -> Observable:
    """Pauli Y on a qubit."""
    return _letter("Y", qubit)


def Z(qubit: str) -> Observable:
    """Pauli Z on a qubit."""
    return _letter("Z", qubit)


def P0(qubit: str) -> Observable:
    """|0><0| on a qubit: the probability to find 0."""
    return _letter("P0", qubit)


def P1(qubit: str) -> Observable:
    """|1><1| on a qubit: the probability to find 1."""
    return _letter("P1", qubit)


def count(counter: str) -> Observable:
    """The value of a counter at the end of a run."""
    return Observable((Term(1, counters=((counter, 1),)),))


def constant(value: complex) -> Observable:
    """A number times the identity; `constant(1)` is the termination probability."""
    return Observable((Term(value),))


def _letter(letter: str, qubit: str) -> Observable:
    return Observable((Term(1, operators=((qubit, letter),)),))


# --- Details ------------------------------------------------------------------------------------


def _quotient(value: complex, divisor: complex) -> complex:
    # Real by real in floats: a complex quotient may differ in the last digit.
    return (
        complex(value.real / divisor.real, value.imag / divisor.real) if not divisor.imag else value / divisor
    )


def _as_observable(value: object, sign: str) -> Observable:
    if isinstance(value, Observable):
        return value
    if isinstance(value, numbers.Complex):
        return Observable((Term(checked_coefficient(value, "a number")),))
    raise QdiffError(
        f"`{sign}` joins an observable with an observable or a number, not with {type_text(value)}. "
        'Write qd.Z("q") or qd.count("c") for an operator or a counter, qd.observable(text) for a text.'
    )


def _product(left: Observable, right: Observable) -> Observable:
    parts: dict[Key, complex] = {}
    for (counters, operators, functions), value in left._parts.items():
        for (more_counters, more_operators, more_functions), factor in right._parts.items():
            both = (
                function_product(functions, more_functions)
                if functions and more_functions
                else functions or more_functions
            )
            if both is None:
                continue  # selections that exclude each other
            powers = dict(counters)
            for name, power in more_counters:
                powers[name] = powers.get(name, 0) + power
            powered = checked_degree(powers)
            for weight, result in operator_product(operators, more_operators):
                key = (powered, result, both)
                parts[key] = parts.get(key, 0j) + weight * (value * factor)
        if len(parts) > LARGEST_TERMS:
            raise ResourceError(f"The product of two observables has more than {LARGEST_TERMS} terms.")
    return Observable._of(_without_zeros(parts))


def _without_zeros(parts: dict[Key, complex]) -> dict[Key, complex]:
    for value in parts.values():
        if not cmath.isfinite(value):
            raise QdiffError("A coefficient of an observable became too large for a floating-point number.")
    return {key: value for key, value in parts.items() if value}


def _stored(name: str, store: Mapping[str, int]) -> int:
    try:
        return int(store[name])
    except KeyError:
        raise QdiffError(
            f"The counter `{name}` has no value. Values are given for: {listed(store)}."
        ) from None


def _term_order(key: Key) -> tuple[object, ...]:
    counters, operators, functions = key
    return (
        len(operators),
        [(name_key(qubit), letter) for qubit, letter in operators],
        sum(power for _, power in counters),
        [(name_key(name), power) for name, power in counters],
        [sort_key(function) for function in functions],
    )
