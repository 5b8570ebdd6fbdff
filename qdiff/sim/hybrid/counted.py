"""Counters that are only counted: their moments in place of their values.

A counter that no comparison, angle, probability or function in an observable reads, and to which only affine
expressions of such counters are assigned, need not be part of the store. It is enough to follow the moments

    M_m = Σ_σ c^m ρ_σ,     c^m a product of powers of such counters,

for the monomials that the observables contain and those that they become: `c := c + 1` makes
(c+1)^m = Σ_i binom(m, i) c^i of c^m. An assignment is then a matrix on the vector of moments, forwards
M ← Λ M and backwards A ← Λᵀ A.

Not every such counter may overflow unnoticed: a counter counts as *counted* only if in loops nothing but
addition makes it grow (coefficient -1, 0 or 1 of itself, no cycle between counters, steps below 2^31)
and outside of loops all factors together stay below 2^20, so that it takes 2^11 passes and more to leave
64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import numpy as np
import rustworkx as rx
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable, Term
from qdiff.sim.control import assignments, closure, read_by_control
from qdiff.sim.flow import Flow, RecordBits, Set
from qdiff.sim.liveness import successors

Monomial = tuple[int, ...]  # the power of each counted counter
Polynomial = dict[Monomial, int]

LARGEST_STEP = 1 << 31
LARGEST_FACTOR = 1 << 20
LARGEST_BASIS = 64


class StepTooLarge(Exception):
    """A counted counter is changed by so much at once that it may overflow: follow its values."""


@dataclass(frozen=True)
class Affine:
    """Σ coefficient · counted counter + rest, the rest over other counters."""

    coefficients: tuple[tuple[int, int], ...]
    rest: Expr


@dataclass(frozen=True)
class Counted:
    """What is followed as moments.

    Attributes:
        counters: indices of the counters in the moments; forgotten: of those that nobody asks for.
        basis: the monomials, lower ones first; basis[0] is 1.
        assignments: `Set` expressions of counted and forgotten counters, by identity.
    """

    counters: tuple[int, ...] = ()
    forgotten: frozenset[int] = frozenset()
    basis: tuple[Monomial, ...] = ((),)
    assignments: Mapping[Expr, Affine] | None = None

    @cached_property
    def tracked(self) -> frozenset[int]:
        """Counters that are no part of the store."""
        return frozenset(self.counters) | self.forgotten

    @cached_property
    def position(self) -> dict[int, int]:
        """Counter → its place in a monomial."""
        return {counter: i for i, counter in enumerate(self.counters)}

    @cached_property
    def place(self) -> dict[Monomial, int]:
        """Monomial → its place in the basis."""
        return {monomial: i for i, monomial in enumerate(self.basis)}

    def matrix(self, counter: int, coefficients: Iterable[tuple[int, int]], rest: int) -> NDArray[np.float64]:
        """Return Λ of the assignment counter := Σ coefficient · counter' + rest."""
        self.check_step(rest)
        size = len(self.basis)
        result = np.zeros((size, size))
        at = self.position[counter]
        for i, monomial in enumerate(self.basis):
            for after, coefficient in self._assigned(monomial, at, coefficients, rest).items():
                result[i, self.place[after]] += float(coefficient)
        return result

    @staticmethod
    def check_step(rest: int) -> None:
        """Refuse a step that might make the counter overflow.

        Raises:
            StepTooLarge: follow the values of counters instead.
        """
        if abs(rest) > LARGEST_STEP:
            raise StepTooLarge

    def _assigned(
        self, monomial: Monomial, at: int, coefficients: Iterable[tuple[int, int]], rest: int
    ) -> Polynomial:
        terms = [(self.position[c], a) for c, a in coefficients if c in self.position]
        return assigned(monomial, at, terms, rest)

    def split(self, observable: Observable, names: list[str]) -> dict[int, Observable]:
        """Return the observable by monomial: place in the basis → its factor, over other counters.

        Args:
            names: of all counters, in the order of their indices.
        """
        followed = {names[c]: i for i, c in enumerate(self.counters)}
        parts: dict[Monomial, list[Term]] = {}
        for term in observable.terms:
            powers = [0] * len(self.counters)
            for name, power in term.counters:
                if name in followed:
                    powers[followed[name]] = power
            kept = tuple((name, power) for name, power in term.counters if name not in followed)
            parts.setdefault(tuple(powers), []).append(
                Term(term.coefficient, kept, term.operators, term.functions)
            )
        return {self.place[monomial]: Observable(terms) for monomial, terms in parts.items()}


