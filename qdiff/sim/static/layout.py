"""Where qubits are in the index of a large state, and the steps that act on them there.

The lowest bits of an index tell the lanes of vectors apart, and no group acts there: a qubit that is there is
exchanged with one that is needed later. States so large that no cache holds them are worked on in *sweeps*:
blocks of 2^`BLOCK_BITS` amplitudes that differ in some bits, the lowest among them, on which many groups act
in turn. In the end a qubit may stand elsewhere than in the beginning: `Layout.places`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qdiff.sim.static.group_sizes import BLOCK_BITS, GROUP_QUBITS
from qdiff.sim.static.schedule import Gate, Part, Waiting, groups


@dataclass(frozen=True)
class Exchange:
    """Exchange two local bits, one of them a bit of lanes."""

    lane: int
    other: int


@dataclass(frozen=True)
class Group:
    """A part on three local bits, ascending; a qubit of the part is at bits[position[qubit]]."""

    part: Part
    bits: tuple[int, ...]
    position: dict[int, int]


@dataclass(frozen=True)
class Wide:
    """A gate on many qubits, at these local bits."""

    gate: int
    place: dict[int, int]


@dataclass(frozen=True)
class Sweep:
    """Steps on blocks: bits of the index, ascending, that are local, and what is done there."""

    bits: tuple[int, ...]
    steps: tuple[Exchange | Group | Wide, ...]


@dataclass(frozen=True)
class Layout:
    """All sweeps.

    Attributes:
        bits: of an index; at least as many as there are qubits.
        places: the bit of each qubit behind the last sweep.
    """

    bits: int
    places: tuple[int, ...]
    sweeps: tuple[Sweep, ...]


def laid_out(gates: Sequence[Gate], qubits: int, lane_bits: int, block_bits: int = BLOCK_BITS) -> Layout:
    """Return sweeps for gates, given in the order in which they are applied.

    Args:
        lane_bits: low bits of an index, which tell the lanes of a vector apart.
    """
    bits = max(qubits, lane_bits + GROUP_QUBITS)
    at = _first_places(gates, qubits, bits)
    waiting = Waiting(range(len(gates)), gates)
    sweeps = []
    while waiting.left:
        if bits <= block_bits:
            here, taken = tuple(range(bits)), list(range(len(gates)))
            waiting.left = 0
        else:
            part = waiting.part(block_bits, [at[bit] for bit in range(lane_bits)])
            here, taken = _local_bits(at, part, lane_bits, bits, block_bits), part.gates
        sweeps.append(_sweep(here, taken, gates, at, lane_bits))
    places = {q: bit for bit, q in at.items()}
    return Layout(bits, tuple(places[q] for q in range(qubits)), tuple(sweeps))


def _first_places(gates: Sequence[Gate], qubits: int, bits: int) -> dict[int, int]:
    """Which qubit is at each bit in the beginning: those needed first are far from the lanes; idle ones have
    numbers from `qubits` on."""
    order = dict.fromkeys(q for gate in gates if len(gate.qubits) > 1 for q in sorted(gate.qubits))
    others = [q for q in range(bits) if q not in order]
    return {bits - 1 - i: q for i, q in enumerate([*order, *others])}


def _local_bits(
    at: dict[int, int], part: Part, lane_bits: int, bits: int, block_bits: int
) -> tuple[int, ...]:
    """The bits of a part and of lanes, filled up to a block from below."""
    found = {bit for bit in range(bits) if bit < lane_bits or at[bit] in part.qubits}
    for bit in range(bits):
        if len(found) >= block_bits:
            break
        found.add(bit)
    return tuple(sorted(found))


def _sweep(
    bits: tuple[int, ...], taken: Iterable[int], gates: Sequence[Gate], at: dict[int, int], lane_bits: int
) -> Sweep:
    """The steps of a sweep; `at` is brought up to date."""
    parts = list(groups(sorted(taken), gates))
    uses: dict[int, list[int]] = {}
    for i in reversed(range(len(parts))):
        for q in parts[i].qubits:
            uses.setdefault(q, []).append(i)
    local = [at[bit] for bit in bits]
    steps: list[Exchange | Group | Wide] = []
    for part in parts:
        for q in part.qubits:
            uses[q].pop()
        if len(part.qubits) > GROUP_QUBITS:
            (g,) = part.gates
            steps.append(Wide(g, {q: local.index(q) for q in part.qubits}))
            continue
        for lane in [j for j in range(lane_bits) if local[j] in part.qubits]:
            others = [j for j in range(lane_bits, len(local)) if local[j] not in part.qubits]
            latest = max(others, key=lambda j: (uses[local[j]][-1] if uses.get(local[j]) else len(parts), j))
            local[lane], local[latest] = local[latest], local[lane]
            steps.append(Exchange(lane, latest))
        own = [local.index(q) for q in part.qubits]
        idle = [j for j in range(lane_bits, len(local)) if j not in own]
        where = sorted(own + idle[: GROUP_QUBITS - len(own)])
        steps.append(Group(part, tuple(where), {q: where.index(local.index(q)) for q in part.qubits}))
    for bit, q in zip(bits, local, strict=True):
        at[bit] = q
    return Sweep(bits, tuple(steps))
