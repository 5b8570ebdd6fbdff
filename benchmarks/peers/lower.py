"""From a qdiff program to a `Loop` for peers, so that peers run the very program that qdiff runs."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers.loop import Loop, Operation
from benchmarks.workloads import Workload
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Assign, Block, Compare, Gate, If, Measured, Program, Reset, While

GATES = ("X", "Y", "Z", "H", "Rx", "Ry", "Rz")


def lower(workload: Workload) -> Loop:
    """Return the loop of a program of gates followed by one loop that counts its passes to a limit.

    Raises:
        ValueError: the program has another shape.
    """
    program, params = workload.program, resolve(workload.program, workload.params)
    *start, loop = program.body
    match loop:
        case While(condition=Measured(qubits=(guard,), value=0), body=body, bound=None):
            counts = [step for step in body if isinstance(step, If)]
            if len(counts) != 1:
                raise ValueError(f"{workload.name}: the loop should count its passes once")
            rest = tuple(step for step in body if not isinstance(step, If))
            return Loop(
                len(program.qubits),
                _operations(program, tuple(start), params),
                _operations(program, rest, params),
                program.qubits.index(guard),
                _most(counts[0], params),
            )
    raise ValueError(f"{workload.name}: peers run gates followed by `while M[q] = 0 do … od`")


def _operations(program: Program, block: Block, params: Mapping[str, float]) -> tuple[Operation, ...]:
    number = program.qubits.index
    found = []
    for step in block:
        match step:
            case Reset(qubit=qubit):
                found.append(Operation("reset", number(qubit)))
            case Gate(name=name, angles=angles, controls=controls, targets=(target,)) if name in GATES:
                angle = float(angles[0].evaluate(params, {})) if angles else 0.0
                found.append(Operation(name.lower(), number(target), tuple(map(number, controls)), angle))
            case _:
                raise ValueError(f"peers have no `{step}`")
    return tuple(found)


def _most(step: If, params: Mapping[str, float]) -> int:
    """The last value of c in `if c < n then c := c + 1 fi`, or with `<=`."""
    match step:
        case If(condition=Compare(operator=("<" | "<=") as operator, right=limit), then=(Assign(),)):
            return int(limit.evaluate(params, {})) + (operator == "<=")
    raise ValueError(f"peers count as `if c < n then c++ fi` does, not as `{step}`")
