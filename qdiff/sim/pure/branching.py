"""Programs that measure, as a merged graph of pure states: value and all derivatives by one sweep back.

Forward, `frontier` follows every branch with its probability and merges those that have become equal;
back, `sweep` carries λ = Aψ, which all histories of a node share. The cost is that of the distinct
states, not of the histories: 2ⁿ for each where density operators take 4ⁿ. Unbounded loops are followed
until what is left does not matter; the other engine solves them instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis
from qdiff.sim.exact import (
    DEFAULT_MEMORY,
    NEGLIGIBLE_MASS,
    Curvature,
    Floats,
    Mixture,
    Parameters,
    Store,
    directional,
)
from qdiff.sim.flow import Flow
from qdiff.sim.function_sizes import magnitude, rounding
from qdiff.sim.pure.bounds import (
    WHOLE,
    Errors,
    Followed,
    gradient_bounds,
    loop_visits,
    see_further,
    value_bound,
)
from qdiff.sim.pure.course import Course
from qdiff.sim.pure.frontier import Frontier
from qdiff.sim.pure.graph import Node
from qdiff.sim.pure.memory import require, state_bytes
from qdiff.sim.pure.operators import Masks, named
from qdiff.sim.pure.preparation import Preparation
from qdiff.sim.pure.sweep import Slopes, Sweep
from qdiff.sim.randomness import what_is_inseparable


class BranchingEngine:
    """Exact values and derivatives of one program by following its branches.

    Args:
        program: without `damp`; one with few distinct branches is followed quickly.
        max_memory: bytes that states may take; more is refused before it is allocated.

    Raises:
        EvaluationError: the program has a channel that is no mixture.
    """

    name = "branching"

    def __init__(self, program: Program, max_memory: int = DEFAULT_MEMORY) -> None:
        inseparable = what_is_inseparable(program)
        if inseparable:
            raise EvaluationError(
                f"The branching engine cannot follow {inseparable}. The hybrid engine runs all programs."
            )
        self.program = program
        self.max_memory = max_memory
        self.preparation: Preparation[Course] = Preparation(program)

    @property
    def flow(self) -> Flow:
        """The lowered program, mixtures as tosses."""
        return self.preparation.flow

    # --- results ---

    def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
        """Return the expectations, (P, k)."""
        result = np.zeros((len(rows), len(observables)))
        for p, row in enumerate(rows):
            read = _Read(self.program, observables)

            def add(node: Node, p: int = p, read: _Read = read) -> None:
                result[p] += node.weight * read.expectations(node)

            self._follow(row, observables, (), at_end=add)
        return result

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives by `wrt`, (P, k, d)."""
        values = np.zeros((len(rows), len(observables)))
        slopes = np.zeros((len(rows), len(observables), len(wrt)))
        for p, row in enumerate(rows):
            frontier = self._follow(row, observables, wrt, keep=True)
            for some, found in self._sweeps(frontier, observables):
                width = len(found.values)
                values[p, some] = found.values
                first = {place: slope[None] for place, slope in found.first.items()}
                slopes[p, some] = frontier.numbers.chain_rule(first, width)[0]
        return values, slopes

    def tangents(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (k,), and their derivatives along `directions` (V, d), (k, V)."""
        return directional(*self.gradients([parameters], observables, wrt), directions)

    def curvature(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> Curvature:
        """Return expectations, derivatives, and Hessians times `directions`, (V, d).

        One graph serves all directions whose tangents fit; branches merge that are equal along all.
        """
        directions = np.asarray(directions, dtype=float).reshape(-1, len(wrt))
        if not len(directions):
            values, slopes = self.gradients([parameters], observables, wrt)
            return Curvature(values[0], slopes[0], np.zeros((len(observables), 0, len(wrt))))
        parts: list[Curvature] = []
        start, together = 0, len(directions)
        while start < len(directions):
            some = directions[start : start + together]
            try:
                parts.append(self._curvature(parameters, observables, wrt, some))
            except ResourceError:
                if together == 1:
                    raise
                together = -(-together // 2)
            else:
                start += together
        return Curvature(
            parts[0].values, parts[0].gradients, np.concatenate([part.products for part in parts], axis=1)
        )

    def _curvature(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> Curvature:
        """`curvature` along directions that are followed together."""
        k, d, along = len(observables), len(wrt), len(directions)
        values, slopes, products = np.zeros(k), np.zeros((k, d)), np.zeros((k, along, d))
        frontier = self._follow(parameters, observables, wrt, keep=True, directions=directions)
        for some, found in self._sweeps(frontier, observables):
            width = len(found.values)
            first = {place: slope[None] for place, slope in found.first.items()}
            moved = {place: slope.reshape(1, -1) for place, slope in found.moved.items()}
            values[some] = found.values
            slopes[some] = frontier.numbers.chain_rule(first, width)[0]
            products[some] = frontier.numbers.chain_rule(moved, width * along).reshape(width, along, d)
            products[some] += frontier.numbers.second_chain_rule(first, width, directions)
        return Curvature(values, slopes, products)

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        """Return the final state by store (values of `program.counters`), aborted runs left out."""
        found: dict[Store, list[NDArray[np.complex128]]] = {}

        def add(node: Node) -> None:
            vector = np.sqrt(node.weight) * (node.psi[0, 0] + 1j * node.psi[0, 1])
            found.setdefault(node.store[: self.flow.own], []).append(vector)

        self._follow(parameters, None, (), at_end=add, kept_ends=True)
        return {store: Mixture(vectors=np.array(vectors)) for store, vectors in sorted(found.items())}

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        """Return what is known of the program and of the accuracy of value and derivatives."""
        found = Followed(dimension=1 << len(self.program.qubits))
        ended = 0.0

        def add(node: Node) -> None:
            nonlocal ended
            ended += node.weight
            store = named(self.program, node.store)
            coefficients = observable.coefficients(store).values()
            found.norm = max(found.norm, observable.norm_bound(store))
            found.absolute = max(found.absolute, sum(map(abs, coefficients)))
            found.terms = max(found.terms, len(coefficients))
            found.off = max(found.off, rounding(observable, store))

        frontier = self._follow(parameters, [observable], wrt, at_end=add, analyze=True)
        assert frontier.errors is not None
        found.executed = frontier.executed
        found.drift, found.longest, found.merged = frontier.drift, frontier.longest, frontier.merged
        found.left, found.left_carried = frontier.left, frontier.left_carried
        # A value alone is followed less far than its derivatives.
        alone = self._follow(parameters, [observable], (), at_end=lambda _: None)
        found.left_by_value = alone.left
        found.merged = max(found.merged, alone.merged)
        found.beyond = frozenset().union(*(self.flow.expressions[e].parameters() for e in frontier.beyond))
        if found.left or found.left_carried or found.left_by_value:
            largest = max(frontier.largest_counter, alone.largest_counter)
            see_further(found, frontier.errors, observable, largest)
        reason = f"{len(frontier.nodes)} distinct branches were followed; {WHOLE}"
        if frontier.merged:
            reason += f", and what was merged by its distance ({frontier.merged:.1e})"
        if left := max(found.left, found.left_by_value):
            reason += f"; a mass of {left:.1e} was not followed"
            if found.unbounded:
                reason += f" ({found.unbounded})"
            elif any(math.isinf(found.behind(name)) for name in wrt):
                reason += f" (nothing is proved of some derivatives behind it: {found.unproved})"
        return Analysis(
            termination_probability=ended,
            trapped_probability=frontier.trapped,
            outside_probability=max(found.left, found.left_by_value),
            expected_visits=loop_visits(self.flow, frontier.marks),
            occurrences=frontier.numbers.occurrences(
                {**frontier.executed, **dict.fromkeys(frontier.for_ever, math.inf)}
            ),
            error_bound=value_bound(found),
            grad_error_bound=gradient_bounds(found, frontier.errors),
            memory=(2 * len(frontier.nodes) + 2) * state_bytes(len(self.program.qubits)),
            engine=self.name,
            reason=f"{reason}.",
        )

    # --- following ---

    def _follow(
        self,
        parameters: Parameters,
        observables: Sequence[Observable] | None,
        wrt: Sequence[str],
        *,
        keep: bool = False,
        at_end: Callable[[Node], None] | None = None,
        directions: Floats | None = None,
        analyze: bool = False,
        kept_ends: bool = False,
    ) -> Frontier:
        """Follow all branches; observables None ask for the state itself, every counter included."""
        require(2, 0, len(self.program.qubits), self.max_memory, "branching", "use fewer qubits")
        course = self._course(parameters, observables)
        numbers = self.preparation.numbers(course, [parameters], wrt, second=directions is not None)
        frontier = Frontier(
            course,
            numbers,
            max_memory=self.max_memory,
            growth=_growth(self.program, observables),
            directions=directions,
            keep=keep,
            at_end=at_end,
            kept_ends=kept_ends,
            errors=Errors(self.flow, numbers, parameters) if analyze else None,
        )
        frontier.run()
        reached = [
            place
            for place, mass in frontier.executed.items()
            if max(mass, frontier.carried.get(place, 0.0)) > NEGLIGIBLE_MASS
        ]
        numbers.refuse_derivatives(reached)
        return frontier

    def _course(self, parameters: Parameters, observables: Sequence[Observable] | None) -> Course:
        compared = self.preparation.compared(parameters)
        counters = self.program.counters
        named_ones = (
            {name for o in observables for name in o.counters} if observables is not None else counters
        )
        at_end = frozenset(i for i, name in enumerate(counters) if name in named_ones)
        key = (tuple(compared.values()), at_end)
        return self.preparation.path(
            key, lambda: Course(self.flow, self.preparation.layouts, compared, at_end)
        )

    def _sweeps(self, frontier: Frontier, observables: Sequence[Observable]) -> list[tuple[slice, Slopes]]:
        """Go back for as many observables at a time as fit."""
        each = (1 + frontier.along) * state_bytes(len(self.program.qubits))
        free = self.max_memory // each - frontier.states - 2
        width = int(max(1, min(len(observables), free // max(1, frontier.states))))
        result = []
        for start in range(0, len(observables), width):
            some = slice(start, min(start + width, len(observables)))
            read = _Read(self.program, observables[some])
            result.append((some, Sweep(frontier, read.masks, some.stop - some.start).run()))
        return result


class _Read:
    """Observables at the stores that are met."""

    def __init__(self, program: Program, observables: Sequence[Observable]) -> None:
        self.program = program
        self.observables = observables
        self.known: dict[Store, list[Masks]] = {}

    def masks(self, store: Store) -> list[Masks]:
        """The observables at a store."""
        if store not in self.known:
            values = named(self.program, store)
            self.known[store] = [Masks.of(o, values, self.program.qubits) for o in self.observables]
        return self.known[store]

    def expectations(self, node: Node) -> Floats:
        """<ψ|O|ψ> of every observable at a node at the end."""
        from qdiff.sim.pure import kernels

        result = np.zeros(len(self.observables))
        for k, mask in enumerate(self.masks(node.store)):
            applied = np.zeros_like(node.psi[0])
            mask.add_to(node.psi[0], applied)
            result[k] = kernels.dot(node.psi[0], applied).real
        return result


def _growth(program: Program, observables: Sequence[Observable] | None) -> Callable[[Store], float]:
    """How large the observables are at a store."""
    if observables is None:
        return lambda _: 1.0
    constant = max((1 + magnitude(o, dict.fromkeys(program.counters, 0)) for o in observables), default=1.0)
    varying = [o for o in observables if o.counters]
    if not varying:
        return lambda _: constant
    known: dict[Store, float] = {}

    def growth(store: Store) -> float:
        if store not in known:
            values = named(program, store)
            known[store] = max(constant, *(1 + magnitude(o, values) for o in varying))
        return known[store]

    return growth
