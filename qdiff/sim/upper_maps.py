"""Operators pulled back through one instruction, bounded from above where counters are unknown.

For Hermitian X ≥ 0 behind an instruction, an operator that is at least T†(X) before it, whatever
the unknown numbers are:

* a gate exp(-i a G/2) with a in [m - s, m + s]: with P_a the projectors on the eigenspaces of G,
  Y = U(m)† X U(m), O_ab = P_a Y P_b + h.c., h = s |g_a - g_b| / 2: the phase of O_ab moves on an arc
  of half-angle h, so that U†XU ≤ Σ_a P_a Y P_a + Σ_ab (cos h O_ab + sin h |O_ab|); where h ≥ π/2
  |O_ab| alone. (-|O| ≤ e^{iφ} O_+ + e^{-iφ} O_- ≤ |O|: all of them have the same modulus.) With a drift,
  or on many qubits, ‖X‖ · 1;
* two ways, either of which may be taken: (A + B + |A - B|) / 2, which is above both;
* a probability in an interval: the two ends, either of which may be it;
* a mixture with its probability in an interval likewise; of another channel (see `lang.channels`)
  the populations at the two ends, and the coherence, which falls with the probability, at the two ends;
* where these have a larger trace than ‖X‖ · 1, that, which is above them all.

Everything else is linear and exact. A gate that is known within an interval only waits until
something is met that acts on its qubits: what acts elsewhere commutes with it, and the bound is
sharper the later it is taken. After every operation, δ·1 is added with δ = `ROUNDING`·D·‖X‖_F
(times 1 + |a| for an angle, which is itself rounded), far above what rounding can take away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.channels import ChannelRecord
from qdiff.lang.gates import is_gate
from qdiff.sim import flow as fl
from qdiff.sim.abstract_graph import STOP, AbstractGraph, Step
from qdiff.sim.channel_maps import applied
from qdiff.sim.flow import SmallGate
from qdiff.sim.intervals import Interval
from qdiff.sim.rounding import exponential_error, fixed_error

Operator: TypeAlias = NDArray[np.complex128]

ROUNDING = 32 * np.finfo(float).eps
LARGEST_SPREAD = 3  # targets of a declared gate whose eigenvectors are taken one by one
KEPT_BYTES = 64 << 20  # unitaries on the whole register that are kept


@dataclass(frozen=True)
class Pulled:
    """An operator, and the gates before it in time that wait: (gate, angles), the last in time first."""

    operator: Operator
    waiting: tuple[tuple[int, Interval], ...] = ()


class UpperMaps:
    """Pulls operators on all vertices of a graph back by one visit."""

    def __init__(self, graph: AbstractGraph) -> None:
        self.graph = graph
        self.qubits = len(graph.flow.program.qubits)
        self.dimension = 1 << self.qubits
        self.index = np.arange(self.dimension)
        self.unitaries: dict[tuple[int, float], Operator] = {}
        self.projectors: dict[int, list[tuple[float, Operator]]] = {}
        self.uses = [0] * len(graph.steps)
        for step in graph.steps:
            for place in step.next:
                if place >= 0:
                    self.uses[place] += 1
        for start in graph.starts:
            self.uses[start] += 1

    def pull_back(self, operators: list[Operator | None]) -> list[Operator | None]:
        """Return bounds of T†(operators), one for each vertex; None is 0."""
        behind: dict[int, Pulled | None] = {}
        left = list(self.uses)

        def take(place: int) -> Pulled | None:
            if place < 0:
                vertex = None if place == STOP else operators[-2 - place]
                return None if vertex is None else Pulled(vertex)
            left[place] -= 1
            return behind[place] if left[place] else behind.pop(place)

        for i, step in enumerate(self.graph.steps):
            behind[i] = self.step(step, [take(place) for place in step.next])
        return [self.flushed(take(start)) for start in self.graph.starts]

    # --- one instruction ---

    def step(self, step: Step, ahead: list[Pulled | None]) -> Pulled | None:
        """Pull back through one step, `ahead` what is behind each of its `next`."""
        present = [pulled for pulled in ahead if pulled is not None]
        if not present:
            return None
        match step.instruction:
            case fl.Apply(gate=gate):
                return self.gate(gate, step.value, present[0])
            case fl.ResetBits(bits=bits):
                pulled = self.before(bits, present[0])
                return Pulled(self.reset(bits, pulled.operator), pulled.waiting)
            case fl.MeasureBits(qubits=qubits) | fl.RecordBits(qubits=qubits):
                return self.measured(qubits, ahead)
            case fl.ChannelBits(record=record, qubit=qubit):
                pulled = self.before(1 << qubit, present[0])
                return Pulled(self.noisy(record, qubit, step.value, pulled.operator), pulled.waiting)
            case fl.Toss():
                return self.tossed(step.value, ahead)
            case fl.Decide() | fl.Set() if len(present) > 1:  # what is 0 is below the others
                return Pulled(reduce(self.join, map(self.flush, present)))
            case _:
                return present[0]

    def gate(self, gate: int, angles: Interval, pulled: Pulled) -> Pulled:
        small = self.graph.flow.gates[gate]
        if small.expression >= 0 and angles[0] != angles[1]:
            return Pulled(pulled.operator, (*pulled.waiting, (gate, angles)))
        pulled = self.before(support(small), pulled)
        return Pulled(self.turned(gate, angles[0], pulled.operator), pulled.waiting)

    def measured(self, qubits: tuple[int, ...], ahead: list[Pulled | None]) -> Pulled:
        """Σ_u P_u X_u P_u."""
        bits = sum(1 << q for q in qubits)
        outcomes = sum((self.index >> q & 1) << i for i, q in enumerate(qubits))
        sources = {id(pulled): pulled for pulled in ahead if pulled is not None}
        if len(sources) == 1:
            (source,) = sources.values()
            single = self.before(bits, source)
            sources, waiting = {id(source): Pulled(single.operator)}, single.waiting
        else:
            sources = {key: Pulled(self.flush(pulled)) for key, pulled in sources.items()}
            waiting = ()
        total = np.zeros((self.dimension, self.dimension), dtype=complex)
        for outcome, pulled in enumerate(ahead):
            if pulled is not None:
                places = np.flatnonzero(outcomes == outcome)
                block = np.ix_(places, places)
                total[block] = sources[id(pulled)].operator[block]
        return Pulled(total, waiting)

    def tossed(self, p: Interval, ahead: list[Pulled | None]) -> Pulled:
        """p A + (1 - p) B, at both ends of what p may be."""
        least, most = (min(max(end, 0.0), 1.0) for end in p)
        if_true, if_false = ahead
        if if_false is None or if_true is None:
            weight, pulled = (most, if_true) if if_false is None else (1 - least, if_false)
            assert pulled is not None
            return Pulled(self.slack(weight * pulled.operator, pulled.operator), pulled.waiting)
        a, b = self.flush(if_true), self.flush(if_false)
        ends = [self.slack(end * a + (1 - end) * b, a, b) for end in {least, most}]
        return Pulled(ends[0] if len(ends) == 1 else self.join(*ends))

    def noisy(self, record: ChannelRecord, qubit: int, p: Interval, x: Operator) -> Operator:
        """A channel pulled back, at both ends of what its probability may be."""
        least, most = (min(max(end, 0.0), 1.0) for end in p)
        ends = [record.factors(np.array(end)) for end in sorted({least, most})]

        def pulled(w: NDArray[np.float64], c: NDArray[np.float64]) -> Operator:
            return self.slack(applied(x, qubit, (w, c), adjoint=True), x)

        if len(ends) == 1:
            return pulled(*ends[0])
        if record.mixture:
            return self.join(*(pulled(w, c) for w, c in ends))
        populations = self.join(*(pulled(w, np.zeros_like(c)) for w, c in ends))
        return self.smaller(populations + self.above(*(pulled(np.zeros_like(w), c) for w, c in ends)), x)

    # --- waiting gates ---

    def before(self, bits: int, pulled: Pulled) -> Pulled:
        """Make the waiting gates act if something that acts on these qubits comes before them."""
        if any(support(self.graph.flow.gates[gate]) & bits for gate, _ in pulled.waiting):
            return Pulled(self.flush(pulled))
        return pulled

    def flushed(self, pulled: Pulled | None) -> Operator | None:
        return None if pulled is None else self.flush(pulled)

    def flush(self, pulled: Pulled) -> Operator:
        result = pulled.operator
        for gate, angles in pulled.waiting:
            result = self.spread(gate, angles, result)
        return result

    def spread(self, gate: int, angles: Interval, x: Operator) -> Operator:
        """A bound of U(a)† X U(a) for all angles of an interval."""
        record = self.graph.flow.gates[gate].record
        if record.drift is not None or (record.targets > LARGEST_SPREAD and not is_gate(record.name)):
            return self.slack(np.asarray(norm(x) * np.eye(self.dimension, dtype=complex)), x)
        half = (angles[1] - angles[0]) / 2
        if math.isfinite(half):
            x = self.turned(gate, (angles[0] + angles[1]) / 2, x)
        spaces = self.eigenspaces(gate)
        result = sum((p @ x @ p for _, p in spaces), np.zeros_like(x))
        for i, (value, p) in enumerate(spaces):
            for other, q in spaces[:i]:
                block = p @ x @ q
                off = block + block.conj().T
                arc = half * abs(value - other) / 2 * (1 + ROUNDING)
                if arc < math.pi / 2:
                    result = result + math.cos(arc) * off + math.sin(arc) * modulus(off)
                else:
                    result = result + modulus(off)
        return self.smaller(self.slack(result, x), x)

    # --- matrices ---

    def join(self, a: Operator, b: Operator) -> Operator:
        """An operator above both."""
        if a is b:
            return a
        return self.smaller(self.slack((a + b + modulus(a - b)) / 2, a, b), a, b)

    def above(self, a: Operator, b: Operator) -> Operator:
        """An operator above both, which need not be positive."""
        return self.slack((a + b + modulus(a - b)) / 2, a, b)

    def smaller(self, bound: Operator, *operators: Operator) -> Operator:
        """`bound`, or ‖X‖ · 1 if its trace is smaller."""
        largest = max(norm(x) for x in operators)
        if np.trace(bound).real <= largest * self.dimension:
            return bound
        return np.asarray(largest * np.eye(self.dimension, dtype=complex))

    def reset(self, bits: int, x: Operator) -> Operator:
        """⟨0|X|0⟩ ⊗ 1 on the qubits that are set to |0>: exact."""
        rest = self.index & ~bits
        same = (self.index & bits)[:, None] == (self.index & bits)[None, :]
        return np.asarray(np.where(same, x[np.ix_(rest, rest)], 0))

    def turned(self, gate: int, angle: float, x: Operator) -> Operator:
        """U† X U."""
        small = self.graph.flow.gates[gate]
        u = self.unitaries.get((gate, angle))
        if u is None:
            matrix = small.record.matrix(angle) if small.expression >= 0 else small.constant()
            u = embedded(matrix, small, self.qubits, idle=1)
            if (1 + len(self.unitaries)) * u.nbytes <= KEPT_BYTES:
                self.unitaries[gate, angle] = u
        angle = angle if small.angle is None else small.angle
        scale = 1 + abs(angle) + _declared_slack(small, angle)
        return self.slack(hermitian(u.conj().T @ x @ u), x, scale=scale)

    def eigenspaces(self, gate: int) -> list[tuple[float, Operator]]:
        """Eigenvalues of the generator and projectors on their spaces, on the whole register."""
        if gate not in self.projectors:
            small = self.graph.flow.gates[gate]
            values, vectors = small.record.eigen
            if not is_gate(small.record.name):
                # Eigenvalues of a declared generator may be equal or merely close: each is taken by itself.
                self.projectors[gate] = self._eigenvectors(small)
                return self.projectors[gate]
            found = []
            for value in np.unique(np.round(small.spectrum, 9)):
                chosen = vectors[:, np.abs(values - value) < 1e-6]
                idle = 1.0 if small.controls and abs(value) < 1e-6 else 0.0
                found.append(
                    (float(value), embedded(chosen @ chosen.conj().T, small, self.qubits, idle=idle))
                )
            self.projectors[gate] = found
        return self.projectors[gate]

    def _eigenvectors(self, small: SmallGate) -> list[tuple[float, Operator]]:
        """Eigenvalues of a generator, with the projector on one eigenvector each; of idle controls, too."""
        values, vectors = small.record.eigen
        found = [
            (float(value), embedded(np.outer(v, v.conj()), small, self.qubits, idle=0.0))
            for value, v in zip(values, vectors.T, strict=True)
        ]
        if small.controls:
            found.append((0.0, embedded(0 * vectors, small, self.qubits, idle=1.0)))
        return found

    def slack(self, result: Operator, *sources: Operator, scale: float = 1.0) -> Operator:
        """`result` and what rounding may have taken away from it."""
        size = max(float(np.linalg.norm(x)) for x in (result, *sources))
        return result + ROUNDING * self.dimension * size * scale * np.eye(self.dimension)


def support(gate: SmallGate) -> int:
    """The qubits that a gate acts on or is controlled by, as a bit mask."""
    return gate.controls | sum(1 << q for q in gate.targets)


def _declared_slack(small: SmallGate, angle: float) -> float:
    """What the matrix of a declared gate may be off by, in units of the slack; 0 for other gates."""
    record = small.record
    if is_gate(record.name):
        return 0.0
    off = fixed_error(record) if record.fixed is not None else exponential_error(record, angle)
    return 2 * off / ROUNDING


def hermitian(x: Operator) -> Operator:
    return np.asarray((x + x.conj().T) / 2)


def modulus(x: Operator) -> Operator:
    """|X| of a Hermitian operator."""
    values, vectors = np.linalg.eigh(x)
    return hermitian((vectors * np.abs(values)) @ vectors.conj().T)


def norm(x: Operator) -> float:
    """An upper bound of the operator norm of a Hermitian X ≥ 0."""
    return float(np.linalg.eigvalsh(x)[-1]) + ROUNDING * len(x) * float(np.linalg.norm(x))


def embedded(small: Operator, gate: SmallGate, qubits: int, idle: float) -> Operator:
    """`small` on the targets where all controls are 1, `idle` times the identity elsewhere, (2ⁿ, 2ⁿ)."""
    index = np.arange(1 << qubits)
    on = (index & gate.controls) == gate.controls
    inner = np.zeros_like(index)
    for i, q in enumerate(gate.targets):
        inner |= (index >> q & 1) << i
    rest = index & ~sum(1 << q for q in gate.targets)
    acts = on[:, None] & on[None, :] & (rest[:, None] == rest[None, :])
    full = np.where(acts, small[np.ix_(inner, inner)], 0)
    full[~on, ~on] = idle
    return np.asarray(full, dtype=complex)
