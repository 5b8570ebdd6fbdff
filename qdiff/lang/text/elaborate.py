"""From what a text says to a program: names resolved, `for` unrolled, procedures inlined.

One method goes through blocks, one Python frame a level. The body of a procedure, and of a loop
without passes, is looked at once by itself, so that mistakes in it are found wherever they are.
"""

from __future__ import annotations

from typing import assert_never

from qdiff.lang import tree
from qdiff.lang.channels import channel_record, is_channel
from qdiff.lang.declared_gates import record_of
from qdiff.lang.expr import Parameter
from qdiff.lang.gates import GateRecord, is_gate, record
from qdiff.lang.limits import DEEPEST
from qdiff.lang.source import Position, Source
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.declarations import declared_names
from qdiff.lang.text.names import (
    AngleArgument,
    Declared,
    LoopIndex,
    QubitArgument,
    Scope,
    declarable,
    described,
    outcomes,
    plural,
    unknown_gate,
)
from qdiff.lang.text.references import References
from qdiff.lang.text.resolve import Resolver
from qdiff.lang.text.syntax import Fault, Name, Operation, place, shown
from qdiff.lang.text.unrolling import Sizes

MOST_STATEMENTS = 1_000_000


def elaborate(
    text: sx.Text, source: Source | None = None, gates: tuple[tree.GateDeclaration, ...] = ()
) -> tree.Program:
    """Return the program of a text.

    Args:
        gates: gates that are declared besides those of the text.

    Raises:
        Fault: a rule of the language is broken.
    """
    scope, registers = declared_names(text, gates)
    procedures = {d.name.text: d for d in text.declarations if isinstance(d, sx.Definition)}
    work = _Elaborator(Sizes(procedures))
    for procedure in procedures.values():
        work.look_at(procedure, scope)
    body = work.block(text.body, scope, 0)
    declared = tuple(gate for gate in scope.program.values() if isinstance(gate, tree.GateDeclaration))
    return tree.Program(
        registers["qubit"],
        registers["para"],
        registers["count"],
        body,
        source=source,
        gate_declarations=declared,
    )


