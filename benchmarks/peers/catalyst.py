"""PennyLane Catalyst: the loop and the loop over shots compiled together, on lightning.qubit.

    python -m benchmarks.peers.catalyst

One `@qjit` QNode holds everything, so that the device is set up once a run and not once a shot; every shot
begins by resetting all qubits. Ways: the gates as written, or one unitary for each stretch of gates.
`qjit` takes its seed when it compiles, so every run is the same run; without one each measurement makes a
new generator from the system's random device, which takes ten times as long as the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from benchmarks.peers.loop import Loop, Operation
from benchmarks.peers.serve import Run, Way, serve

SEED = 1


def ways() -> tuple[str, dict[str, Way]]:
    """The version of Catalyst, and the ways to run a loop."""
    import catalyst

    return catalyst.__version__, {
        "gates": partial(compiled, whole=False),
        "one unitary a stretch": partial(compiled, whole=True),
    }


def compiled(loop: Loop, threads: int, *, whole: bool) -> Run:
    """Trace and compile; the number of threads is OMP_NUM_THREADS of the process."""
    import jax.numpy as jnp
    import pennylane as qml
    from catalyst import for_loop, measure, qjit, while_loop

    wires = range(loop.qubits)

    def gates(run: Iterable[Operation]) -> None:
        if whole:  # PennyLane's first wire is the most significant bit
            qml.QubitUnitary(loop.unitary(run), wires=wires[::-1])
            return
        for step in run:
            apply(step)

    @qjit(seed=SEED)
    @qml.qnode(qml.device("lightning.qubit", wires=loop.qubits))
    def many(times: int):  # type: ignore[no-untyped-def]
        @for_loop(0, times, 1)
        def shot(_, sums):  # type: ignore[no-untyped-def]
            gates(loop.start)

            @while_loop(lambda outcome, c: jnp.logical_not(outcome))
            def passes(outcome, c):  # type: ignore[no-untyped-def]
                for resets, run in loop.stretches():
                    if resets:
                        for step in run:
                            measure(step.target, reset=True)
                    else:
                        gates(run)
                return measure(loop.guard), jnp.minimum(c + 1, loop.most)

            _, c = passes(measure(loop.guard), 0)
            for wire in wires:
                measure(wire, reset=True)
            return sums[0] + c, sums[1] + c * c

        return shot((0, 0))

    def run(shots: int, seed: int) -> tuple[int, int]:
        total, squares = many(shots)
        return int(total), int(squares)

    return run


def apply(step: Operation) -> None:
    """Queue one gate."""
    import pennylane as qml

    names = {"x": "PauliX", "y": "PauliY", "z": "PauliZ", "h": "Hadamard"}
    made = getattr(qml, names.get(step.name, step.name.upper()))
    angle = [step.angle] if step.name[0] == "r" else []
    if step.controls:
        qml.ctrl(made, control=list(step.controls))(*angle, wires=step.target)
    else:
        made(*angle, wires=step.target)


if __name__ == "__main__":
    serve(ways)
