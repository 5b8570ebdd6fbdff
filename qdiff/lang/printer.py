"""The canonical text of a program: `parse(program_text(p)) == p`.

One statement a line, blocks indented, `;` at the ends of lines, brackets only where they are
needed, except that a mix of `and` and `or` always has them. Controls print as CNOT, CY, CZ,
CCNOT, CSWAP where such a gate exists, else as C_<gate>(angles)[controls][targets].
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import assert_never

from qdiff.lang import tree
from qdiff.lang.gate_printer import declaration_text
from qdiff.lang.gates import known_gates, record

INDENT = "    "
DEEPEST_INDENT = 8  # a line nested deeper is not indented further: a text stays near its content's size


def program_text(program: tree.Program) -> str:
    """Return the canonical text of a program."""
    declarations = [
        f"{keyword}: {', '.join(register_text(register) for register in registers)}"
        for keyword, registers in (
            ("qubit", program.qubit_registers),
            ("para", program.parameter_registers),
            ("count", program.counter_registers),
        )
        if registers
    ]
    gates = map(declaration_text, program.gate_declarations)
    return "\n".join([*declarations, *gates, *block_lines(program.body)]) + "\n"


def register_text(register: tree.Register) -> str:
    """Return a name as it is declared."""
    return register.name if register.size is None else f"{register.name}[{register.size}]"


def block_lines(block: tree.Block) -> list[str]:
    """Return the lines of a block."""
    lines: list[str] = []
    _write(block, 0, lines)
    return lines


def _write(block: tree.Block, depth: int, lines: list[str]) -> None:
    # One frame a level of nesting.
    indent = INDENT * min(depth, DEEPEST_INDENT)
    for i, statement in enumerate(block):
        match statement:
            case tree.If(then=then, otherwise=otherwise):
                lines.append(f"{indent}{head_text(statement)} then")
                _write(then, depth + 1, lines)
                if otherwise:
                    lines.append(f"{indent}else")
                    _write(otherwise, depth + 1, lines)
                lines.append(f"{indent}fi")
            case tree.Case(arms=arms, otherwise=otherwise):
                lines.append(f"{indent}{head_text(statement)} of")
                labelled = [(str(label), body) for label, body in arms]
                if otherwise or not arms:
                    labelled.append(("else", otherwise or (tree.Skip(),)))
                for k, (label, body) in enumerate(labelled):
                    lines.append(f"{indent}{INDENT}{'| ' if k else ''}{label}:")
                    _write(body, depth + 2, lines)
                lines.append(f"{indent}esac")
            case tree.While(body=body):
                lines.append(f"{indent}{head_text(statement)} do")
                _write(body, depth + 1, lines)
                lines.append(f"{indent}od")
            case _:
                lines.append(f"{indent}{head_text(statement)}")
        if i < len(block) - 1:
            lines[-1] += ";"


def head_text(statement: tree.Statement) -> str:
    """Return a statement without the blocks inside it."""
    match statement:
        case tree.Skip():
            return "skip"
        case tree.Abort():
            return "abort"
        case tree.Reset(qubit=qubit):
            return f"{qubit} := |0>"
        case tree.Gate():
            return gate_text(statement)
        case tree.Channel(name=name, probability=probability, qubits=qubits):
            return f"{name}({probability}){_listed(qubits)}"
        case tree.Assign(counter=counter, value=value):
            return f"{counter} := {value}"
        case tree.Measure(counter=counter, qubits=qubits):
            return f"{counter} := {measurement_text(qubits)}"
        case tree.If(condition=condition):
            return f"if {condition_text(condition)}"
        case tree.Case(qubits=qubits):
            return f"case {measurement_text(qubits)}"
        case tree.While(condition=condition, bound=bound):
            bounded = "" if bound is None else f"{{{bound}}}"
            return f"while{bounded} {condition_text(condition)}"
        case _:
            assert_never(statement)


def gate_text(gate: tree.Gate) -> str:
    """Return a gate, under its own name where it is a named controlled gate."""
    angles = f"({', '.join(map(str, gate.angles))})" if gate.angles else ""
    name = gate_name(gate)
    if gate.controls and name.startswith("C_"):
        return f"{name}{angles}{_listed(gate.controls)}{_listed(gate.targets)}"
    return f"{name}{angles}{_listed(gate.controls + gate.targets)}"


def gate_name(gate: tree.Gate) -> str:
    """Return the name that a gate has in a text: `CNOT`, `C_Ry`, `Ry`."""
    if not gate.controls:
        return gate.name
    return _named_controls().get((gate.name, len(gate.controls)), f"C_{gate.name}")


@cache
def _named_controls() -> dict[tuple[str, int], str]:
    """Names of controlled gates by base gate and number of controls."""
    entries = map(record, known_gates())
    return {(entry.base, entry.controls): entry.name for entry in entries if entry.controls}


def measurement_text(qubits: Iterable[str]) -> str:
    """Return M[qubits]."""
    return f"M{_listed(qubits)}"


def _listed(names: Iterable[str]) -> str:
    return f"[{', '.join(names)}]"


def condition_text(condition: tree.Condition) -> str:
    """Return the text of a condition; no recursion, so depth is no limit."""
    pieces: list[str] = []
    pending: list[tree.Condition | str] = [condition]
    while pending:
        part = pending.pop()
        match part:
            case str():
                pieces.append(part)
            case tree.Measured(qubits=qubits, value=value):
                pieces.append(f"{measurement_text(qubits)} = {value}")
            case tree.Flip(probability=probability):
                pieces.append(f"flip({probability})")
            case tree.Compare(left=left, operator=operator, right=right):
                pieces.append(f"{left} {operator} {right}")
            case tree.Not(operand=operand):
                pieces.append("not ")
                pending.extend(reversed(_bracketed(operand)))
            case tree.And(parts=parts) | tree.Or(parts=parts):
                word = " and " if isinstance(part, tree.And) else " or "
                joined: list[tree.Condition | str] = []
                for k, inner in enumerate(parts):
                    joined.extend((word,) if k else ())
                    joined.extend(_bracketed(inner))
                pending.extend(reversed(joined))
            case _:
                assert_never(part)
    return "".join(pieces)


def _bracketed(operand: tree.Condition) -> list[tree.Condition | str]:
    return ["(", operand, ")"] if isinstance(operand, tree.And | tree.Or) else [operand]
