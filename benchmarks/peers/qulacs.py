"""Qulacs: its gates and states in a loop of Python, `python -m benchmarks.peers.qulacs`.

Its circuits have no loops. Its `Measurement` gate copies the state for every outcome; drawing here and
applying its projector P0 is three times as fast, and what counts. The state keeps the norm of what happened:
the loop goes on with probability ‖P0 U ψ‖² / ‖ψ‖². Ways: a circuit of the gates as written, the same after
`QuantumCircuitOptimizer`, or one dense matrix for each stretch of gates. One thread (OMP_NUM_THREADS).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks.peers.loop import Loop, Operation
from benchmarks.peers.serve import Run, Way, serve

FUSED_QUBITS = 3
SMALL = 1e-200

Piece = Callable[[float, Callable[[], float]], float]  # the norm before, a draw -> the norm after


def ways() -> tuple[str, dict[str, Way]]:
    """The version of Qulacs, and the ways to run a loop."""
    import qulacs

    return qulacs.__version__, {
        "circuit of gates": partial(compiled, prepared=circuit),
        "optimized circuit": partial(compiled, prepared=optimized),
        "one matrix a stretch": partial(compiled, prepared=dense),
    }


def compiled(loop: Loop, threads: int, *, prepared: Callable[..., Any]) -> Run:
    """Build the pieces of one pass; the last one goes with the projector of the guard."""
    from qulacs import QuantumState
    from qulacs import gate as library

    initial, state = QuantumState(loop.qubits), QuantumState(loop.qubits)
    if loop.start:
        prepared(loop, loop.start, ()).update_quantum_state(initial)
    kept = library.P0(loop.guard)
    kept.update_quantum_state(initial)
    passed_first = initial.get_squared_norm()
    stretches = loop.stretches()
    if stretches[-1][0]:
        stretches.append((False, ()))
    *before, (_, last) = stretches
    pieces: list[Piece] = []
    for resets, steps in before:
        if not resets:
            pieces.append(_unitary(prepared(loop, steps, ()), state))
        elif loop.resets_all(steps):
            pieces.append(_zero(state))
        else:
            pieces += [_reset(step.target, state) for step in steps]
    end = prepared(loop, last, (kept,)).update_quantum_state

    def run(shots: int, seed: int) -> tuple[int, int]:
        draw = random.Random(seed).random
        total = squares = 0
        for _ in range(shots):
            state.load(initial)
            c, norm, before_guard = 0, passed_first, 1.0
            while draw() * before_guard < norm:
                if norm < SMALL:
                    state.normalize(norm)
                    norm = 1.0
                c += 1
                for piece in pieces:
                    norm = piece(norm, draw)
                end(state)
                before_guard, norm = norm, state.get_squared_norm()
            c = min(c, loop.most)
            total += c
            squares += c * c
        return total, squares

    return run


def circuit(loop: Loop, run: Iterable[Operation], more: Iterable[Any]) -> Any:
    """The gates, one after the other, and then some of Qulacs' own."""
    from qulacs import QuantumCircuit

    made = QuantumCircuit(loop.qubits)
    for step in run:
        made.add_gate(_gate(step))
    for one in more:
        made.add_gate(one)
    return made


def optimized(loop: Loop, run: Iterable[Operation], more: Iterable[Any]) -> Any:
    """The circuit with neighbouring gates merged by Qulacs."""
    from qulacs.circuit import QuantumCircuitOptimizer

    made = circuit(loop, run, more)
    QuantumCircuitOptimizer().optimize(made, FUSED_QUBITS)
    return made


def dense(loop: Loop, run: Iterable[Operation], more: Iterable[Any]) -> Any:
    """One matrix on the whole register."""
    from qulacs import gate as library

    made = library.DenseMatrix(list(range(loop.qubits)), loop.unitary(run))
    for one in more:
        made = library.merge(made, one)
    return made


def _gate(step: Operation) -> Any:
    from qulacs import gate as library

    made = library.DenseMatrix(step.target, step.small)
    if not step.controls and step.name in ("x", "y", "z", "h"):
        return getattr(library, step.name.upper())(step.target)
    for control in step.controls:
        made.add_control_qubit(control, 1)
    return made


def _unitary(gates: Any, state: Any) -> Piece:
    update = gates.update_quantum_state

    def piece(norm: float, draw: Callable[[], float]) -> float:
        update(state)
        return norm

    return piece


def _zero(state: Any) -> Piece:
    def piece(norm: float, draw: Callable[[], float]) -> float:
        state.set_zero_state()
        return 1.0

    return piece


def _reset(qubit: int, state: Any) -> Piece:
    from qulacs import gate as library

    zero, one, flip = library.P0(qubit), library.P1(qubit), library.X(qubit)

    def piece(norm: float, draw: Callable[[], float]) -> float:
        weight = state.get_zero_probability(qubit)
        if draw() * norm < weight:
            zero.update_quantum_state(state)
            return float(weight)
        one.update_quantum_state(state)
        flip.update_quantum_state(state)
        return float(norm - weight)

    return piece


if __name__ == "__main__":
    serve(ways)
