"""What a Qiskit circuit declares: its parameters, and the measurements that end it."""

from __future__ import annotations

from typing import Any

from qdiff.interop.names import Names
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.tree import Register


def declared_parameters(circuit: Any, names: Names) -> tuple[list[Register], dict[Any, Expr]]:
    """The parameters of a circuit in its order, and what each stands for."""
    registers: list[Register] = []
    found: dict[Any, Expr] = {}
    every = list(circuit.parameters)
    elements: dict[str, list[Any]] = {}
    for parameter in every:
        if (vector := getattr(parameter, "vector", None)) is not None:
            elements.setdefault(vector.name, []).append(parameter)
    complete = {name: set(some) == set(some[0].vector) for name, some in elements.items()}
    names.keep(parameter.name for parameter in every)
    names.keep(name for name, whole in complete.items() if whole)
    vectors: dict[str, str] = {}
    for parameter in every:
        vector = getattr(parameter, "vector", None)
        if vector is not None and complete[vector.name]:
            if vector.name not in vectors:
                vectors[vector.name] = names.give_parameter(vector.name, "w")
                registers.append(Register(vectors[vector.name], len(vector)))
            found[parameter] = ex.Parameter(f"{vectors[vector.name]}[{parameter.index}]")
        else:
            name = names.give_parameter(parameter.name, "t")
            registers.append(Register(name))
            found[parameter] = ex.Parameter(name)
    return registers, found


def last_measurements(circuit: Any) -> dict[int, Any]:
    """Measurements of the circuit itself behind which nothing happens to qubit and bit: which qubit.

    Barriers, delays and other such measurements are nothing.
    """
    from qiskit.circuit import Barrier, Delay, Measure, Store

    busy: set[Any] = set()
    found: dict[int, Any] = {}
    for i in range(len(circuit.data) - 1, -1, -1):
        instruction = circuit.data[i]
        touched = {*instruction.qubits, *instruction.clbits}
        match instruction.operation:
            case Barrier() | Delay():
                pass
            case Measure() if not touched & busy:
                found[i] = instruction.qubits[0]
            case Store():  # it does not say what it reads
                busy |= set(circuit.clbits)
            case _:
                busy |= touched
    return found
