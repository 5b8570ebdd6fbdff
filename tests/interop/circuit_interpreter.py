"""What a Qiskit circuit means, by brute force: every branch of every measurement is followed.

Only for circuits whose loops end. It shares nothing with the reader under test but Qiskit itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import BreakLoopOp, ContinueLoopOp, QuantumCircuit, Store
from qiskit.circuit import controlflow as flow
from qiskit.circuit.classical import expr, types

NEGLIGIBLE = 1e-24


@dataclass
class Run:
    """One branch: a state that is not normalised, classical memory, and why a block is left."""

    psi: NDArray[np.complex128]
    bits: dict[Any, int]
    variables: dict[str, int] = field(default_factory=dict)
    left: str = ""

    def copy(self, psi: NDArray[np.complex128]) -> Run:
        return Run(psi, dict(self.bits), dict(self.variables))


def meaning(circuit: QuantumCircuit, values: Mapping[Any, float]) -> list[Run]:
    """All runs of a circuit, their weights ‖ψ‖²."""
    psi = np.zeros(1 << circuit.num_qubits, dtype=complex)
    psi[0] = 1
    start = Run(psi, dict.fromkeys(circuit.clbits, 0))
    return _block(
        circuit,
        [start],
        {q: i for i, q in enumerate(circuit.qubits)},
        {c: c for c in circuit.clbits},
        dict(values),
    )


def _block(circuit: Any, runs: list[Run], qubits: Any, bits: Any, values: Any) -> list[Run]:
    for instruction in circuit.data:
        going = [run for run in runs if not run.left]
        left = [run for run in runs if run.left]
        where = [qubits[q] for q in instruction.qubits]
        cells = [bits[c] for c in instruction.clbits]
        found: list[Run] = []
        for run in going:
            found += _instruction(instruction.operation, run, where, cells, bits, values)
        runs = left + found
    return runs


def _instruction(op: Any, run: Run, where: list[int], cells: list[Any], bits: Any, values: Any) -> list[Run]:
    def inside(block: Any, some: Run, known: Any = values) -> list[Run]:
        return _block(
            block,
            [some],
            dict(zip(block.qubits, where, strict=True)),
            dict(zip(block.clbits, cells, strict=True)),
            known,
        )

    match op:
        case BreakLoopOp():
            run.left = "break"
            return [run]
        case ContinueLoopOp():
            run.left = "continue"
            return [run]
        case Store():
            _store(op.lvalue, _value(op.rvalue, run, bits), run, bits)
            return [run]
        case flow.IfElseOp():
            chosen = op.blocks[0] if _condition(op.condition, run, bits) else (*op.blocks, None)[1]
            return [run] if chosen is None else inside(chosen, run)
        case flow.SwitchCaseOp():
            target = op.target
            value = _value(target, run, bits) if isinstance(target, expr.Expr) else _read(target, run, bits)
            for labels, block in op.cases_specifier():
                if any(label is flow.CASE_DEFAULT or int(label) == value for label in labels):
                    return inside(block, run)
            return [run]
        case flow.BoxOp():
            return inside(op.body, run)
        case flow.ForLoopOp():
            indices, parameter, body = op.params
            runs, done = [run], []
            for index in indices:
                known = values if parameter is None else {**values, parameter: index}
                runs = [other for one in runs for other in inside(body, one, known)]
                runs, ended = _passed(runs)
                done += ended
            return runs + done
        case flow.WhileLoopOp():
            going, done = [run], []
            while going:
                done += [one for one in going if not _condition(op.condition, one, bits)]
                going = [one for one in going if _condition(op.condition, one, bits)]
                going, ended = _passed([other for one in going for other in inside(op.blocks[0], one)])
                done += ended
            return done
    if op.name == "measure":
        return [
            _set(_project(run, where[0], value), cells[0], value)
            for value in (0, 1)
            if _weight(run, where[0], value)
        ]
    if op.name == "reset":
        zero, one = (_project(run, where[0], value) for value in (0, 1))
        one.psi = _applied(np.array([[0, 1], [1, 0]]), one.psi, [where[0]])
        return [some for some in (zero, one) if np.vdot(some.psi, some.psi).real > NEGLIGIBLE]
    if op.name == "barrier":
        return [run]
    bound = op.to_mutable()
    bound.params = [_number(p, values) for p in op.params]
    run.psi = _applied(bound.to_matrix(), run.psi, where)
    return [run]


def _passed(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """Runs that go on with the next pass, and those that have left the loop."""
    ended = [run for run in runs if run.left == "break"]
    going = [run for run in runs if run.left != "break"]
    for run in runs:
        run.left = ""
    return going, ended


def _number(value: Any, values: Any) -> float:
    if not hasattr(value, "parameters"):
        return float(value)
    return float(value.bind({p: values[p] for p in value.parameters}).numeric())


# --- states ---


def _applied(matrix: Any, psi: Any, where: list[int]) -> Any:
    count = len(psi).bit_length() - 1
    axes = [count - 1 - q for q in reversed(where)]
    tensor = np.moveaxis(psi.reshape((2,) * count), axes, range(len(axes)))
    shape = tensor.shape
    moved = (np.asarray(matrix) @ tensor.reshape(1 << len(axes), -1)).reshape(shape)
    return np.moveaxis(moved, range(len(axes)), axes).reshape(-1)


def _project(run: Run, qubit: int, value: int) -> Run:
    index = np.arange(len(run.psi))
    return run.copy(np.where((index >> qubit & 1) == value, run.psi, 0))


def _weight(run: Run, qubit: int, value: int) -> bool:
    psi = _project(run, qubit, value).psi
    return bool(np.vdot(psi, psi).real > NEGLIGIBLE)


def _set(run: Run, cell: Any, value: int) -> Run:
    run.bits[cell] = value
    return run


# --- classical memory ---


def _condition(condition: Any, run: Run, bits: Any) -> bool:
    if isinstance(condition, tuple):
        return _read(condition[0], run, bits) == int(condition[1])
    return bool(_value(condition, run, bits))


def _read(target: Any, run: Run, bits: Any) -> int:
    if hasattr(target, "size"):
        return sum(run.bits[bits.get(bit, bit)] << i for i, bit in enumerate(target))
    return run.bits[bits.get(target, target)]


def _store(target: Any, value: int, run: Run, bits: Any) -> None:
    if target.standalone:
        run.variables[target.name] = value
    elif hasattr(target.var, "size"):
        for i, bit in enumerate(target.var):
            run.bits[bits.get(bit, bit)] = value >> i & 1
    else:
        run.bits[bits.get(target.var, target.var)] = value


def _value(node: Any, run: Run, bits: Any) -> int:
    width = 1 if isinstance(node.type, types.Bool) else node.type.width
    return int(_plain(node, run, bits)) % (1 << width)


def _plain(node: Any, run: Run, bits: Any) -> int:
    match node:
        case expr.Value(value=value):
            return int(value)
        case expr.Var():
            return run.variables[node.name] if node.standalone else _read(node.var, run, bits)
        case expr.Cast(operand=operand):
            value = _value(operand, run, bits)
            return int(value != 0) if isinstance(node.type, types.Bool) else value
        case expr.Unary(op=op, operand=operand):
            value = _value(operand, run, bits)
            if op.name == "LOGIC_NOT" or isinstance(operand.type, types.Bool):
                return 1 - value
            return ~value
        case expr.Index(target=target, index=index):
            return _value(target, run, bits) >> _value(index, run, bits) & 1
        case expr.Binary(op=op, left=left, right=right):
            return _binary(op.name, _value(left, run, bits), _value(right, run, bits))
        case _:
            raise AssertionError(node)


def _binary(op: str, a: int, b: int) -> int:
    return int(
        {
            "BIT_AND": lambda: a & b,
            "BIT_OR": lambda: a | b,
            "BIT_XOR": lambda: a ^ b,
            "LOGIC_AND": lambda: a and b,
            "LOGIC_OR": lambda: a or b,
            "EQUAL": lambda: a == b,
            "NOT_EQUAL": lambda: a != b,
            "LESS": lambda: a < b,
            "LESS_EQUAL": lambda: a <= b,
            "GREATER": lambda: a > b,
            "GREATER_EQUAL": lambda: a >= b,
            "SHIFT_LEFT": lambda: a << b,
            "SHIFT_RIGHT": lambda: a >> b,
            "ADD": lambda: a + b,
            "SUB": lambda: a - b,
            "MUL": lambda: a * b,
            "DIV": lambda: a // b,
        }[op]()
    )
