"""Qiskit Aer: the loop as a dynamic circuit, `python -m benchmarks.peers.aer`.

Settings: AerSimulator(method="statevector", max_parallel_threads=threads), transpiled once at level 1, a seed
for each run. Ways: the gates as written, with and without gate fusion for small registers (its threshold is
14 qubits otherwise), or one unitary for each stretch of gates. A reset of every qubit is an `initialize`,
which Aer does not measure for. Classical expressions of Aer have no addition: c is made of bits. Not tried,
because Aer 0.18.2 crashes on such a loop: shot branching.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.peers.loop import Loop, Operation
from benchmarks.peers.serve import Run, Way, serve, totals

UNARY_UP_TO = 8


def ways() -> tuple[str, dict[str, Way]]:
    """The version of Aer, and the ways to run a loop."""
    import qiskit_aer

    return qiskit_aer.__version__, {
        "statevector, gates": partial(compiled, whole=False),
        "statevector, gates, fusion": partial(compiled, whole=False, fusion_threshold=1),
        "statevector, one unitary a stretch": partial(compiled, whole=True),
    }


def compiled(loop: Loop, threads: int, *, whole: bool, **options: object) -> Run:
    """Build and transpile the circuit."""
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    simulator = AerSimulator(method="statevector", max_parallel_threads=threads, **options)
    transpiled = transpile(circuit(loop, whole=whole), simulator, optimization_level=1)

    def run(shots: int, seed: int) -> tuple[int, int]:
        counts = simulator.run(transpiled, shots=shots, seed_simulator=seed).result().get_counts()
        return totals((counter(loop.most, bits.split()[0]), times) for bits, times in counts.items())

    return run


def circuit(loop: Loop, *, whole: bool) -> Any:
    """The dynamic circuit: classical bit `guard`, and the counter's bits."""
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
    from qiskit.circuit.library import UnitaryGate

    unary = loop.most <= UNARY_UP_TO
    size = loop.most if unary else loop.most.bit_length() + 1
    guard, count = ClassicalRegister(1, "guard"), ClassicalRegister(size, "count")
    qc = QuantumCircuit(QuantumRegister(loop.qubits, "q"), guard, count)

    def gates(run: tuple[Operation, ...]) -> None:
        if whole:
            qc.append(UnitaryGate(loop.unitary(run)), range(loop.qubits))
            return
        for step in run:
            qc.append(gate(step), [*step.controls, step.target])

    gates(loop.start) if loop.start else None
    qc.measure(loop.guard, guard[0])
    with qc.while_loop((guard, 0)):
        for resets, run in loop.stretches():
            if not resets:
                gates(run)
            elif loop.resets_all(run):
                qc.initialize([1] + [0] * (2**loop.qubits - 1), range(loop.qubits))
            else:
                qc.reset([step.target for step in run])
        (step_unary if unary else step_binary)(qc, count)
        qc.measure(loop.guard, guard[0])
    return qc


def gate(step: Operation) -> Any:
    """The gate of Qiskit."""
    from qiskit.circuit import library

    name = f"{step.name.upper()}Gate"
    made = getattr(library, name)(*([step.angle] if step.name[0] == "r" else []))
    return made.control(len(step.controls), annotated=False) if step.controls else made


def step_unary(qc: Any, bits: Any) -> None:
    """c of the bits are 1, the lower ones; one more each pass."""
    from qiskit.circuit.classical import expr

    for i in range(len(bits) - 1, 0, -1):
        qc.store(bits[i], expr.logic_or(bits[i], bits[i - 1]))
    qc.store(bits[0], True)


def step_binary(qc: Any, bits: Any) -> None:
    """Add 1 to all bits but the highest, which stays 1 once they ran over."""
    from qiskit.circuit.classical import expr

    def lower(i: int) -> Any:
        found = expr.lift(bits[0])
        for j in range(1, i):
            found = expr.logic_and(found, bits[j])
        return found

    top = len(bits) - 1
    qc.store(bits[top], expr.logic_or(bits[top], lower(top)))
    for i in range(top - 1, 0, -1):
        qc.store(bits[i], expr.bit_xor(bits[i], lower(i)))
    qc.store(bits[0], expr.logic_not(bits[0]))


def counter(most: int, bits: str) -> int:
    """The value of such bits, the highest first."""
    if most <= UNARY_UP_TO:
        return bits.count("1")
    return most if bits[0] == "1" else min(int(bits, 2), most)


if __name__ == "__main__":
    serve(ways)