class _Elaborator:
    def __init__(self, sizes: Sizes) -> None:
        self.references = References()
        self.resolve = Resolver(self.references)
        self.sizes = sizes
        self.unrolled = 0  # statements that loops and procedures became

    def look_at(self, procedure: sx.Definition, scope: Scope) -> None:
        """Check the body of a procedure without a call."""
        name = procedure.name.text
        inner = Scope(scope.program, {})
        for angle in procedure.angles:
            inner.local[angle.text] = AngleArgument(angle.text, Parameter(f"{name}.{angle.text}"), 1)
        for qubit in procedure.qubits:
            inner.local[qubit.text] = QubitArgument(qubit.text, f"{name}.{qubit.text}")
        self.block(procedure.body, inner, 0, looking=True)

    def block(
        self,
        statements: sx.Block,
        scope: Scope,
        depth: int,
        *,
        looking: bool = False,
        expanding: bool = False,
    ) -> tree.Block:
        """Return the statements of a block.

        Args:
            depth: how many blocks, loops and calls stand around it.
            looking: it is only checked: loops are passed once, calls are not followed.
            expanding: it is inside a loop or a procedure, so that its statements are counted.
        """
        if depth > DEEPEST:
            raise _too_deep(statements)
        out: list[tree.Statement] = []
        spliced = 0  # statements of loops, procedures and arrays, which were counted there
        for statement in statements:
            match statement:
                case tree.Skip() | tree.Abort():
                    out.append(statement)
                case sx.Reset():
                    resets = self._resets(statement, scope)
                    out.extend(resets)
                    spliced += len(resets) if len(resets) > 1 else 0
                case sx.Assign():
                    out.append(self._assignment(statement, scope))
                case sx.Apply():
                    if is_channel(statement.name.text):
                        out.append(self._channel(statement, scope))
                        continue
                    procedure = scope.program.get(statement.name.text)
                    if not isinstance(procedure, sx.Definition):
                        out.append(self._gate(statement, scope))
                        continue
                    inner = self._arguments(statement, procedure, scope)
                    if not looking:
                        self._count(self.sizes.of_procedure(procedure.name.text), statement.pos, ahead=True)
                        self.references.calls.append(statement.name)
                        body = self.block(procedure.body, inner, depth + 1, expanding=True)
                        out.extend(body)
                        spliced += len(body)
                        self.references.calls.pop()
                case sx.If(otherwise=otherwise):
                    condition = self.resolve.condition(statement.condition, scope)
                    then = self.block(statement.then, scope, depth + 1, looking=looking, expanding=expanding)
                    other: tree.Block = ()
                    if otherwise is not None:
                        other = self.block(otherwise, scope, depth + 1, looking=looking, expanding=expanding)
                    out.append(tree.If(condition, then, _without_skip(other), pos=statement.pos))
                case sx.Case():
                    qubits = self._subject(statement, scope)
                    arms: dict[int | None, tree.Block] = {}
                    for arm in statement.arms:
                        _admit_label(arm, arms, len(qubits))
                        arms[arm.label] = self.block(
                            arm.body, scope, depth + 1, looking=looking, expanding=expanding
                        )
                    other = _without_skip(arms.pop(None, ()))
                    labelled = tuple([(label, body) for label, body in arms.items() if label is not None])
                    out.append(tree.Case(qubits, labelled, other, pos=statement.pos))
                case sx.While():
                    bound = self._bound(statement, scope)
                    condition = self.resolve.condition(statement.condition, scope)
                    body = self.block(statement.body, scope, depth + 1, looking=looking, expanding=expanding)
                    out.append(tree.While(condition, body, bound, pos=statement.pos))
                case sx.For():
                    values = self._passes(statement, scope, looking)
                    if not values:
                        out.append(tree.Skip(pos=statement.pos))
                        index = LoopIndex(statement.index.text, None)
                        self.block(statement.body, scope.inside(index), depth + 1, looking=True)
                    for value in values:
                        index = LoopIndex(statement.index.text, value)
                        before = self.unrolled
                        body = self.block(statement.body, scope.inside(index), depth + 1, expanding=True)
                        if not index.used:
                            # Every pass is the same: share one.
                            passes = len(values)
                            self._count((passes - 1) * (self.unrolled - before), statement.pos)
                            out.extend(body * passes)
                            spliced += len(body) * passes
                            break
                        self._count(0, statement.pos)
                        out.extend(body)
                        spliced += len(body)
                case _:
                    assert_never(statement)
        if expanding:
            self.unrolled += len(out) - spliced
        return tuple(out)

    # --- Gates and procedures -------------------------------------------------------------------

    def _gate(self, statement: sx.Apply, scope: Scope) -> tree.Gate:
        name = statement.name.text
        entry = _gate_record(statement, scope)
        given = statement.angles or ()
        if len(given) != len(entry.angles):
            wanted = plural(len(entry.angles), "angle")
            raise _misuse(f"gate `{entry.name}` takes {wanted}, got {len(given)}.", statement, entry)
        controlled = name.startswith("C_")
        if controlled and len(statement.brackets) != 2:
            raise _misuse(f"`{name}` has a list of controls and a list of targets.", statement, entry)
        if not controlled and len(statement.brackets) != 1:
            lists = len(statement.brackets)
            raise _misuse(f"gate `{name}` has one list of qubits, got {lists}.", statement, entry)
        angles = tuple([self.resolve.number(angle, scope) for angle in given])
        lists_of_names = [
            tuple([self.references.qubit(qubit, scope) for qubit in qubits]) for qubits in statement.brackets
        ]
        targets = lists_of_names[-1]
        if len(targets) != entry.qubits:
            wanted = plural(entry.qubits, "qubit")
            raise _misuse(f"gate `{entry.name}` acts on {wanted}, got {len(targets)}.", statement, entry)
        qubits = (*lists_of_names[0], *targets) if controlled else targets
        if len(set(qubits)) != len(qubits):
            every = tuple([qubit for some in statement.brackets for qubit in some])
            self.references.require_distinct(qubits, every, f"gate `{name}`")
        split = len(qubits) - entry.targets
        return tree.Gate(entry.base or entry.name, angles, qubits[:split], qubits[split:], pos=statement.pos)

    def _channel(self, statement: sx.Apply, scope: Scope) -> tree.Channel:
        name = statement.name.text
        wanted = channel_record(name).qubits
        shape = f"Write `{name}(p)[{', '.join('qrstuv'[:wanted])}]`."
        given = statement.angles or ()
        if len(given) != 1:
            raise Fault(f"channel `{name}` takes 1 probability, got {len(given)}.", statement.pos, shape)
        if len(statement.brackets) != 1:
            lists = len(statement.brackets)
            raise Fault(f"channel `{name}` has one list of qubits, got {lists}.", statement.pos, shape)
        probability = self.resolve.number(given[0], scope)
        qubits = tuple([self.references.qubit(qubit, scope) for qubit in statement.brackets[0]])
        if len(qubits) != wanted:
            what = f"channel `{name}` acts on {plural(wanted, 'qubit')}, got {len(qubits)}."
            raise Fault(what, statement.pos, shape)
        self.references.require_distinct(qubits, statement.brackets[0], f"channel `{name}`")
        return tree.Channel(name, probability, qubits, pos=statement.pos)

    def _arguments(self, statement: sx.Apply, procedure: sx.Definition, scope: Scope) -> Scope:
        """The scope in which a procedure's body stands for this call."""
        name = procedure.name.text
        given = statement.angles or ()
        if len(given) != len(procedure.angles):
            wanted = plural(len(procedure.angles), "angle")
            raise Fault(f"procedure `{name}` takes {wanted}, got {len(given)}.", statement.pos)
        if len(statement.brackets) > 1:
            raise Fault(
                f"procedure `{name}` has one list of qubits, got {len(statement.brackets)}.", statement.pos
            )
        qubits = statement.brackets[0] if statement.brackets else ()
        if len(qubits) != len(procedure.qubits):
            wanted = plural(len(procedure.qubits), "qubit")
            raise Fault(f"procedure `{name}` takes {wanted}, got {len(qubits)}.", statement.pos)
        inner = Scope(scope.program, {})
        for angle, value in zip(procedure.angles, given, strict=True):
            before = self.resolve.nodes
            expression = self.resolve.number(value, scope)
            inner.local[angle.text] = AngleArgument(angle.text, expression, self.resolve.nodes - before)
        for qubit, expression_of_qubit in zip(procedure.qubits, qubits, strict=True):
            inner.local[qubit.text] = QubitArgument(
                qubit.text, self.references.qubit(expression_of_qubit, scope)
            )
        return inner

    # --- Resets and assignments -----------------------------------------------------------------

    def _resets(self, statement: sx.Reset, scope: Scope) -> list[tree.Statement]:
        target = statement.target
        binding = scope.find(target.text) if isinstance(target, Name) else None
        if isinstance(binding, Declared) and binding.kind == "qubit":
            if binding.register.size is not None:
                self._count(len(binding.elements), statement.pos)
            return [tree.Reset(qubit, pos=statement.pos) for qubit in binding.elements]
        if isinstance(binding, Declared) and binding.kind == "counter":
            raise Fault(
                f"expected a qubit, found {described(binding)}.", target.pos, f"Write `{shown(target)} := 0`."
            )
        return [tree.Reset(self.references.qubit(target, scope), pos=statement.pos)]

    def _assignment(self, statement: sx.Assign, scope: Scope) -> tree.Assign | tree.Measure:
        counter = self.references.counter(statement.target, scope)
        value = statement.value
        if isinstance(value, Operation) and value.operator == "M":
            qubits = self.references.qubits(value.operands, scope, "one measurement")
            return tree.Measure(counter, qubits, pos=statement.pos)
        return tree.Assign(counter, self.resolve.integer_expression(value, scope), pos=statement.pos)

    # --- Cases and loops ------------------------------------------------------------------------

    def _subject(self, statement: sx.Case, scope: Scope) -> tuple[str, ...]:
        subject = statement.subject
        if not isinstance(subject, Operation) or subject.operator != "M":
            raise Fault(
                "`case` is followed by a measurement.", place(subject), "Write `case M[q] of 0: … esac`."
            )
        return self.references.qubits(subject.operands, scope, "one measurement")

    def _bound(self, statement: sx.While, scope: Scope) -> int | None:
        if statement.bound is None:
            return None
        bound = self.references.integer(statement.bound, scope, "the bound of a loop")
        if bound is not None and bound < 1:
            raise Fault(f"the bound of a loop is at least 1, got {bound}.", place(statement.bound))
        return bound

    def _passes(self, statement: sx.For, scope: Scope, looking: bool) -> range:
        """The values of a loop's index; none where the loop is only looked at."""
        declarable(statement.index, scope, "loop index")
        low = self.references.integer(statement.low, scope, "a bound of `for`")
        high = self.references.integer(statement.high, scope, "a bound of `for`")
        if looking or low is None or high is None:
            return range(0)
        values = range(low, max(low, high + 1))
        self._count((high + 1 - low) * self.sizes.of_pass(statement), statement.pos, ahead=True)
        return values

    def _count(self, statements: int, pos: Position, ahead: bool = False) -> None:
        """Count statements, those that are still ahead only to refuse them in time."""
        if self.unrolled + statements > MOST_STATEMENTS:
            raise Fault(
                f"loops, procedures and array resets unroll to more than {MOST_STATEMENTS} statements.",
                pos,
                "A `while` with a counter is not unrolled.",
            )
        if not ahead:
            self.unrolled += statements


