"""From a qdiff program to a `Circuit` for peers, so that peers run the very program that qdiff runs."""

from __future__ import annotations

import qdiff as qd
from benchmarks.peers.lower import GATES
from benchmarks.peers.static.circuit import LETTERS, Circuit, Step, Word
from benchmarks.workloads import Workload
from qdiff.lang.expr import Number, Parameter
from qdiff.lang.tree import Gate, Program, Statement


def lower(workload: Workload) -> Circuit:
    """Return the circuit of a program of gates whose angles are parameters or numbers.

    Raises:
        ValueError: the program or the observable has another shape.
    """
    program = workload.program
    return Circuit(
        len(program.qubits),
        len(program.trainable),
        tuple(_step(program, statement) for statement in program.body),
        tuple(
            (_real(coefficient), _word(program, part))
            for part, coefficient in qd.observable(workload.observable).coefficients({}).items()
        ),
    )


def _step(program: Program, statement: Statement) -> Step:
    number = program.qubits.index
    match statement:
        case Gate(name=name, angles=(), controls=controls, targets=(target,)) if name in GATES:
            return Step(name.lower(), number(target), tuple(map(number, controls)))
        case Gate(name=name, angles=(Parameter(name=w),), controls=controls, targets=(target,)) if (
            name in GATES
        ):
            parameter = program.trainable.index(w)
            return Step(name.lower(), number(target), tuple(map(number, controls)), parameter)
        case Gate(name=name, angles=(Number(value=angle),), controls=controls, targets=(target,)) if (
            name in GATES
        ):
            return Step(name.lower(), number(target), tuple(map(number, controls)), None, float(angle))
    kind = statement.name if isinstance(statement, Gate) else type(statement).__name__
    raise ValueError(f"peers have no such {kind}: they know {', '.join(GATES)} by a parameter or a number")


def _real(coefficient: complex) -> float:
    return complex(coefficient).real


def _word(program: Program, part: tuple[tuple[str, str], ...]) -> Word:
    for _, letter in part:
        if letter not in LETTERS:
            raise ValueError(f"peers have no operator {letter}")
    return tuple((program.qubits.index(qubit), letter) for qubit, letter in part)
