"""Cutting a sequence of gates into parts that act on few qubits each.

Gates on different qubits commute, so a part may take in gates from far behind: those on its qubits that no
gate outside of it comes before. A part begins with the first *joint* gate (on several qubits) that is left
and grows by the joint gate, on a qubit it has, that comes first; gates on one qubit go where it goes.

A *group* is a part on three qubits, of one of two forms:

    dense      anything: one matrix
    product    gates on one qubit each, then permutations of basis states with phases: cheaper

A run of diagonal gates, at angles or not, is such phases, and so are the gates between two CNOTs of a ladder.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qdiff.sim.static.group_sizes import GROUP_QUBITS

LOOK_AHEAD = 64
"""So many gates are looked at for one that starts anew on other qubits."""

DENSE_COST = 10.3
PASS_COST, PHASES_COST, FACTOR_COST = 1.6, 0.4, 1.0
"""Of a group, forward and back with derivatives, in ns an amplitude: a matrix; of a product the pass, phases,
and each qubit whose gates are not the identity."""
SINGLE_WORK = 0.5
"""What taking in a gate on one qubit is worth beside a joint gate."""


@dataclass(frozen=True)
class Gate:
    """What a schedule knows of a gate.

    Attributes:
        qubits: those it acts on, controls included. permutes: whether it takes every basis state to one basis
            state with a phase, which depends on its angle only if it is diagonal.
    """

    qubits: frozenset[int]
    permutes: bool = False


@dataclass(frozen=True)
class Part:
    """Gates, in an order in which they may be applied, and the qubits of the part."""

    gates: list[int]
    qubits: frozenset[int]
    product: bool = False


def groups(gates: Iterable[int], touched: Sequence[Gate]) -> Iterator[Part]:
    """Cut gates into groups, each of the form that costs less for what it takes in.

    Args:
        gates: which of all gates, in order. touched: all gates.
    """
    waiting = Waiting(gates, touched)
    while waiting.left:
        dense = waiting.part(GROUP_QUBITS)
        if len(dense.qubits) > GROUP_QUBITS:
            yield dense
            continue
        waiting.give_back(dense)
        product = waiting.part(GROUP_QUBITS, product=True)
        if product.gates and _cost(product, touched) < _cost(dense, touched):
            yield product
            continue
        waiting.give_back(product)
        yield waiting.part(GROUP_QUBITS)


def _cost(part: Part, touched: Sequence[Gate]) -> float:
    """For each unit of work."""
    singles = [g for g in part.gates if len(touched[g].qubits) == 1]
    work = len(part.gates) - (1 - SINGLE_WORK) * len(singles)
    if not part.product:
        return DENSE_COST / work
    factors = len({q for g in factors_of(part, touched) for q in touched[g].qubits})
    return (PASS_COST + PHASES_COST + FACTOR_COST * factors) / work


def factors_of(part: Part, touched: Sequence[Gate]) -> set[int]:
    """The gates of a product that come before its permutations."""
    found, closed = set[int](), set[int]()
    for g in part.gates:
        if len(touched[g].qubits) > 1:
            closed |= touched[g].qubits
        elif not touched[g].qubits & closed:
            found.add(g)
    return found


class Waiting:
    """Gates that are still to be applied: a queue for each qubit."""

    def __init__(self, gates: Iterable[int], touched: Sequence[Gate]) -> None:
        self.touched = touched
        self.order = list(gates)
        self.left = len(self.order)
        self._taken: set[int] = set()
        self._first = 0
        self._queues: dict[int, list[int]] = {}
        self._joint: dict[int, list[int]] = {}
        for g in reversed(self.order):  # the ends of the lists come first
            for q in touched[g].qubits:
                self._queues.setdefault(q, []).append(g)
                if len(touched[g].qubits) > 1:
                    self._joint.setdefault(q, []).append(g)

    def part(self, capacity: int, given: Iterable[int] = (), *, product: bool = False) -> Part:
        """Take the next part, on at most `capacity` qubits; a gate on more is a part of its own.

        Args:
            product: whether it is to be one; it may be empty then. given: qubits that it has anyway.
        """
        qubits, gates, closed = set(given), list[int](), set[int]()
        self._take(qubits, gates, closed, product)
        while more := self._more(qubits, capacity, closed, product, gates) - qubits:
            qubits |= more
            self._take(qubits, gates, closed, product)
        if not gates and not product:  # a gate on more qubits than fit, and nothing in front of it
            g = self._first_left()
            qubits = set(self.touched[g].qubits)
            self._remove(g)
            gates.append(g)
        self.left -= len(gates)
        return Part(gates, frozenset(qubits), product)

    def give_back(self, part: Part) -> None:
        """Undo `part`, the last one taken."""
        for g in reversed(part.gates):
            self._taken.discard(g)
            for q in self.touched[g].qubits:
                self._queues[q].append(g)
                if len(self.touched[g].qubits) > 1:
                    self._joint[q].append(g)
        self._first = 0 if not part.gates else min(self._first, self._place(min(part.gates)))
        self.left += len(part.gates)

    def _place(self, g: int) -> int:
        """Where a gate is in the order: gates are numbered as they come."""
        return bisect_left(self.order, g)

    def _take(self, qubits: set[int], gates: list[int], closed: set[int], product: bool) -> None:
        """Take all gates that act on these qubits only, as long as nothing comes before them.

        Args:
            closed: in a product, qubits that a permutation acted on: gates on them must permute.
        """
        pending = list(qubits)
        while pending:
            queue = self._queues.get(pending.pop())
            while queue:
                g = queue[-1]
                touched = self.touched[g].qubits
                if not (touched <= qubits and self._is_next(g)):
                    break
                if product:
                    if (len(touched) > 1 or touched & closed) and not self.touched[g].permutes:
                        break
                    if len(touched) > 1:
                        closed |= touched
                self._remove(g)
                gates.append(g)
                pending += touched

    def _remove(self, g: int) -> None:
        self._taken.add(g)
        for q in self.touched[g].qubits:
            self._queues[q].pop()
            if len(self.touched[g].qubits) > 1:
                self._joint[q].pop()

    def _is_next(self, g: int) -> bool:
        return all(self._queues[q][-1] == g for q in self.touched[g].qubits)

    def _may_grow_by(self, g: int, qubits: set[int], capacity: int, closed: set[int], product: bool) -> bool:
        """Whether a part on the qubits of g, too, would hold g: only gates that it may take come before."""
        touched = self.touched[g].qubits
        if len(touched | qubits) > capacity or not all(self._joint[q][-1] == g for q in touched):
            return False
        if not product:
            return True
        return self.touched[g].permutes and all(self._queues[q][-1] == g for q in touched & closed)

    def _next(self, qubits: set[int], capacity: int, closed: set[int], product: bool) -> frozenset[int]:
        """The qubits of the joint gate by which a part grows, or qubits without joint gates."""
        if len(qubits) >= capacity:
            return frozenset()
        joint = {self._joint[q][-1] for q in qubits if self._joint.get(q)}
        fitting = [g for g in joint if self._may_grow_by(g, qubits, capacity, closed, product)]
        if fitting:
            return self.touched[min(fitting)].qubits
        for g in self._upcoming():
            if len(self.touched[g].qubits) < 2:
                continue
            if self._may_grow_by(g, qubits, capacity, closed, product):
                return self.touched[g].qubits
            if not qubits:
                break  # the first joint gate does not fit: what is in front of it comes first
        alone = [
            q for q, queue in self._queues.items() if queue and not self._joint.get(q) and q not in qubits
        ]
        return frozenset(sorted(alone)[: capacity - len(qubits)])

    def _more(
        self, qubits: set[int], capacity: int, closed: set[int], product: bool, gates: list[int]
    ) -> frozenset[int]:
        return self._next(qubits, capacity, closed, product) or self._in_front(qubits, capacity, gates)

    def _in_front(self, qubits: set[int], capacity: int, gates: list[int]) -> frozenset[int]:
        """Where nothing was taken yet, qubits with gates in front of a joint gate that does not fit."""
        if gates or len(qubits) >= capacity or not self.left:
            return frozenset()
        first = self._first_left()
        found = [q for q in self.touched[first].qubits if self._queues[q][-1] != first and q not in qubits]
        return frozenset(sorted(found)[: capacity - len(qubits)])

    def _first_left(self) -> int:
        """The first joint gate that is left, or the first gate."""
        upcoming = list(self._upcoming())
        return next((g for g in upcoming if len(self.touched[g].qubits) > 1), upcoming[0])

    def _upcoming(self) -> Iterator[int]:
        """Gates that are left, in order, up to some joint ones."""
        while self._first < len(self.order) and self.order[self._first] in self._taken:
            self._first += 1
        seen = 0
        for i in range(self._first, len(self.order)):
            g = self.order[i]
            if g not in self._taken:
                yield g
                seen += len(self.touched[g].qubits) > 1
                if seen >= LOOK_AHEAD:
                    return
