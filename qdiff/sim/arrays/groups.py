"""Neighbouring gates together: a group is one matrix on few qubits, and one pass over a state.

A gate joins the first group, from the last one on that acts on its qubits, where all qubits then lie in
a window of neighbours; gates on different qubits commute. A gate that reaches further is a group of its
own, its controls stay controls. Groups that look alike (gates of the same records at the same places) have
one *shape*: their matrices are multiplied together, for all sets of parameters at once.

Derivatives need one pass over two states for each group, the transition matrix of its qubits,

    T = Tr_rest |ψ⟩⟨λ|   behind the group,   T ← U† T U   before its last gate, and so on,
    Im ⟨λ|G|ψ⟩ = Im tr(G T)   behind each of its gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.arrays.libraries import open_library
from qdiff.sim.arrays.primitives import Complexes, Floats, Ints
from qdiff.sim.flow import SmallGate
from qdiff.sim.pure.plan import is_many

LOOK_BACK = 64
"""Groups among which a gate looks for its place."""


@dataclass(frozen=True)
class Member:
    """A gate within a group: where it acts there.

    Attributes:
        name: of the record. many: whether its generator is found at each angle.
    """

    name: str
    targets: tuple[int, ...]
    controls: tuple[int, ...]
    many: bool


@dataclass
class Group:
    """Gates that are applied together.

    Attributes:
        qubits: of the register, ascending. controls: where the matrix acts only if they are 1.
        gates: (index of the gate, number of its instance) in order.
    """

    qubits: tuple[int, ...]
    controls: tuple[int, ...]
    gates: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Shape:
    """Groups that look alike.

    Attributes:
        qubits: how many each has. groups: their numbers, (G,). instances: (G, M) of their gates.
        generators: of the members whose generator is the same at all angles; empty for the others.
    """

    qubits: int
    members: tuple[Member, ...]
    groups: Ints
    instances: Ints
    generators: tuple[Complexes, ...]


def grouped(
    gates: Sequence[SmallGate], sequence: Sequence[tuple[int, int]], qubits: int, window: int
) -> list[Group]:
    """Return the groups of a sequence of gates (index, instance), the first applied first."""
    groups: list[Group] = []
    touched: list[set[int]] = []
    last: dict[int, int] = {}
    for g, instance in sequence:
        gate = gates[g]
        if gate.record.name == "I":
            continue
        controls = [q for q in range(qubits) if gate.controls >> q & 1]
        mine = {*gate.targets, *controls}
        if max(mine) - min(mine) >= window:
            place = len(groups)
            groups.append(Group(tuple(sorted(gate.targets)), tuple(controls)))
            touched.append(set(mine))
        else:
            earliest = max([0, len(groups) - LOOK_BACK, *(last.get(q, 0) for q in mine)])
            for place in range(earliest, len(groups)):
                if _fits(touched[place] | mine, window) and not _reaches(groups[place], window):
                    break
            else:
                place = len(groups)
                groups.append(Group((), ()))
                touched.append(set())
            touched[place] |= mine
        groups[place].gates.append((g, instance))
        last.update(dict.fromkeys(mine, place))
    for group, found in zip(groups, touched, strict=True):
        if not _reaches(group, window):
            # All qubits between, too: a matrix on neighbours is one product.
            group.qubits = tuple(range(min(found), max(found) + 1))
    return groups


def _fits(qubits: set[int], window: int) -> bool:
    return max(qubits) - min(qubits) < window


def _reaches(group: Group, window: int) -> bool:
    """Whether a group is one gate that reaches further than a window."""
    return bool(group.qubits) and not _fits({*group.qubits, *group.controls}, window)


def shapes_of(gates: Sequence[SmallGate], groups: Sequence[Group]) -> list[Shape]:
    """Sort groups by what they look like."""
    found: dict[tuple[int, tuple[Member, ...]], list[int]] = {}
    for number, group in enumerate(groups):
        found.setdefault((len(group.qubits), _members(gates, group)), []).append(number)
    result = []
    for (qubits, members), numbers in found.items():
        first = groups[numbers[0]]
        generators = []
        for (g, _), member in zip(first.gates, members, strict=True):
            fixed = gates[g].expression < 0 or member.many
            generators.append(np.zeros((0, 0), dtype=complex) if fixed else _generator(gates[g]))
        instances = np.array([[i for _, i in groups[number].gates] for number in numbers], dtype=np.int64)
        result.append(Shape(qubits, members, np.array(numbers), instances, tuple(generators)))
    return result


def _members(gates: Sequence[SmallGate], group: Group) -> tuple[Member, ...]:
    place = {q: i for i, q in enumerate(group.qubits)}
    members = []
    for g, _ in group.gates:
        gate = gates[g]
        targets = tuple(place[q] for q in gate.targets)
        controls = tuple(i for q, i in place.items() if gate.controls >> q & 1)
        # A fixed gate and a rotation of one record differ: only one of them has a generator.
        name = gate.record.name if gate.expression >= 0 else f"{gate.record.name} fixed"
        members.append(Member(name, targets, controls, is_many(gate.record)))
    return tuple(members)


def _generator(gate: SmallGate) -> Complexes:
    assert gate.record.generator is not None
    return gate.record.generator


class Algebra:
    """Matrices of groups of one shape, and derivatives from their transition matrices.

    Args:
        coefficients: (P, N, E), of the instances; see `pure.matrices.Instances.at`.
    """

    def __init__(self, shape: Shape, coefficients: Complexes) -> None:
        self.shape = shape
        self.host = open_library("numpy")
        self.alike = len(shape.groups) * len(coefficients)
        self.coefficients = coefficients
        self.size = 1 << shape.qubits

    def _numbers(self, m: int, number: int = 0) -> Complexes:
        """The matrix of a member, or its generator, in each group: (G · P, s, s)."""
        size = 1 << len(self.shape.members[m].targets)
        taken = self.coefficients[
            :, self.shape.instances[:, m], number * size * size : (number + 1) * size * size
        ]
        return np.ascontiguousarray(taken.swapaxes(0, 1)).reshape(self.alike, size, size)

    def matrices(self) -> Complexes:
        """Return (G, P, A, A)."""
        k, size = self.shape.qubits, self.size
        product = np.tile(np.eye(size, dtype=complex).reshape(1, -1), (self.alike, 1))
        for m, member in enumerate(self.shape.members):
            rows = self._numbers(m)
            where = [t + k for t in member.targets], [c + k for c in member.controls]
            product = self.host.apply_matrix(product, rows, *where)
        return product.reshape(len(self.shape.groups), -1, size, size)

    def derivatives(self, transitions: Complexes, wanted: NDArray[np.bool_]) -> Floats:
        """Return Im ⟨λ|G|ψ⟩ of all members, (G, P, M), 0 where it is not wanted.

        Args:
            transitions: T behind the groups, (G, P, A, A). wanted: by instance.
        """
        shape, k, size = self.shape, self.shape.qubits, self.size
        found = np.zeros((self.alike, len(shape.members)))
        t = np.ascontiguousarray(transitions, dtype=complex).reshape(self.alike, size * size)
        asked = [bool(wanted[shape.instances[:, m]].any()) for m in range(len(shape.members))]
        first = asked.index(True) if any(asked) else len(asked)
        for m in reversed(range(first, len(shape.members))):
            member = shape.members[m]
            if asked[m]:
                part = _within(t.reshape(-1, size, size), member.targets, member.controls, k)
                if member.many:
                    found[:, m] = np.einsum("rab,rba->r", self._numbers(m, 1), part).imag
                else:
                    found[:, m] = np.einsum("ab,rba->r", shape.generators[m], part).imag
            if m > first:
                rows = self._numbers(m)
                high = [q + k for q in member.targets], [c + k for c in member.controls]
                t = self.host.apply_matrix(t, rows.conj().swapaxes(1, 2), *high)
                t = self.host.apply_matrix(t, rows.swapaxes(1, 2), member.targets, member.controls)
        return found.reshape(len(shape.groups), -1, len(shape.members))


def _within(t: Complexes, targets: tuple[int, ...], controls: tuple[int, ...], qubits: int) -> Complexes:
    """Trace T over all but the targets where all controls are 1, (R, s, s)."""
    rest, places = _places(targets, controls, qubits)
    rows = rest[:, None, None] + places[None, :, None]
    columns = rest[:, None, None] + places[None, None, :]
    found: Complexes = t[:, rows, columns].sum(axis=1)
    return found


@lru_cache(maxsize=512)
def _places(targets: tuple[int, ...], controls: tuple[int, ...], qubits: int) -> tuple[Ints, Ints]:
    index = np.arange(1 << qubits)
    ones, mask = sum(1 << c for c in controls), sum(1 << t for t in targets)
    rest = index[((index & ones) == ones) & ((index & mask) == 0)]
    local = np.arange(1 << len(targets))
    places = np.zeros(len(local), dtype=np.int64)
    for i, target in enumerate(targets):
        places += (local >> i & 1) << target
    return rest, places
