"""Which basis states a run may be in at the steps of an abstract graph, whatever the parameters are.

A set of basis states is carried forwards from |0…0⟩: a gate leads to the states where its matrix is not
0 at every angle, a measurement keeps those of its outcome, a channel adds those to which it moves
population. What is not in the set has amplitude 0 for all values of the trainable parameters. Sets are
bit masks over the 2ⁿ basis states.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.channels import ChannelRecord
from qdiff.lang.gates import is_gate
from qdiff.sim import flow as fl
from qdiff.sim.abstract_graph import AbstractGraph, Step
from qdiff.sim.flow import SmallGate

LARGEST_DIMENSION = 256  # beyond it every state counts as occupied
ZERO = 1e-12  # entries of powers of a generator that are no more than rounding


def possible_steps(graph: AbstractGraph) -> list[tuple[int, ...]]:
    """Return those `next` of every step that a run may take; of a step that no run comes to, none."""
    occupied = _Occupation(graph)
    occupied.carry()
    return [
        tuple(following for following, _ in occupied.onwards(step, states)) if states else ()
        for step, states in zip(graph.steps, occupied.states, strict=True)
    ]


class _Occupation:
    def __init__(self, graph: AbstractGraph) -> None:
        self.graph = graph
        self.qubits = len(graph.flow.program.qubits)
        self.everything = (1 << self.dimension) - 1
        self.index = np.arange(self.dimension)
        self.states = [0] * len(graph.steps)
        self.gate = cache(self._gate)
        self.reset = cache(self._reset)
        self.outcomes = cache(self._outcomes)
        self.channel = cache(self._channel)

    @property
    def dimension(self) -> int:
        """Of the space whose basis states are told apart; 1 where there are too many of them."""
        whole = 1 << self.qubits
        return whole if whole <= LARGEST_DIMENSION else 1

    def carry(self) -> None:
        """Fill `states` for every step."""
        start = self.graph.starts[0]
        self.states[start] = 1
        waiting = [start]
        while waiting:
            here = waiting.pop()
            for following, states in self.onwards(self.graph.steps[here], self.states[here]):
                place = following if following >= 0 else -1
                if following <= -2:
                    place = self.graph.starts[-2 - following]
                if place >= 0 and states & ~self.states[place]:
                    self.states[place] |= states
                    waiting.append(place)

    def onwards(self, step: Step, states: int) -> list[tuple[int, int]]:
        """Where a run in one of these states may go on, and in which states."""
        match step.instruction:
            case fl.MeasureBits(qubits=qubits) | fl.RecordBits(qubits=qubits):
                kept = [states & mask for mask in self.outcomes(qubits)]
                return [pair for pair in zip(step.next, kept, strict=True) if pair[1]]
            case fl.Toss(expression=expression):
                constant = not self.graph.flow.expressions[expression].parameters()
                least, most = step.value if constant else (0.5, 0.5)
                taken = (most > 0, least < 1)
                return [(place, states) for place, way in zip(step.next, taken, strict=True) if way]
            case fl.Apply(gate=gate):
                after = self.gate(gate, states)
            case fl.ResetBits(bits=bits):
                after = self.reset(bits, states)
            case fl.ChannelBits(record=record, qubit=qubit):
                after = self.channel(record, qubit, states)
            case _:
                after = states
        return [(place, after) for place in step.next]

    def _outcomes(self, qubits: tuple[int, ...]) -> list[int]:
        """The basis states of each outcome."""
        if self.dimension == 1:
            return [1] * (1 << len(qubits))
        values = sum(((self.index >> q & 1) << i for i, q in enumerate(qubits)), np.zeros_like(self.index))
        return [_mask(values == outcome) for outcome in range(1 << len(qubits))]

    def _gate(self, gate: int, states: int) -> int:
        if self.dimension == 1 or states == self.everything:
            return states
        small = self.graph.flow.gates[gate]
        on = (self.index & small.controls) == small.controls
        inner = sum((self.index >> q & 1) << i for i, q in enumerate(small.targets))
        rest = self.index & ~sum(1 << q for q in small.targets)
        before = self._occupied(states)
        after = before & ~on
        for to, source in zip(*np.nonzero(nonzero(small)), strict=True):
            bits = sum((int(source) >> i & 1) << q for i, q in enumerate(small.targets))
            after |= on & (inner == to) & before[rest | bits]
        return _mask(after)

    def _reset(self, bits: int, states: int) -> int:
        if self.dimension == 1:
            return states
        after = np.zeros(self.dimension, dtype=bool)
        after[self.index[self._occupied(states)] & ~bits] = True
        return _mask(after)

    def _channel(self, channel: ChannelRecord, qubit: int, states: int) -> int:
        """The populations that move go where they may, whatever the probability is."""
        if self.dimension == 1:
            return states
        before = self._occupied(states)
        after = before.copy()
        for to, source in zip(*np.nonzero(channel.moved), strict=True):
            here = (self.index >> qubit & 1) == to
            after |= here & before[self.index & ~(1 << qubit) | int(source) << qubit]
        return _mask(after)

    def _occupied(self, states: int) -> NDArray[np.bool_]:
        return np.array([states >> i & 1 for i in range(self.dimension)], dtype=bool)


def nonzero(gate: SmallGate) -> NDArray[np.bool_]:
    """The entries of a gate's matrix that are not 0 at every angle; of a declared gate perhaps more."""
    if gate.record.fixed is not None:
        return np.asarray(gate.record.fixed != 0)
    generator = gate.record.generator
    assert generator is not None
    power = np.eye(len(generator), dtype=complex)
    found = power != 0
    if not is_gate(gate.record.name):  # declared: of any size, and a product of G and B has any order
        drift = gate.record.drift
        joined = generator != 0 if drift is None else (generator != 0) | (drift != 0)
        for _ in range(len(generator) - 1):
            found = found | found @ joined
        return np.asarray(found)
    for _ in range(len(generator) - 1):  # exp(-i a G/2) is a polynomial in G of a degree below its size
        power = power @ generator
        found |= np.abs(power) > ZERO
    return np.asarray(found)


def _mask(chosen: NDArray[np.bool_]) -> int:
    return sum(1 << int(i) for i in np.flatnonzero(chosen))
