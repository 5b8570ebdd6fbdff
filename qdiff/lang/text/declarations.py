"""The declarations of a text: which names it introduces, in which order, each once."""

from __future__ import annotations

from qdiff.errors import listed
from qdiff.lang.source import Position
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.gate_definitions import declared_gate
from qdiff.lang.text.names import Declared, Kind, Scope, declarable, described, name_problem, size_problem
from qdiff.lang.text.syntax import Fault, Name
from qdiff.lang.tree import GateDeclaration, Register

_ORDER = ("qubit", "para", "count", "def")
_KIND: dict[str, Kind] = {"qubit": "qubit", "para": "parameter", "count": "counter"}

Registers = dict[str, tuple[Register, ...]]


def declared_names(text: sx.Text, gates: tuple[GateDeclaration, ...] = ()) -> tuple[Scope, Registers]:
    """Return the names of a program and its registers by keyword.

    Args:
        gates: gates that are declared besides those of the text.

    Raises:
        Fault: declarations out of order or repeated, no qubits, a name that is reserved or taken.
    """
    scope = Scope({gate.name: gate for gate in gates}, {})
    registers: Registers = {"qubit": (), "para": (), "count": ()}
    reached = -1
    for declaration in text.declarations:
        if isinstance(declaration, sx.Definition):
            reached = _ORDER.index("def")
            _define(declaration, scope)
            continue
        if isinstance(declaration, sx.GateDefinition):
            reached = _ORDER.index("def")
            scope.program[declaration.name.text] = declared_gate(declaration, scope)
            continue
        here = _ORDER.index(declaration.kind)
        if registers[declaration.kind]:
            raise Fault(
                f"`{declaration.kind}` is declared twice.", declaration.pos, "List all names in one place."
            )
        if here < reached:
            raise Fault(
                f"`{declaration.kind}` stands after `{_ORDER[reached]}`.",
                declaration.pos,
                f"The order is {listed(_ORDER)}.",
            )
        reached = here
        registers[declaration.kind] = declaration.registers
        for register in declaration.registers:
            _declare(Declared(_KIND[declaration.kind], register), scope)
    if not registers["qubit"]:
        first = (*text.declarations, *text.body)[0].pos
        assert first is not None
        raise Fault("no qubits are declared.", first, "A program begins with a line such as `qubit: q, r`.")
    return scope, registers


def _declare(declared: Declared, scope: Scope) -> None:
    register = declared.register
    pos = register.pos
    assert pos is not None
    problem = name_problem(register.name) or size_problem(register)
    if problem:
        raise Fault(problem, pos)
    taken = scope.find(register.name)
    if taken is not None:
        raise _twice(Name(register.name, pos), described(taken), _line(taken))
    scope.program[register.name] = declared


def _define(procedure: sx.Definition, scope: Scope) -> None:
    declarable(procedure.name, scope, "procedure")
    seen: set[str] = set()
    for argument in (*procedure.angles, *procedure.qubits):
        problem = name_problem(argument.text)
        if problem:
            raise Fault(problem, argument.pos)
        if argument.text in seen:
            raise Fault(f"`{argument.text}` is an argument of `{procedure.name.text}` twice.", argument.pos)
        seen.add(argument.text)
    scope.program[procedure.name.text] = procedure


def _line(binding: object) -> Position | None:
    return binding.register.pos if isinstance(binding, Declared) else None


def _twice(name: Name, what: str, before: Position | None) -> Fault:
    where = "" if before is None else f" (line {before.line})"
    return Fault(
        f"`{name.text}` is declared twice: {what} exists already{where}.", name.pos, "Choose another name."
    )
