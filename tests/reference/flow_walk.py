"""A lowered program run literally, one visit of meeting points after the other, on density matrices.

Slow and obvious: every instruction acts on {(instruction, store): ρ}, with the matrices of the
reference. What stops (end, abort) leaves; only the end's states are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from reference.noise import noisy
from reference.operators import Matrix, lowering, projector, sandwiched, unitary
from reference.semantics import COMPARISONS

from qdiff.sim import flow as fl
from qdiff.sim.flow import ABORT, END, Flow

Place = tuple[int, tuple[int, ...]]
States = dict[Place, Matrix]


@dataclass
class FlowWalk:
    """Advances states and counts.

    Attributes:
        ended: states at the end by store; operations: expected number of gates, channels, resets,
            measurements, tosses so far; occurrences: of primitives by parameter.
    """

    flow: Flow
    params: Mapping[str, float]
    ended: dict[tuple[int, ...], Matrix] = field(default_factory=dict)
    operations: float = 0.0
    occurrences: dict[str, float] = field(default_factory=dict)

    def start(self) -> States:
        """|0…0⟩ at the entry."""
        n = len(self.flow.program.qubits)
        rho = np.zeros((1 << n, 1 << n), dtype=complex)
        rho[0, 0] = 1
        return {(self.flow.entry, (0,) * len(self.flow.counters)): rho}

    def advance(self, states: States) -> States:
        """From meeting points to the next ones."""
        arrived: States = {}
        pending = [(place, rho, True) for place, rho in states.items()]
        while pending:
            (here, store), rho, leaving = pending.pop()
            mass = float(np.trace(rho).real)
            if here == ABORT or mass < 1e-18:
                continue
            if here == END:
                self.ended[store] = self.ended.get(store, 0) + rho
            elif here in self.flow.meeting and not leaving:
                arrived[here, store] = arrived.get((here, store), 0) + rho
            else:
                pending += [(place, after, False) for place, after in self.after(here, store, rho, mass)]
        return arrived

    def after(
        self, here: int, store: tuple[int, ...], rho: Matrix, mass: float
    ) -> list[tuple[Place, Matrix]]:
        """What one instruction makes of a state."""
        n = len(self.flow.program.qubits)
        counters = dict(zip(self.flow.counters, store, strict=True))
        instruction = self.flow.instructions[here]
        if not isinstance(instruction, fl.Decide | fl.Set | fl.Mark):
            self.operations += mass
        match instruction:
            case fl.Apply(gate=gate, next=following):
                small = self.flow.gates[gate]
                angles: tuple[float, ...] = () if small.angle is None else (small.angle,)
                if small.expression >= 0:
                    expression = self.flow.expressions[small.expression]
                    self.count(expression.parameters(), mass)
                    angles = (float(expression.evaluate(self.params, counters)),)
                controls = tuple(q for q in range(n) if small.controls >> q & 1)
                u = unitary(small.record, angles, small.targets, controls, n)
                return [((following, store), sandwiched(u, rho))]
            case fl.ResetBits(bits=bits, next=following):
                for q in range(n):
                    if bits >> q & 1:
                        rho = sum(sandwiched(lowering(q, bit, n), rho) for bit in (0, 1))
                return [((following, store), rho)]
            case fl.MeasureBits(qubits=qubits, targets=targets):
                return [
                    ((target, store), sandwiched(projector(qubits, u, n), rho))
                    for u, target in enumerate(targets)
                ]
            case fl.RecordBits(qubits=qubits, counter=counter, next=following):
                return [
                    (
                        (following, (*store[:counter], u, *store[counter + 1 :])),
                        sandwiched(projector(qubits, u, n), rho),
                    )
                    for u in range(1 << len(qubits))
                ]
            case fl.ChannelBits(record=entry, qubit=qubit, expression=index, next=following):
                expression = self.flow.expressions[index]
                self.count(expression.parameters(), mass)
                p = float(expression.evaluate(self.params, counters))
                return [((following, store), noisy(entry.name, p, qubit, n, rho))]
            case fl.Toss(expression=index, if_true=if_true, if_false=if_false):
                expression = self.flow.expressions[index]
                self.count(expression.parameters(), mass)
                p = float(expression.evaluate(self.params, counters))
                return [((if_true, store), p * rho), ((if_false, store), (1 - p) * rho)]
            case fl.Decide(condition=condition, if_true=if_true, if_false=if_false):
                left = condition.left.evaluate(self.params, counters)
                right = condition.right.evaluate(self.params, counters)
                holds = COMPARISONS[condition.operator](left, right)
                return [((if_true if holds else if_false, store), rho)]
            case fl.Set(counter=counter, value=value, next=following):
                new = int(value.evaluate({}, counters))
                return [((following, (*store[:counter], new, *store[counter + 1 :])), rho)]
            case fl.Mark(next=following):
                return [((following, store), rho)]
            case _:
                raise AssertionError(f"{instruction} is no instruction to run")

    def count(self, names: frozenset[str], mass: float) -> None:
        for name in names:
            self.occurrences[name] = self.occurrences.get(name, 0.0) + mass
