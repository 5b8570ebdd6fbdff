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
    every = dict.fromkeys(circuit.parameters)
    vectors: dict[Any, str] = {}
    complete: dict[Any, bool] = {}
    for parameter in every:
        vector = getattr(parameter, "vector", None)
        if vector is not None and vector.name not in complete:
            complete[vector.name] = all(element in every for element in vector)
        if vector is not None and complete[vector.name]:
            if vector.name not in vectors:
                vectors[vector.name] = names.give(vector.name, "w")
                registers.append(Register(vectors[vector.name], len(vector)))
            found[parameter] = ex.Parameter(f"{vectors[vector.name]}[{parameter.index}]")
        else:
            name = names.give(parameter.name, "t")
            registers.append(Register(name))
            found[parameter] = ex.Parameter(name)
    return registers, found


def last_measurements(circuit: Any) -> dict[int, Any]:
    """Measurements of the circuit itself behind which nothing happens to qubit and bit: which qubit."""
    busy: set[Any] = set()
    found: dict[int, Any] = {}
    for i in range(len(circuit.data) - 1, -1, -1):
        instruction = circuit.data[i]
        if instruction.operation.name == "barrier":
            continue
        if instruction.operation.name == "store":  # it does not say what it reads
            busy |= set(circuit.clbits)
        touched = {*instruction.qubits, *instruction.clbits}
        if instruction.operation.name == "measure" and not touched & busy:
            found[i] = instruction.qubits[0]
        busy |= touched
    return found
