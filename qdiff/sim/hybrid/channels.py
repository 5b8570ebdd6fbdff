"""The noise channels of one graph, with numbers: the maps, their derivatives, and what bounds those.

A channel has its probability in common with a *toss*, an entry of `Graph.tosses`: derivatives by the
probability, expected executions and errors are those of the toss. With p = p(θ),

    d𝓔/dp, d²𝓔/dp²:  the derivatives of the factors (`lang.channels`);
    N = Σ_j |c_j| 𝓕_j ≥ |d𝓔/dp| of the rule d𝓔/dp = Σ_j c_j 𝓕_j;   ‖d𝓔/dp‖ ≤ L1 = Σ_j |c_j| .
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.channels import ChannelRecord, Factors
from qdiff.sim.channel_maps import Stack, applied

Numbers = NDArray[Any]
MAJORANT = -1  # in place of the order of a derivative: what is above the first


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel on a qubit; `toss` is the index of its probability."""

    record: ChannelRecord
    qubit: int
    toss: int


class ChannelMaps:
    """The channels at P sets of probabilities (P, T), already within [0, 1]."""

    def __init__(self, channels: Sequence[Channel], probabilities: Numbers) -> None:
        self.channels = channels
        self.probabilities = probabilities
        self._factors: dict[tuple[int, int], Factors] = {}

    def forward(self, channel: int, x: Stack, order: int = 0) -> Stack:
        """Return 𝓔(x) for x (P or 1, ..., D, D), or its derivative by p of an order."""
        return applied(x, self.channels[channel].qubit, self.factors(channel, order))

    def backward(self, channel: int, a: Stack, order: int = 0) -> Stack:
        """Return 𝓔†(a), or its derivative by p of an order."""
        return applied(a, self.channels[channel].qubit, self.factors(channel, order), adjoint=True)

    def majorant(self, channel: int, x: Stack) -> Stack:
        """Return N(x), above what the derivative by p makes of x ≥ 0."""
        return applied(x, self.channels[channel].qubit, self.factors(channel, MAJORANT))

    def l1(self, channel: int) -> Numbers:
        """Return L1 of the derivative rule, (P,)."""
        here = self.channels[channel]
        p = self.probabilities[:, here.toss]
        return np.where(differentiable(here.record, p), here.record.l1(_inside(here.record, p)), 0.0)

    def factors(self, channel: int, order: int = 0) -> Factors:
        """Return the factors of a channel (`lang.channels`), (P, 2, 2) and (P,), or their derivatives.

        Args:
            order: of the derivative by p, or `MAJORANT` for those of N.
        """
        key = (channel, order)
        if key not in self._factors:
            here = self.channels[channel]
            self._factors[key] = _factors(here.record, self.probabilities[:, here.toss], order)
        return self._factors[key]

    def all_factors(self, order: int = 0) -> Factors:
        """Return the factors of all channels together, (P, C, 2, 2) and (P, C)."""
        shape = (len(self.probabilities), len(self.channels))
        populations, coherences = np.empty((*shape, 2, 2)), np.empty(shape)
        members: dict[ChannelRecord, list[int]] = {}
        for i, channel in enumerate(self.channels):
            members.setdefault(channel.record, []).append(i)
        for record, some in members.items():
            p = self.probabilities[:, [self.channels[i].toss for i in some]]
            populations[:, some], coherences[:, some] = _factors(record, p, order)
        return populations, coherences


def _factors(record: ChannelRecord, p: Numbers, order: int) -> Factors:
    p = np.asarray(_inside(record, p) if order else p)
    return record.majorant(p) if order == MAJORANT else record.factors(p, order)


def _inside(record: ChannelRecord, p: Numbers) -> Numbers:
    """Probabilities where derivatives exist; any other where they do not, which is refused elsewhere."""
    return np.where(differentiable(record, p), p, 0.0)


def differentiable(record: ChannelRecord, p: Numbers) -> NDArray[np.bool_]:
    """Whether a channel has a derivative by its probability, (...)."""
    return np.asarray(np.isfinite(record.factors(p, 1)[1]))
