"""`python -m benchmarks.interop`: how long circuits of 10 000 instructions take to read and to write.

    OMP_NUM_THREADS=1 python -m benchmarks.interop [--repeat 5] [--size 10000]

Two circuits on ten qubits: rotations, CNOT and controlled rotations with 100 parameters; and the same with
measurements and conditions on them. Qiskit's own exporter and importer of OpenQASM 3 stand beside.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import numpy as np

import qdiff as qd
from benchmarks.figures import Figure, NotRun, median_seconds

QUBITS, PARAMETERS = 10, 100
CIRCUIT_GOAL, TEXT_GOAL = 2.0, 4.0  # seconds


class Subject:
    """A circuit of so many instructions, in all its forms."""

    def __init__(self, name: str, size: int, *, dynamic: bool) -> None:
        self.name = name
        self.size = size
        self.dynamic = dynamic

    @cached_property
    def circuit(self) -> Any:
        """In Qiskit."""
        from qiskit.circuit import ParameterVector, QuantumCircuit

        rng, w = np.random.default_rng(1), ParameterVector("w", PARAMETERS)
        found = QuantumCircuit(QUBITS, QUBITS)
        for i in range(self.size):
            q, other = (int(place) for place in rng.permutation(QUBITS)[:2])
            kind = i % (6 if self.dynamic else 4)
            match kind:
                case 0:
                    found.ry(w[i % PARAMETERS], q)
                case 1:
                    found.rz(2 * w[i % PARAMETERS] + 1, q)
                case 2:
                    found.cx(q, other)
                case 3:
                    found.crx(w[i % PARAMETERS] / 2, q, other)
                case 4:
                    found.measure(q, q)
                case _:
                    with found.if_test((found.clbits[q], 1)):
                        found.x(other)
        return found

    @cached_property
    def program(self) -> qd.Program:
        """Here."""
        return qd.from_qiskit(self.circuit)

    @cached_property
    def text(self) -> str:
        """In OpenQASM 3."""
        return self.program.to_qasm3()


def figures(size: int, repeat: int) -> Iterator[Figure]:
    """The rows of the table."""
    for subject in (
        Subject("gates", size, dynamic=False),
        Subject("gates, measurements, conditions", size, dynamic=True),
    ):
        for what, (goal, action) in ACTIONS.items():
            measure = partial(measured, action, subject, repeat)
            yield Figure(f"{size} {subject.name}: {what}", "s", goal, measure)


def measured(action: Callable[[Subject], object], subject: Subject, repeat: int) -> float:
    """Seconds; the median."""
    return median_seconds(partial(action, subject), repeat)


def _qiskit_writes(subject: Subject) -> object:
    from qiskit import qasm3

    return qasm3.dumps(subject.circuit)


def _qiskit_reads(subject: Subject) -> object:
    from qiskit import qasm3

    try:
        return qasm3.loads(qasm3.dumps(subject.circuit))
    except Exception as error:  # the importer is optional, and rejects much
        raise NotRun(f"{type(error).__name__}: {str(error).splitlines()[0][:80]}") from None


ACTIONS: dict[str, tuple[float | None, Callable[[Subject], object]]] = {
    "from Qiskit": (CIRCUIT_GOAL, lambda subject: qd.from_qiskit(subject.circuit)),
    "to Qiskit": (CIRCUIT_GOAL, lambda subject: subject.program.to_qiskit()),
    "from OpenQASM 3": (TEXT_GOAL, lambda subject: qd.from_qasm3(subject.text)),
    "to OpenQASM 3": (TEXT_GOAL, lambda subject: subject.program.to_qasm3()),
    "Qiskit writes OpenQASM 3": (None, _qiskit_writes),
    "Qiskit reads what it wrote": (None, _qiskit_reads),
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interop", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="timed runs of each row, at least 5 (5)")
    parser.add_argument("--size", type=int, default=10_000, help="instructions (10000)")
    options = parser.parse_args()
    print(f"qdiff {qd.__version__}, Python {platform.python_version()}, {platform.machine()}\n")
    print("| what | goal | measured | |\n|---|---|---|---|")
    for figure in figures(options.size, max(5, options.repeat)):
        print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
