"""Forward over branches: a frontier of (point, store, pure state, weight), merged where branches meet.

A node stands for all histories that came to the same point with the same counters and the same state
up to a phase, ρ = w |ψ><ψ|. The entry that is furthest behind in the program goes first, so that all
branches of a condition, and all passes of a loop, have arrived before what comes after is run; then
any number of measurements whose outcomes are forgotten makes a chain, not a tree.

Along every direction a node carries ρ̇ = ẇ |ψ><ψ| + w (|ψ̇><ψ| + |ψ><ψ̇|). What ψ̇ has along ψ goes
into ẇ (its imaginary part is a phase), and (ψ, ψ̇_1, …, ψ̇_V) has norm 1 together: a branch of
probability 0 that only a second derivative reaches is a node like any other.

What merges is compared in full: a distance η moves expectations by at most 2 ‖O‖ w η.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.sim.exact import FROM_SHOTS_IF_IT_ENDS, NEGLIGIBLE_MASS, Floats
from qdiff.sim.flow import (
    ABORT,
    END,
    MeasureBits,
    RecordBits,
    ResetBits,
    Toss,
)
from qdiff.sim.pure.bounds import SPLIT_ERROR, Errors
from qdiff.sim.pure.collapse import NOTHING, Collapse
from qdiff.sim.pure.course import Course
from qdiff.sim.pure.graph import NO_STATE, Coin, Edge, Node, Place, Store
from qdiff.sim.pure.memory import require
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.paths import Path
from qdiff.sim.pure.progress import Progress
from qdiff.sim.pure.segments import MatricesOf
from qdiff.sim.pure.waiting import Waiting

LEAST_MASS, LEAST_MASS_SQUARED = 1e-15, 1e-26
LARGEST_TREE = 1 << 17
LARGEST_UNBOUNDED_TREE = 1 << 15
STEP_DIMENSION = 1 << 10  # amplitudes that take as long as the rest of a step


class Frontier:
    """One forward run at one set of parameters.

    Args:
        directions: of second derivatives, (V, d).
        keep: whether states are kept for the way back (else they are freed once a node is done).
        growth: how large the observables are at a store, for what may be left out.
        at_end: called with every node at the end; kept_ends: their states are not freed then.
        errors: for analyses: gate errors are summed.
    """

    def __init__(
        self,
        course: Course,
        numbers: Numbers,
        *,
        max_memory: int,
        growth: Callable[[Store], float],
        directions: Floats | None = None,
        keep: bool = False,
        at_end: Callable[[Node], None] | None = None,
        kept_ends: bool = False,
        errors: Errors | None = None,
    ) -> None:
        from qdiff.sim.pure import kernels

        self.kernels = kernels
        self.course = course
        self.numbers = numbers
        self.growth = growth
        self.directions = np.zeros((0, len(numbers.source.wrt))) if directions is None else directions
        self.keep = keep
        self.at_end = at_end
        self.kept_ends = kept_ends
        self.errors = errors
        self.max_memory = max_memory
        self.qubits = len(course.flow.program.qubits)
        self.derivatives = bool(numbers.source.wrt)
        self.along = len(self.directions)
        self.still = np.zeros(self.along)
        self.nodes: list[Node] = []  # done, in the order in which they were: parents before children
        self.executed: dict[Place, float] = {}
        self.carried: dict[Place, float] = {}
        self.marks: dict[int, float] = {}
        self.trapped = self.left = self.left_carried = self.drift = self.longest = 0.0
        self.largest_left = 0
        self.beyond: set[int] = set()
        self.for_ever: set[Place] = set()  # passed infinitely often by what never ends
        self.states = 0
        self.collapse = Collapse(self.along)
        self.matrices = MatricesOf(numbers, self.directions, adjoints=keep, errors=errors)
        self.waiting = Waiting(self.along)
        self.progress = Progress(course, 1 + (1 << self.qubits) // STEP_DIMENSION)

    # --- the run ---

    @property
    def merged(self) -> float:
        """Σ mass · distance of all that was merged."""
        return self.waiting.merged

    @property
    def largest_counter(self) -> int:
        """The largest |counter| at any node, left out or not."""
        return max(self.largest_left, *(abs(value) for node in self.nodes for value in (0, *node.store)))

    def run(self) -> None:
        """Follow all branches to their ends."""
        psi = self._state()
        psi[:] = 0.0
        psi[0, 0, 0] = 1.0
        store = self.course.reduced(self.course.flow.entry, (0,) * len(self.course.flow.counters))
        tangents = np.zeros((1, self.along, 2, 1 << self.qubits))
        self.waiting.arrive(Node(self.course.flow.entry, store, psi, tangents, 1.0, self.still, 0.0))
        while self.waiting:
            node = self._pop()
            if node.point == END:
                self._finish(node)
                if self.at_end is not None:
                    self.at_end(node)
                    if not self.kept_ends:
                        self._free(node)
            elif self._unimportant(node):
                self._leave(node)
                self._free(node)
            else:
                self._follow(node)

    def _unimportant(self, node: Node) -> bool:
        growth = self.growth(node.store)
        least = LEAST_MASS_SQUARED if self.derivatives else LEAST_MASS
        return node.weight * growth <= least and node.perturbed * growth <= LEAST_MASS

    def _leave(self, node: Node) -> None:
        self.left += node.weight
        self.left_carried += node.perturbed
        self.largest_left = max(self.largest_left, *map(abs, (0, *node.store)))
        self.beyond |= self.course.repeated_beyond(node.point)

    def _follow(self, node: Node) -> None:
        """Run a node's gates, then split it, or let it wait where others may come."""
        path = self.course.path(node.point, node.store)
        for mark in path.marks:
            self.marks[mark] = self.marks.get(mark, 0.0) + node.weight
        error = path.error or (self._run_gates(node, path) if path.gates else None)
        if error is not None:
            self._fail(node, error)
            return
        point, store = path.point, self.course.reduced(path.point, path.store)
        if path.repeated is not None:
            self._trap(node, path)
            self._done(node)
        elif point == ABORT:
            self._done(node)
        elif node.point in self.course.random or point in self.course.unmet:
            self._split(node, point, store)
        elif not path.gates:  # the same state somewhere else: still the same node
            node.point, node.store = point, store
            target, phase = self.waiting.arrive(node)
            if target is not node:
                node.edges.append(Edge(target, phase))
                self._done(node)
        else:
            self._go_on(node, point, store)

    def _run_gates(self, node: Node, path: Path) -> EvaluationError | None:
        segment = self.course.segment(path)
        numbers = self.matrices.at(segment)
        for place, times in segment.places.items():
            self.executed[place] = self.executed.get(place, 0.0) + times * node.weight
            self.carried[place] = self.carried.get(place, 0.0) + times * node.carried
        if numbers.failure is None:
            node.segment = segment
            node.drift += numbers.error
            self.drift += 2 * node.weight * numbers.error
            self.kernels.forward(
                node.psi,
                node.tangents,
                *segment.plan.table,
                numbers.coefficients,
                numbers.slopes,
                *segment.plan.generators,
            )
        return numbers.failure

    def _trap(self, node: Node, path: Path) -> None:
        """What never ends counts 0; what it does is done infinitely often."""
        self.trapped += node.weight
        gates, marks = path.for_ever
        if node.weight > NEGLIGIBLE_MASS:
            self.marks.update(dict.fromkeys(marks, math.inf))
            places = [(self.course.flow.gates[gate].expression, row) for gate, row in gates]
            self.for_ever |= {place for place in places if place[0] >= 0}

    def _go_on(self, node: Node, point: int, store: Store) -> None:
        """What a node has become waits as a node of its own, where others may become the same."""
        child = Node(
            point,
            store,
            node.psi,
            node.tangents,
            node.weight,
            node.rates,
            node.carried,
            node.drift,
            carried_twice=node.carried_twice,
        )
        target, phase = self.waiting.arrive(child)
        node.edges.append(Edge(target, phase))
        if target is not child:
            self._done(node)
            return
        if self.keep:
            child.psi, child.tangents = self._state(), node.tangents.copy()
            child.psi[:] = node.psi
        else:
            node.psi = node.tangents = NO_STATE
        self._finish(node)

    def _fail(self, node: Node, error: EvaluationError) -> None:
        """What has no value is an error where mass comes, or the derivative of a flip."""
        if max(node.weight, node.carried, node.carried_twice) > NEGLIGIBLE_MASS:
            raise error
        self._leave(node)
        node.segment = None
        self._done(node)

    def _finish(self, node: Node) -> None:
        self.nodes.append(node)
        self.longest = max(self.longest, node.drift)

    def _done(self, node: Node) -> None:
        """Nothing will need the state but the way back."""
        self._finish(node)
        if not self.keep:
            self._free(node)

    # --- splits ---

    def _split(self, node: Node, point: int, store: Store) -> None:
        instruction = self.course.flow.instructions[point]
        node.store = store
        match instruction:
            case MeasureBits(qubits=qubits, targets=targets):
                self._measure(node, qubits, lambda outcome: (targets[outcome], node.store))
            case RecordBits(qubits=qubits, counter=counter, next=following):
                before, after = node.store[:counter], node.store[counter + 1 :]
                self._measure(node, qubits, lambda outcome: (following, (*before, outcome, *after)))
            case ResetBits(bits=bits, next=following):
                qubits = tuple(q for q in range(self.qubits) if bits >> q & 1)
                self._measure(node, qubits, lambda _: (following, node.store), reset=True)
            case Toss():
                self._toss(node, instruction)
            case _:
                raise AssertionError(f"unexpected instruction {instruction}")

    def _measure(
        self,
        node: Node,
        qubits: tuple[int, ...],
        to: Callable[[int], tuple[int, Store]],
        reset: bool = False,
    ) -> None:
        weights, importance = self.collapse.importances(node, qubits)
        mask = sum(1 << q for q in qubits)
        total = float(importance.sum())
        for outcome in np.flatnonzero(importance > 0.0).tolist():
            point, store = to(outcome)
            if importance[outcome] <= NOTHING * total:
                # Leaving it out moves the state by the root of its weight.
                moved = math.sqrt(importance[outcome])
                node.drift += moved
                self.drift += 2 * node.weight * moved
                self.beyond |= self.course.repeated_beyond(point)
                continue
            value = sum(1 << q for j, q in enumerate(qubits) if outcome >> j & 1)
            onto = 0 if reset else value
            if point == ABORT:
                continue
            psi = self._state()
            tangents = self.collapse.project(node, psi, mask, value, onto)
            alpha, scale = self.collapse.normalise(psi, tangents, float(weights[outcome]))
            square = scale * scale
            rates = square * (node.rates + 2 * node.weight * np.real(alpha)) if self.along else node.rates
            child = Node(
                point,
                self.course.reduced(point, store),
                psi,
                tangents,
                weight=node.weight * square,
                rates=rates,
                carried=node.carried * square,
                carried_twice=node.carried_twice * square,
                drift=node.drift + SPLIT_ERROR,
            )
            self.drift += child.weight * SPLIT_ERROR
            target, phase = self.waiting.arrive(child)
            self.states -= target is not child
            node.edges.append(Edge(target, scale * phase, alpha, mask, value, onto))
        self._done(node)

    def _toss(self, node: Node, toss: Toss) -> None:
        expression, if_true, if_false = toss.expression, toss.if_true, toss.if_false
        row = self.course.rows.row(expression, node.store)
        place = (expression, row)
        self.executed[place] = self.executed.get(place, 0.0) + node.weight
        self.carried[place] = self.carried.get(place, 0.0) + node.carried
        failure = self.numbers.probability_error(expression, row, toss.channel)
        if failure is not None:
            self._fail(node, failure[1])
            return
        values = self.numbers.at(row)[:, 0]
        p = min(max(float(values[expression]), 0.0), 1.0)
        slope = self.numbers.steepest(expression, row, twice=bool(self.along))
        rates = self.numbers.along(expression, row, self.directions) if self.along else self.still
        if self.errors is not None:
            self.drift += 2 * node.weight * (self.errors.probability(expression, row) + SPLIT_ERROR)
        edges: list[Edge | None] = []
        for chance, sign, point in ((p, 1, if_true), (1 - p, -1, if_false)):
            carried = chance * node.carried + slope * node.weight
            twice = chance * node.carried_twice + (2 * slope * node.carried if self.along else 0.0)
            if point == ABORT or (chance == 0 and carried == 0 and twice == 0):
                edges.append(None)
                continue
            psi = self._state()
            psi[:] = node.psi
            child = Node(
                point,
                self.course.reduced(point, node.store),
                psi,
                node.tangents.copy(),
                weight=chance * node.weight,
                rates=chance * node.rates + sign * node.weight * rates if self.along else self.still,
                carried=carried,
                carried_twice=twice,
                drift=node.drift,
            )
            target, phase = self.waiting.arrive(child)
            self.states -= target is not child
            edges.append(Edge(target, phase))
        node.coin = Coin(place, p, rates, edges[0], edges[1])
        self._done(node)

    # --- meeting ---

    def _pop(self) -> Node:
        node = self.waiting.pop()
        if self.course.unbounded:
            self.progress.step(node, self.waiting, len(self.nodes))
        if len(self.nodes) > (LARGEST_UNBOUNDED_TREE if self.course.unbounded else LARGEST_TREE):
            raise EvaluationError(
                f"After following {len(self.nodes)} branches, runs still go on to others",
                advice=FROM_SHOTS_IF_IT_ENDS,
            )
        return node

    # --- memory ---

    def _state(self) -> Floats:
        """A new state, once there is room for it, and for its counterpart on the way back."""
        self.states += 1
        each = (1 + self.along) * (2 if self.keep else 1)
        require(each * self.states + 2, 0, self.qubits, self.max_memory, "branching", "measure less")
        return np.empty((1, 2, 1 << self.qubits))

    def _free(self, node: Node) -> None:
        self.states -= 1
        node.psi = node.tangents = NO_STATE
