"""What was written in another language and read again, with the counters that the original has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import qdiff as qd
from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable, Term
from qdiff.lang.walk import statements


def signed(value: Expr, width: int) -> Expr:
    """An integer modulo 2^width as the one from -2^(width-1) on that it stands for."""
    half = ex.number(1 << (width - 1))
    return ex.add(ex.Modulo(ex.add(value, half), ex.number(1 << width)), ex.negate(half))


def in_bits(bits: list[str]) -> Expr:
    """Σ 2^i bits[i]."""
    return ex.add(
        *(ex.multiply(ex.number(1 << i), ex.Counter(bit)) for i, bit in enumerate(bits)),
    )


def with_counters(program: tree.Program, values: Mapping[str, Expr]) -> tuple[tree.Program, dict[str, str]]:
    """The program, and behind it a new counter for each of these values: its name for each key.

    It no longer knows which measurements come last, so nothing warns of observables that they disturb.
    """
    taken = {register.name for register in program.counter_registers}
    names = {key: f"kept_{i}" for i, key in enumerate(values)}
    assert not taken & set(names.values())
    registers = (*program.counter_registers, *map(tree.Register, names.values()))
    body = (*program.body, *(tree.Assign(names[key], value) for key, value in values.items()))
    origin = None if program.origin is None else replace(program.origin, measured_last=frozenset())
    return replace(program, counter_registers=registers, body=body, origin=origin), names


MOST_OUTCOMES = 12


def has_many_outcomes(program: tree.Program) -> bool:
    """Whether a program measures in so many places that an exact engine would follow too many paths: bounded
    loops may be written out, and each pass measures."""
    places = sum(isinstance(statement, tree.Measure) for statement in statements(program.body))
    return places > MOST_OUTCOMES


def renamed(
    observable: Observable, qubits: Mapping[str, str], counters: Mapping[str, str], flag: str | None
) -> Observable:
    """The observable under other names, 0 where the counter `flag` is 1."""
    found = Observable(
        Term(
            term.coefficient,
            tuple((counters[name], power) for name, power in term.counters),
            tuple((qubits[name], letter) for name, letter in term.operators),
        )
        for term in observable.terms
    )
    return found if flag is None else found * (1 - qd.count(flag))
