"""Entries that wait, in compiled code: a heap by place in the program, a hash table by store and state.

States are compared by a fingerprint first, |⟨h|ψ⟩| on a grid, then by their distance up to a phase.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdiff.sim.machine import tables as t
from qdiff.sim.machine.code import Floats, Ints
from qdiff.sim.machine.compiled import inner

PARENT, CHILD, OUTCOME, NUMBER, HEAPED, UNUSED, ARRIVED, KEPT, ROWS = range(t.CONTEXT, t.CONTEXT + 9)
CONTEXT = t.CONTEXT + 9
"""More entries of `Work.context`: the entry that is being expanded, the one that is on its way to the next
instruction with outcomes; the outcome that comes next, of how many; how many entries wait, how many slots are
unused, how many have arrived, how many are kept, how many rows there are."""
EFFORT, ALONE, APART = range(3)
"""Entries of `Entries.sums`: what was done; what one trajectory would do to come as far; Σ mass · distance
merged.
"""
AT, SHORTEST, LONGEST, HASH, LINK, SPARE, SET_ASIDE, KEY, WAITING, STORE = range(10)
"""Columns of `Entries.slots`. Of the entry in a slot: its instruction, the least and the most steps that led
there, where it is among those that wait and the next one there, its store. Lists that have nothing to do with
the slot: unused slots, kept entries, and the heap, keys and entries."""
STATUS, BITS, ROW_HASH, ROW_LINK, ROW_STORE = range(5)
"""Columns of `Rows.keys`."""
MERGE_DISTANCE = 1e-12
GRID = 1e-7
"""Of fingerprints: far above rounding, far below what differs."""
IMPOSSIBLE = 1e-20
"""An outcome with a smaller share is rounding."""
ARRIVAL = 20
"""What it takes to let an entry wait, besides looking at its state, in the unit of `Work.context[BUDGET]`."""
ARRIVALS = 40
"""Bits of a key in the heap that number arrivals; the place of the instruction is above them."""


class Entries(NamedTuple):
    """The entries; see `sim.merged`.

    Attributes:
        states: (S, 2, D). slots: (S, STORE + counters). numbers: (S, 1 + operators) mass and expectations.
        heads: the first entries of a hash table. ranks: by instruction, the first in the program first. sums:
            (3,).
    """

    states: Floats
    slots: Ints
    numbers: Floats
    heads: Ints
    ranks: Ints
    sums: Floats


class Rows(NamedTuple):
    """Ends: keys (R, ROW_STORE + counters), probability and expectations (R, 1 + operators), a hash table."""

    keys: Ints
    numbers: Floats
    heads: Ints


@inner
def _mixed(h: int, value: int) -> int:
    h = (h ^ value) * -7046029254386353131
    return h ^ (h >> 29)


@inner
def _fingerprint(x: Floats) -> int:
    """|<h|x>| for a fixed pseudo-random real h, in units of the grid."""
    re, im = 0.0, 0.0
    for i in range(x.shape[1]):
        h = (i + 1) * 0.6180339887498949
        h = (h - np.floor(h)) * 54.28163527486841
        h = h - np.floor(h) - 0.5
        re += h * x[0, i]
        im += h * x[1, i]
    return int(np.floor(np.sqrt(re * re + im * im) / GRID))


@inner
def _apart(states: Floats, a: int, b: int, tolerance: float) -> float:
    """The distance of two states up to a phase; inf where it is above the tolerance."""
    re, im, total = 0.0, 0.0, 0.0
    for i in range(states.shape[2]):
        re += states[b, 0, i] * states[a, 0, i] + states[b, 1, i] * states[a, 1, i]
        im += states[b, 0, i] * states[a, 1, i] - states[b, 1, i] * states[a, 0, i]
    size = np.sqrt(re * re + im * im)
    if abs(size - 1) > GRID + tolerance:
        return np.inf
    re, im = re / size, im / size
    for i in range(states.shape[2]):
        total += (states[a, 0, i] - re * states[b, 0, i] + im * states[b, 1, i]) ** 2
        total += (states[a, 1, i] - re * states[b, 1, i] - im * states[b, 0, i]) ** 2
    distance = np.sqrt(total)
    return distance if distance <= tolerance else np.inf


@inner
def arrive(
    states: Floats,
    slots: Ints,
    numbers: Floats,
    heads: Ints,
    context: Ints,
    child: int,
    rank: int,
    by_steps: bool,
    tolerance: float,
) -> float:
    """Let an entry wait; 0 or more if it merged with another, from that distance, -1 if not."""
    mask, columns = heads.size - 1, slots.shape[1]
    base = _mixed(slots[child, AT], slots[child, SHORTEST] if by_steps else 0)
    for i in range(STORE, columns):
        base = _mixed(base, slots[child, i])
    fingerprint = _fingerprint(states[child])
    h = 0
    for near in range(3):
        h = _mixed(base, fingerprint + int(near == 1) - int(near == 0))
        other = heads[h & mask]
        while other >= 0:
            same = slots[other, HASH] == h and slots[other, AT] == slots[child, AT]
            same = same and (not by_steps or slots[other, SHORTEST] == slots[child, SHORTEST])
            for i in range(STORE, columns):
                same = same and slots[other, i] == slots[child, i]
            distance = _apart(states, child, other, tolerance) if same else np.inf
            if distance <= tolerance:
                numbers[other, 0] += numbers[child, 0]
                slots[other, SHORTEST] = min(slots[other, SHORTEST], slots[child, SHORTEST])
                slots[other, LONGEST] = max(slots[other, LONGEST], slots[child, LONGEST])
                return distance
            other = slots[other, LINK]
    # The last of the three is its own.
    slots[child, HASH], slots[child, LINK] = h, heads[h & mask]
    heads[h & mask] = child
    key, at = (rank << ARRIVALS) + context[ARRIVED], context[HEAPED]
    context[ARRIVED] += 1
    context[HEAPED] += 1
    while at > 0 and slots[(at - 1) >> 1, KEY] > key:
        up = (at - 1) >> 1
        slots[at, KEY], slots[at, WAITING] = slots[up, KEY], slots[up, WAITING]
        at = up
    slots[at, KEY], slots[at, WAITING] = key, child
    return -1.0


@inner
def taken(slots: Ints, heads: Ints, context: Ints) -> int:
    """Take the entry with the least key off the heap, and out of the hash table."""
    size = context[HEAPED] - 1
    context[HEAPED] = size
    first, key, last, at = slots[0, WAITING], slots[size, KEY], slots[size, WAITING], 0
    while 2 * at + 1 < size:
        down = 2 * at + 1
        if down + 1 < size and slots[down + 1, KEY] < slots[down, KEY]:
            down += 1
        if slots[down, KEY] >= key:
            break
        slots[at, KEY], slots[at, WAITING] = slots[down, KEY], slots[down, WAITING]
        at = down
    slots[at, KEY], slots[at, WAITING] = key, last
    place = slots[first, HASH] & (heads.size - 1)
    other = heads[place]
    if other == first:
        heads[place] = slots[first, LINK]
    else:
        while slots[other, LINK] != first:
            other = slots[other, LINK]
        slots[other, LINK] = slots[first, LINK]
    return int(first)


@inner
def ended(
    keys: Ints,
    found: Floats,
    heads: Ints,
    context: Ints,
    store: Ints,
    numbers: Floats,
    entry: int,
    status: int,
    bits: int,
    mass: float,
) -> None:
    """Add to the probability of an end, with the expectations of an entry."""
    mask = heads.size - 1
    h = _mixed(status, bits)
    for i in range(keys.shape[1] - ROW_STORE):
        h = _mixed(h, store[i])
    for k in range(1, found.shape[1]):
        h = _mixed(h, int(numbers[entry, k] * 1e9))
    row = heads[h & mask]
    while row >= 0:
        same = keys[row, ROW_HASH] == h and keys[row, STATUS] == status and keys[row, BITS] == bits
        for i in range(keys.shape[1] - ROW_STORE):
            same = same and keys[row, ROW_STORE + i] == store[i]
        for k in range(1, found.shape[1]):
            same = same and found[row, k] == numbers[entry, k]
        if same:
            found[row, 0] += mass
            return
        row = keys[row, ROW_LINK]
    row = context[ROWS]
    context[ROWS] += 1
    keys[row, STATUS], keys[row, BITS] = status, bits
    keys[row, ROW_HASH], keys[row, ROW_LINK] = h, heads[h & mask]
    heads[h & mask] = row
    for i in range(keys.shape[1] - ROW_STORE):
        keys[row, ROW_STORE + i] = store[i]
    found[row, 0] = mass
    for k in range(1, found.shape[1]):
        found[row, k] = numbers[entry, k]