def _gate_record(statement: sx.Apply, scope: Scope) -> GateRecord:
    """The record of the gate that is applied, without the controls of `C_`."""
    name = statement.name
    base = name.text.removeprefix("C_")
    if base.startswith("C_"):
        raise Fault(
            "`C_` stands once in front of a gate.",
            name.pos,
            "It takes any number of controls: `C_X[a, b][t]`.",
        )
    if is_channel(base):
        raise Fault(f"`{base}` is a channel; only a gate can be controlled.", name.pos)
    declared = scope.program.get(base)
    if isinstance(declared, tree.GateDeclaration):
        return record_of(declared)
    if not is_gate(base):
        if isinstance(declared, sx.Definition):
            raise Fault(f"`{base}` is a procedure; only a gate can be controlled.", name.pos)
        raise unknown_gate(Name(base, name.pos) if base else name, scope)
    return record(base)


def _misuse(message: str, statement: sx.Apply, entry: GateRecord) -> Fault:
    """The error for a gate with wrong angles or qubits; shows how it is written."""
    name = statement.name.text
    angles = f"({', '.join(entry.angles)})" if entry.angles else ""
    controls = "[c]" if name.startswith("C_") else ""
    targets = ", ".join("qrstuv"[: entry.qubits]) if entry.qubits <= 6 else f"q1, …, q{entry.qubits}"
    return Fault(message, statement.pos, f"Write `{name}{angles}{controls}[{targets}]`.")


def _admit_label(arm: sx.Arm, before: dict[int | None, tree.Block], qubits: int) -> None:
    """Refuse an arm whose label cannot follow those before it."""
    if None in before:
        what = "a second `else`" if arm.label is None else "an arm after `else`"
        raise Fault(f"{what} in a `case`.", arm.pos, "`else` stands once, as the last arm.")
    if arm.label is None:
        return
    if arm.label in before:
        raise Fault(f"label {arm.label} stands twice in one `case`.", arm.pos)
    if arm.label >= 2**qubits:
        raise Fault(f"label {arm.label} is out of range: {outcomes(qubits)}.", arm.pos)


def _without_skip(block: tree.Block) -> tree.Block:
    """An `else` that does nothing is left out."""
    return () if len(block) == 1 and isinstance(block[0], tree.Skip) else block


def _too_deep(statements: sx.Block) -> Fault:
    pos = statements[0].pos
    assert pos is not None
    return Fault(f"nested more than {DEEPEST} deep once procedures are inlined.", pos)