def assigned(monomial: Monomial, at: int, terms: list[tuple[int, int]], rest: int) -> Polynomial:
    """Return the monomial after counter `at` has become Σ coefficient · counter + rest."""
    others = (*monomial[:at], 0, *monomial[at + 1 :])
    result: Polynomial = {others: 1}
    zero = (0,) * len(monomial)
    factor: Polynomial = {zero: rest} if rest else {}
    for position, coefficient in terms:
        unit = tuple(int(i == position) for i in range(len(monomial)))
        factor[unit] = factor.get(unit, 0) + coefficient
    for _ in range(monomial[at]):
        product: Polynomial = {}
        for left, a in result.items():
            for right, b in factor.items():
                key = tuple(x + y for x, y in zip(left, right, strict=True))
                product[key] = product.get(key, 0) + a * b
        result = product
    return result


def counted_counters(flow: Flow, observables: Iterable[Observable]) -> Counted:
    """Return which counters of a program can be followed as moments for some observables."""
    explicit = read_by_control(flow) | {flow.index[name] for o in observables for name in o.read}
    explicit |= set(range(flow.own, len(flow.counters)))  # the hidden ones
    every = assignments(flow)
    looping = _in_loops(flow)
    found: dict[Expr, Affine] = {}
    while True:  # a counter that is not fit makes those it reads part of the store, too
        found.clear()
        refused: set[int] = set()
        for instruction in every:
            target = instruction.counter
            if target in explicit:
                refused |= {flow.index[name] for name in instruction.value.counters()} - explicit
                continue
            form = affine(instruction.value, flow.index, explicit)
            multiplies = form is not None and abs(dict(form.coefficients).get(target, 0)) > 1
            if form is None or (multiplies and id(instruction) in looping):
                refused.add(target)
            else:
                found[instruction.value] = form
        in_loops = [i for i in every if id(i) in looping]
        refused |= _on_cycles(in_loops, explicit | refused, found)
        if not refused and _growth(every, explicit, looping, found) > LARGEST_FACTOR:
            refused = {i.counter for i in every} - explicit
        if not refused:
            break
        explicit |= refused
    counters = [i for i in range(flow.own) if i not in explicit]
    asked = {flow.index[name] for o in observables for name in o.counters} - explicit
    needed = closure(flow, asked, every) - explicit
    kept = tuple(i for i in counters if i in needed)
    steps = [
        _Step(
            kept.index(i.counter),
            [(kept.index(c), a) for c, a in found[i.value].coefficients],
            id(i) in looping,
        )
        for i in every
        if i.counter in needed
    ]
    steps += [
        _Step(kept.index(i.counter), [], id(i) in looping)
        for i in flow.instructions
        if isinstance(i, RecordBits) and i.counter in needed
    ]
    basis = _basis(_monomials(observables, [flow.counters[i] for i in kept]), steps, len(kept))
    if basis is None:
        return Counted()
    return Counted(kept, frozenset(counters) - set(kept), basis, found)


