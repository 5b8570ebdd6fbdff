"""Ways through a trace as a few Kraus operators between parts of the basis.

Gates, and the one outcome of a measurement that is kept, only multiply a matrix M; resets (and measurements
of which several outcomes are kept) end it. What happens on one way is a row of *links*

    X → w Σ_b M_b X M_b†,

w the probability of flips, b the states of the qubits that are reset, and between them noise channels, which
multiply single entries. After a reset or a measurement a state occupies part of the basis only, and the
matrices have that size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.channels import Channel, ChannelMaps
from qdiff.sim.hybrid.coordinates import Reals, decode, encode
from qdiff.sim.hybrid.supports import Ints
from qdiff.sim.hybrid.traces import Maps, Stack

Step = tuple[int, int]  # code and argument of an operation; resets next to each other are one, by bit mask


@dataclass(frozen=True, eq=False)
class Link:
    """X → weight · kept ∘ Σ_b M_b X M_b†.

    Attributes:
        tall: all M_b below each other, (P or 1, 1, b·n, k); wide: beside each other, (P or 1, 1, n, b·k).
        weight: (P, 1, 1, 1) or 1; kept: 1 at entries that stay, (n, n), or None for all.
    """

    tall: Stack
    wide: Stack
    weight: NDArray[np.float64] | float
    kept: NDArray[np.float64] | None

    @classmethod
    def of(
        cls,
        tall: Stack,
        weight: NDArray[np.float64] | float,
        blocks: int = 1,
        kept: NDArray[np.float64] | None = None,
    ) -> Link:
        """Return the link with so many matrices below each other, (P or 1, 1, b·n, k)."""
        return cls(tall, _beside(tall, tall.shape[-2] // blocks), weight, kept)

    @cached_property
    def adjoints(self) -> tuple[Stack, Stack]:
        """The adjoints of `tall` and `wide`."""
        return (
            np.ascontiguousarray(self.tall.conj().swapaxes(-1, -2)),
            np.ascontiguousarray(self.wide.conj().swapaxes(-1, -2)),
        )

    def forward(self, x: Stack) -> Stack:
        """From (P, C, k, k) to (P, C, n, n)."""
        n = self.wide.shape[-2]
        result = _beside(self.tall @ x, n) @ self.adjoints[1]
        if self.kept is not None:
            result *= self.kept
        return np.asarray(result if isinstance(self.weight, float) else result * self.weight)

    def backward(self, a: Stack) -> Stack:
        """From (P, C, n, n) to (P, C, k, k)."""
        if self.kept is not None:
            a = a * self.kept
        n, k = self.wide.shape[-2], self.tall.shape[-1]
        moved = a @ self.wide  # (…, n, b·k): all a M_b beside each other
        below = moved.reshape(*moved.shape[:-2], n, -1, k).swapaxes(-3, -2)
        result = self.adjoints[0] @ below.reshape(*moved.shape[:-2], -1, k)
        return np.asarray(result if isinstance(self.weight, float) else result * self.weight)


def _beside(x: Stack, n: int) -> Stack:
    """What is below each other, (…, b·n, k), beside each other, (…, n, b·k)."""
    k = x.shape[-1]
    if x.shape[-2] == n:
        return x
    return x.reshape(*x.shape[:-2], -1, n, k).swapaxes(-3, -2).reshape(*x.shape[:-2], n, -1)


@dataclass(frozen=True, eq=False)
class Noise:
    """X → stay ∘ X + move ∘ (X with the qubit of a channel turned around), on n of the basis states.

    Attributes:
        stay, move: factors (`channel_maps`) of every entry, (P, 1, n, n); move None where nothing moves.
        turned: where each of the n states is with the qubit turned around, (n,).
        before: where the k states are that may be occupied before it, (k,); the rest of X is 0.
    """

    stay: NDArray[np.float64]
    move: NDArray[np.float64] | None
    turned: Ints
    before: Ints

    @classmethod
    def of(cls, noise: ChannelMaps, channel: int, before: Ints, after: Ints) -> Noise:
        """Return a channel from one part of the basis to another, which may have more states."""
        here = noise.channels[channel]
        w, c = noise.factors(channel)
        bits = after >> here.qubit & 1
        same = bits[:, None] == bits
        stay = np.where(same, w[:, bits, bits][:, :, None], c[:, None, None])[:, None]
        move = np.where(same, w[:, bits, 1 - bits][:, :, None], 0.0)[:, None] if here.record.moves() else None
        turned = np.searchsorted(after, after ^ (1 << here.qubit))
        return cls(stay, move, turned, np.searchsorted(after, before))

    def forward(self, x: Stack) -> Stack:
        """From (P, C, k, k) to (P, C, n, n)."""
        n = self.stay.shape[-1]
        if len(self.before) < n:
            some, x = x, np.zeros((*x.shape[:-2], n, n), dtype=complex)
            x[..., self.before[:, None], self.before] = some
        result = self.stay * x
        if self.move is not None:
            result += self.move * x[..., self.turned[:, None], self.turned]
        return result

    def backward(self, a: Stack) -> Stack:
        """From (P, C, n, n) to (P, C, k, k)."""
        result = self.stay * a
        if self.move is not None:
            result += (self.move * a)[..., self.turned[:, None], self.turned]
        return result[..., self.before[:, None], self.before]


@dataclass(frozen=True, eq=False)
class Pass:
    """Links one after the other, on coordinates (P, C, k²); `sizes`: k at the start and at the end."""

    links: Sequence[Link | Noise]
    sizes: tuple[int, int]

    def forward(self, y: Reals) -> Reals:
        """Move states on."""
        x = decode(y, self.sizes[0])
        for link in self.links:
            x = link.forward(x)
        return encode(x)

    def backward(self, y: Reals) -> Reals:
        """Pull observables back."""
        a = decode(y, self.sizes[1])
        for link in reversed(self.links):
            a = link.backward(a)
        return encode(a)


def way(ops: Sequence[traces.Op], leaf: int) -> list[Step]:
    """The operations on the way to a leaf."""
    at = next(i for i, (code, _, _, arg) in enumerate(ops) if code == traces.LEAF and arg == leaf)
    register = ops[at][1]
    found: list[Step] = []
    for code, src, dst, arg in reversed(ops[:at]):
        if code in traces.BRANCHES and dst == register:
            register = src
            found.append((code, arg))
        elif code in (traces.UNITARY, traces.CHANNEL) and src == register:
            found.append((code, arg))
        elif code == traces.RESET and src == register:
            if found and found[-1][0] == traces.RESET:
                arg |= found.pop()[1]
            found.append((code, arg))
    return found[::-1]


def occupied_after(steps: Sequence[Step], maps: Maps, everything: Ints, part: Ints) -> list[Ints]:
    """The part of the basis that is occupied after each operation, from a part at the start."""
    found = []
    for code, arg in steps:
        if code == traces.UNITARY:
            part = everything
        elif code == traces.MASK:
            part = part[maps.masks[arg].diagonal()[part] > 0]
        elif code == traces.RESET:
            part = _sorted(part & ~arg, everything)
        elif code == traces.CHANNEL:
            part = _noisy(part, maps.channels[arg], everything)
        found.append(part)
    return found


def put_together(steps: Sequence[Step], maps: Maps, everything: Ints, start: Ints, end: Ints) -> Pass:
    """Put operations together, from one part of the basis to another."""
    links: list[Link | Noise] = []
    at, matrix = start, _unit(start)
    weight: NDArray[np.float64] | float = 1.0
    plain = True  # nothing to do so far
    for (code, arg), part in zip(steps, occupied_after(steps, maps, everything, start), strict=True):
        if code == traces.UNITARY:
            gates = maps.unitaries[arg][..., at]
            matrix, plain = gates if plain else gates @ matrix, False
        elif code == traces.RESET:
            found = _sorted(at & arg, everything)
            places = np.searchsorted(found, at & arg) * len(part) + np.searchsorted(part, at & ~arg)
            links.append(Link.of(_placed(matrix, places, len(found) * len(part)), weight, len(found)))
            matrix, weight, plain = _unit(part), 1.0, True
        elif code == traces.MASK:
            plain = plain and len(part) == len(at)
            matrix = matrix[:, :, np.searchsorted(at, part)]
            kept = maps.masks[arg][part[:, None], part]
            if not kept.all():  # several outcomes, without the coherences between them
                links.append(Link.of(matrix, weight, kept=kept))
                matrix, weight, plain = _unit(part), 1.0, True
        elif code == traces.CHANNEL:
            if not plain:
                links.append(Link.of(matrix, weight))
            links.append(Noise.of(maps.noise, arg, at, part))
            matrix, weight, plain = _unit(part), 1.0, True
        else:
            weight, plain = weight * maps.probability(code, arg), False
        at = part
    if not plain or len(at) < len(end):
        links.append(Link.of(_placed(matrix, np.searchsorted(end, at), len(end)), weight))
    return Pass(links, (len(start), len(end)))


def _sorted(states: Ints, everything: Ints) -> Ints:
    """Some basis states, each once."""
    there = np.zeros(len(everything), dtype=bool)
    there[states] = True
    return np.flatnonzero(there)


def _noisy(part: Ints, channel: Channel, everything: Ints) -> Ints:
    """The basis states that may be occupied after a channel."""
    moved = part ^ (1 << channel.qubit) if channel.record.moves() else part
    return _sorted(np.concatenate([part, moved]), everything)


def _unit(part: Ints) -> Stack:
    return np.eye(len(part), dtype=complex)[None, None]


def _placed(rows: Stack, places: Ints, size: int) -> Stack:
    """Rows (P or 1, 1, r, k) at their places among `size` rows; 0 elsewhere."""
    result = np.zeros((len(rows), 1, size, rows.shape[-1]), dtype=complex)
    result[:, :, places] = rows
    return result
