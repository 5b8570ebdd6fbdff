"""Everything that a program tree must keep, whoever built it: a parser, a transformation, a user.

A program that passes prints as a text that parses back to it. What needs a place inside a
statement (which of its qubits, which label) is found earlier for texts, in `elaborate.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NoReturn, assert_never, get_args

from qdiff.errors import did_you_mean
from qdiff.lang import tree
from qdiff.lang.channels import channel_record, is_channel, known_channels
from qdiff.lang.check_expression import ExpressionChecker
from qdiff.lang.declared_gates import declaration_problem
from qdiff.lang.gates import gate_hint, is_gate
from qdiff.lang.limits import DEEPEST
from qdiff.lang.printer import head_text
from qdiff.lang.source import Position, refusal
from qdiff.lang.text.advice import warnings_of as warnings_of
from qdiff.lang.text.names import name_problem, outcomes, plural, size_problem
from qdiff.lang.text.scan import scan_depth
from qdiff.lang.text.syntax import Fault
from qdiff.lang.walk import blocks_of

STATEMENTS = get_args(tree.Statement)
CERTAINLY_FLAT = 100  # levels whose text has fewer than 500 nested brackets and signs
CERTAINLY_DEEP = 5000  # levels whose text has more
WIDEST_STORED_MEASUREMENT = 63  # bits of a counter that is not negative


def check(program: tree.Program) -> tree.Program:
    """Return `program` if it keeps every static rule of the language.

    Raises:
        QdiffSyntaxError: it does not, and comes from a text: with the place.
        ProgramError: it does not, and was built by code.
    """
    _check_declarations(program)
    _Checker(program).body()
    return program


def _check_declarations(program: tree.Program) -> None:
    seen: set[str] = set()
    for register in (*program.qubit_registers, *program.parameter_registers, *program.counter_registers):
        problem = name_problem(register.name) or size_problem(register)
        if not problem and register.name in seen:
            problem = f"`{register.name}` is declared twice."
        if problem:
            raise refusal(program.source, problem, register.pos)
        seen.add(register.name)
    for declaration in program.gate_declarations:
        if not isinstance(declaration, tree.GateDeclaration):
            raise refusal(program.source, f"expected a gate declaration, got {declaration!r}.", None)
        problem = _declaration_problem(declaration)
        if not problem and declaration.name in seen:
            problem = f"`{declaration.name}` is declared twice."
        if problem:
            raise refusal(program.source, problem, declaration.pos)
        seen.add(declaration.name)
    if not program.qubit_registers:
        raise refusal(program.source, "no qubits are declared.", None)


def _declaration_problem(declaration: tree.GateDeclaration) -> str:
    angle = () if declaration.angle is None else (declaration.angle,)
    problems = map(name_problem, (declaration.name, *angle, *declaration.qubits))
    if is_channel(declaration.name):
        return f"`{declaration.name}` is a channel already."
    return next(filter(None, problems), "") or declaration_problem(declaration)


class _Checker:
    def __init__(self, program: tree.Program) -> None:
        self.program = program
        self.qubits = frozenset(program.qubits)
        self.counters = frozenset(program.counters)
        self.gates = frozenset(declaration.name for declaration in program.gate_declarations)
        self.expressions = ExpressionChecker(program)
        self.tallest = 0  # how deep the conditions of the statement at hand reach

    def refuse(self, message: str, pos: Position | None, hint: str = "") -> NoReturn:
        raise refusal(self.program.source, message, pos, hint)

    def body(self) -> None:
        self.block(self.program.body, "the program", None)
        pending: list[Iterator[tree.Statement]] = [iter(self.program.body)]
        while pending:
            statement = next(pending[-1], None)
            if statement is None:
                pending.pop()
                continue
            if not isinstance(statement, STATEMENTS):
                self.refuse(f"expected a statement, got {statement!r}.", None)
            depth = len(pending) - 1
            if depth > DEEPEST:
                self.refuse(f"statements are nested more than {DEEPEST} deep.", statement.pos)
            self.statement(statement, depth)
            blocks = blocks_of(statement)
            if blocks:
                pending.append(chain.from_iterable(blocks))

    def statement(self, statement: tree.Statement, depth: int) -> None:
        self.expressions.tallest = 0
        self.tallest = depth
        self._statement(statement, depth)
        if self.expressions.tallest > CERTAINLY_DEEP:
            self.refuse("an expression is nested too deep.", statement.pos)
        if self.expressions.tallest > CERTAINLY_FLAT or self.tallest - depth > CERTAINLY_FLAT:
            # Deep enough that the brackets of its text may be nested too deep for the parser.
            try:
                scan_depth(head_text(statement))
            except Fault:
                self.refuse(f"nested more than {DEEPEST} deep once all brackets are written.", statement.pos)

    def _statement(self, statement: tree.Statement, depth: int) -> None:
        pos = statement.pos
        match statement:
            case tree.Skip() | tree.Abort():
                pass
            case tree.Reset(qubit=qubit):
                self.declared((qubit,), "reset", pos)
            case tree.Gate():
                self.gate(statement)
            case tree.Channel():
                self.channel(statement)
            case tree.Assign(counter=counter, value=value):
                self.counter(counter, pos)
                self.expressions.integer(value, pos)
            case tree.Measure(counter=counter, qubits=qubits):
                self.counter(counter, pos)
                self.measured(qubits, pos)
                if len(qubits) > WIDEST_STORED_MEASUREMENT:
                    what = f"a counter holds {WIDEST_STORED_MEASUREMENT} bits, got {len(qubits)} qubits."
                    self.refuse(what, pos)
            case tree.If(condition=condition, then=then, otherwise=otherwise):
                self.condition(condition, depth, pos)
                self.block(then, "`then`", pos)
                self.otherwise(otherwise, pos)
            case tree.Case():
                self.case(statement)
            case tree.While(condition=condition, body=body, bound=bound):
                if bound is not None and (type(bound) is not int or bound < 1):
                    self.refuse(f"the bound of a loop is an integer of at least 1, got {bound!r}.", pos)
                self.condition(condition, depth, pos)
                self.block(body, "the loop", pos)
            case _:
                assert_never(statement)

    def gate(self, gate: tree.Gate) -> None:
        if gate.name not in self.gates and not is_gate(gate.name):
            hint = did_you_mean(str(gate.name), self.gates) or gate_hint(gate.name)
            self.refuse(f"there is no gate `{gate.name}`.", gate.pos, hint)
        entry = self.program.record(gate.name)
        if entry.controls:
            hint = f"It is `{entry.base}` with {plural(entry.controls, 'control')}."
            self.refuse(f"`{gate.name}` is not the name of a gate in a tree.", gate.pos, hint)
        if len(gate.angles) != len(entry.angles):
            wanted = plural(len(entry.angles), "angle")
            self.refuse(f"gate `{gate.name}` takes {wanted}, got {len(gate.angles)}.", gate.pos)
        if len(gate.targets) != entry.targets:
            wanted = plural(entry.targets, "target")
            self.refuse(f"gate `{gate.name}` acts on {wanted}, got {len(gate.targets)}.", gate.pos)
        self.names(gate.controls, gate.pos)
        self.names(gate.targets, gate.pos)
        self.declared((*gate.controls, *gate.targets), f"gate `{gate.name}`", gate.pos)
        for angle in gate.angles:
            self.expressions.real(angle, gate.pos)

    def channel(self, channel: tree.Channel) -> None:
        if not is_channel(channel.name):
            hint = did_you_mean(str(channel.name), known_channels())
            self.refuse(f"there is no channel `{channel.name}`.", channel.pos, hint)
        wanted = channel_record(channel.name).qubits
        self.names(channel.qubits, channel.pos)
        if len(channel.qubits) != wanted:
            what = f"channel `{channel.name}` acts on {plural(wanted, 'qubit')}, got {len(channel.qubits)}."
            self.refuse(what, channel.pos)
        self.declared(channel.qubits, f"channel `{channel.name}`", channel.pos)
        self.expressions.real(channel.probability, channel.pos)

    def case(self, case: tree.Case) -> None:
        self.measured(case.qubits, case.pos)
        labels = [label for label, _ in case.arms]
        for label, body in case.arms:
            self.outcome(label, case.qubits, f"label {label!r}", case.pos)
            self.block(body, f"arm {label}", case.pos)
        if len(set(labels)) != len(labels):
            self.refuse(f"the labels of a `case` differ, got {labels}.", case.pos)
        self.otherwise(case.otherwise, case.pos)

    def condition(self, condition: tree.Condition, depth: int, pos: Position | None) -> None:
        pending = [(condition, depth)]
        while pending:
            part, depth = pending.pop()
            self.tallest = max(self.tallest, depth)
            if depth > DEEPEST:
                self.refuse(f"blocks and conditions are nested more than {DEEPEST} deep.", pos)
            match part:
                case tree.Measured(qubits=qubits, value=value):
                    self.measured(qubits, part.pos or pos)
                    self.outcome(value, qubits, f"outcome {value!r}", part.pos or pos)
                case tree.Flip(probability=probability):
                    self.expressions.real(probability, part.pos or pos)
                case tree.Compare(left=left, operator=operator, right=right):
                    if operator not in tree.OPERATORS:
                        self.refuse(f"there is no comparison `{operator}`.", part.pos or pos)
                    self.expressions.real(left, part.pos or pos)
                    self.expressions.real(right, part.pos or pos)
                case tree.Not(operand=operand):
                    pending.append((operand, depth + 1))
                case tree.And(parts=parts) | tree.Or(parts=parts):
                    if len(parts) < 2:
                        kind = type(part).__name__
                        self.refuse(
                            f"`{kind}` joins two conditions or more, got {len(parts)}.", part.pos or pos
                        )
                    pending.extend((inner, depth + 1) for inner in parts)
                case _:
                    self.refuse(f"expected a condition, got {part!r}.", pos)

    # --- Parts of statements --------------------------------------------------------------------

    def block(self, block: tree.Block, what: str, pos: Position | None) -> None:
        if not isinstance(block, tuple):
            self.refuse(f"a block is a tuple of statements, got {type(block).__name__}.", pos)
        if not block:
            self.refuse(f"{what} has no statements.", pos, "Use Skip() where nothing is to be done.")

    def otherwise(self, block: tree.Block, pos: Position | None) -> None:
        if isinstance(block, tuple) and len(block) == 1 and isinstance(block[0], tree.Skip):
            self.refuse("an `otherwise` that does nothing is written ().", pos)
        if block:
            self.block(block, "`otherwise`", pos)

    def counter(self, name: str, pos: Position | None) -> None:
        if name not in self.counters:
            raise self.expressions.undeclared("counter", name, self.program.counters, pos)

    def measured(self, qubits: Sequence[str], pos: Position | None) -> None:
        self.names(qubits, pos)
        if not qubits:
            self.refuse("a measurement lists no qubits.", pos)
        self.declared(qubits, "one measurement", pos)

    def names(self, qubits: Sequence[str], pos: Position | None) -> None:
        if not isinstance(qubits, tuple):
            self.refuse(f"qubits are given as a tuple of names, got {qubits!r}.", pos)

    def declared(self, qubits: Sequence[str], what: str, pos: Position | None) -> None:
        for qubit in qubits:
            if qubit not in self.qubits:
                raise self.expressions.undeclared("qubit", qubit, self.program.qubits, pos)
        if len(set(qubits)) != len(qubits):
            twice = next(qubit for i, qubit in enumerate(qubits) if qubit in qubits[:i])
            self.refuse(f"qubit `{twice}` is listed twice in {what}.", pos)

    def outcome(self, value: int, qubits: Sequence[str], what: str, pos: Position | None) -> None:
        if type(value) is not int or not 0 <= value < 2 ** len(qubits):
            self.refuse(f"{what} is out of range: {outcomes(len(qubits))}.", pos)