def affine(expr: Expr, index: Mapping[str, int], explicit: set[int]) -> Affine | None:
    """Return an integer expression as an affine one of the counters that are not explicit, if it is."""

    def combine(node: Expr, parts: list[Affine | None]) -> Affine | None:
        if isinstance(node, ex.Counter) and index[node.name] not in explicit:
            return Affine(((index[node.name], 1),), ex.ZERO)
        if any(part is None for part in parts):
            return None
        known = [part for part in parts if part is not None]
        if not any(part.coefficients for part in known):
            return Affine((), node)
        match node:
            case ex.Sum():
                total: dict[int, int] = {}
                for part in known:
                    for counter, coefficient in part.coefficients:
                        total[counter] = total.get(counter, 0) + coefficient
                rest = ex.add(*(part.rest for part in known))
                return Affine(tuple((c, a) for c, a in sorted(total.items()) if a), rest)
            case ex.Negate():
                (part,) = known
                return Affine(tuple((c, -a) for c, a in part.coefficients), ex.negate(part.rest))
            case ex.Product():
                varying = [i for i, part in enumerate(known) if part.coefficients]
                others = [f for i, f in enumerate(node.factors) if i not in varying]
                if len(varying) > 1 or any(f.counters() for f in others):
                    return None
                scale = ex.multiply(*others)
                factor = scale.evaluate()
                assert isinstance(factor, int), "integer expressions have integer values"
                part = known[varying[0]]
                return Affine(
                    tuple((c, factor * a) for c, a in part.coefficients if factor),
                    ex.multiply(scale, part.rest),
                )
            case _:
                return None

    try:
        return expr.fold(combine)
    except QdiffError:  # a constant without a value: an error where it is reached
        return None


def _in_loops(flow: Flow) -> set[int]:
    """Identities of the instructions that a run can come back to."""
    graph = rx.PyDiGraph(multigraph=False)
    graph.add_nodes_from(range(len(flow.instructions)))
    edges = [(i, t) for i, instruction in enumerate(flow.instructions) for t in successors(instruction)]
    graph.add_edges_from_no_data(edges)
    components = [c for c in rx.strongly_connected_components(graph) if len(c) > 1]
    own = {i for i, t in edges if i == t}
    return {id(flow.instructions[i]) for i in [*own, *(i for c in components for i in c)]}


def _growth(
    assignments: list[Set], explicit: set[int], looping: set[int], found: Mapping[Expr, Affine]
) -> float:
    """By how much assignments outside of loops can multiply the largest counter, all together."""
    total = 1.0
    for instruction in assignments:
        if instruction.counter not in explicit and id(instruction) not in looping:
            total *= max(1, sum(abs(a) for _, a in found[instruction.value].coefficients))
    return total


def _on_cycles(assignments: list[Set], explicit: set[int], found: Mapping[Expr, Affine]) -> set[int]:
    """Counters on a cycle of assignments: c := c + k; k := k + c grows like a power."""
    reads: dict[int, set[int]] = {}
    for instruction in assignments:
        if instruction.counter not in explicit and instruction.value in found:
            others = {c for c, _ in found[instruction.value].coefficients} - {instruction.counter}
            reads.setdefault(instruction.counter, set()).update(others)
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as error:
        return set(error.args[1])
    return set()


def _monomials(observables: Iterable[Observable], names: list[str]) -> set[Monomial]:
    """The monomials of the counted counters in some observables."""
    found = {(0,) * len(names)}
    for observable in observables:
        for term in observable.terms:
            powers = dict(term.counters)
            found.add(tuple(powers.get(name, 0) for name in names))
    return found


@dataclass(frozen=True)
class _Step:
    """An assignment to the counter at a place in monomials, and whether it is repeated."""

    at: int
    terms: list[tuple[int, int]]
    in_loop: bool


def _basis(asked: set[Monomial], steps: list[_Step], width: int) -> tuple[Monomial, ...] | None:
    """All monomials that the asked ones become, in loops lower ones first; None where they are too many."""
    lower: dict[Monomial, set[Monomial]] = {}
    in_loops: dict[Monomial, set[Monomial]] = {}
    waiting = [*asked, (0,) * width]
    while waiting:
        monomial = waiting.pop()
        if monomial in lower:
            continue
        lower[monomial], in_loops[monomial] = set(), set()
        if len(lower) > LARGEST_BASIS:
            return None
        for step in steps:
            if monomial[step.at]:
                after = set(assigned(monomial, step.at, step.terms, 1)) - {monomial}
                lower[monomial] |= after
                if step.in_loop:
                    in_loops[monomial] |= after
                waiting += after
    one = (0,) * width
    for before in (lower, in_loops):  # outside of loops no order is needed
        try:
            order = list(TopologicalSorter(before).static_order())
        except CycleError:
            continue
        return (one, *(m for m in order if m != one))
    return None
