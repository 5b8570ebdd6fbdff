"""Subroutines, written out where they are called; and all statements together."""

from __future__ import annotations

from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.classical import Evaluator
from qdiff.interop.qasm3_reader.control import Context
from qdiff.interop.qasm3_reader.loops import LoopReader, assigned, leaves
from qdiff.interop.qasm3_reader.scope import (
    FloatVariable,
    Kind,
    Qubits,
    Routine,
    Scope,
    Value,
    Variable,
)
from qdiff.interop.structured import Item, Leave, Passes
from qdiff.lang import expr as ex
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Assign

DEEPEST_CALLS = 25


class TextReader(LoopReader):
    """Reads all statements."""

    def __init__(self) -> None:
        super().__init__()
        self._readers = {
            sx.GateCall: self.gate_call, sx.Assign: self.assign, sx.Declaration: self.declare,
            sx.If: self.if_, sx.Reset: self.reset, sx.Nothing: self.nothing, sx.For: self.for_,
            sx.While: self.while_, sx.Switch: self.switch, sx.Scope: self.scope_, sx.Leave: self.leave,
            sx.Return: self.return_, sx.Include: self.include, sx.Qubits: self.declare_qubits,
            sx.Alias: self.alias,
            sx.GateDefinition: self.define_gate, sx.Subroutine: self.define,
            sx.CallStatement: self.call,
        }  # fmt: skip

    def define_gate(self, node: sx.GateDefinition, scope: Scope) -> list[Item]:
        """gate …"""
        self.only_global(scope, "a definition", node.pos)
        self.gates.define(node, scope)
        return []

    def define(self, node: sx.Subroutine, scope: Scope) -> list[Item]:
        """def …; its body is read where it is called."""
        self.only_global(scope, "a definition", node.pos)
        for i, (_, name) in enumerate(node.arguments):
            if name.text in [other.text for _, other in node.arguments[:i]]:
                raise Fault(f"`{name.text}` is an argument of `{node.name.text}` twice.", name.pos)
        scope.declare(node.name, Routine(node, scope))
        return []

    def call(self, node: sx.CallStatement, scope: Scope) -> list[Item]:
        """f(…);"""
        found = scope.find(node.call.name.text)
        if not isinstance(found, Routine):
            at = self.evaluator(scope, node.pos)
            at.value(node.call)
            return at.before
        return self.inline(node.call, scope)[0]

    def inline(self, node: sx.Call, scope: Scope) -> tuple[list[Item], Value | None]:
        """The statements and the value of a call.

        Raises:
            Fault: the arguments do not fit; it calls itself; calls are nested too deep.
        """
        routine = scope.find(node.name.text)
        assert isinstance(routine, Routine)
        definition = routine.node
        if len(node.arguments) != len(definition.arguments):
            wanted = len(definition.arguments)
            plural = "argument" if wanted == 1 else "arguments"
            raise Fault(f"`{node.name.text}` has {wanted} {plural}, got {len(node.arguments)}.", node.pos)
        if sum(context.kind == "routine" for context in self.contexts) >= DEEPEST_CALLS:
            raise Fault(f"subroutines call each other more than {DEEPEST_CALLS} deep.", node.pos)
        inner = Scope(routine.scope, closed=True)
        at = self.evaluator(scope, node.pos)
        typed = self.evaluator(routine.scope)
        first: list[Item] = []
        given: list[tuple[sx.Name, Kind, Value]] = []
        for (written, name), argument in zip(definition.arguments, node.arguments, strict=True):
            if written.name == "qubit":
                inner.names[name.text] = self._qubit_argument(written, argument, at, typed)
            else:
                kind = typed.kind(written)
                given.append((name, kind, self.converted(at, at.value(argument), kind, argument.pos)))
        for name, kind, value in given:
            changed = assigned(definition.body, name.text)
            first += self.bound(name, value, kind, changed, inner, at)
        with self.context("routine") as context:
            returns = None if definition.result is None else typed.kind(definition.result)
            if returns is not None:
                context.returns = self._result(returns)
            ending = definition.body[-1:]
            splits = isinstance(ending[0], sx.Return) if ending else False
            body = definition.body[:-1] if splits else definition.body
            outer = self.region
            if leaves(body):
                self._regions += 1
                self.region = self._regions
                if isinstance(context.returns, FloatVariable):
                    context.returns.region = self.region
            local = Scope(inner)
            items = self.statements(body, local)
            if splits:
                last = ending[0]
                assert isinstance(last, sx.Return)
                items += self._returned(last, context, local)
            self.region = outer
        if context.flag:
            first.append(Assign(context.flag, ex.ZERO))
        done: list[Item] = [Passes([items])] if context.left else items
        return [*at.before, *first, *done], self._result_value(context.returns)

    def _qubit_argument(
        self, written: sx.Type, argument: sx.Expression, at: Evaluator, typed: Evaluator
    ) -> Qubits:
        if not isinstance(argument, sx.Name | sx.Indexed):
            raise Fault("a qubit is expected.", argument.pos)
        found = at.operand(argument)
        size = None if written.size is None else typed.constant_integer(written.size, "a size")
        if found.single != (size is None) or (size is not None and size != len(found.qubits)):
            wanted = "a qubit" if size is None else f"a register of {size} qubits"
            raise Fault(f"{wanted} is expected, got {found} ({len(found.qubits)}).", argument.pos)
        return found

    def _result(self, kind: Kind) -> Variable | FloatVariable:
        if kind.name == "float" or (kind.name == "angle" and kind.width is None):
            return FloatVariable(kind, None, self.region)
        number = kind.width or 1 if kind.name == "bits" else 1
        return Variable(kind, tuple([self.memory.temporary() for _ in range(number)]))

    def _result_value(self, returns: Variable | FloatVariable | None) -> Value | None:
        from qdiff.interop.qasm3_reader.classical import read

        if returns is None:
            return None
        return returns.value if isinstance(returns, FloatVariable) else read(returns)

    def return_(self, node: sx.Return, scope: Scope) -> list[Item]:
        """Keep the value and leave the subroutine."""
        inside = next(
            (i for i in range(len(self.contexts) - 1, 0, -1) if self.contexts[i].kind == "routine"), 0
        )
        if not inside:
            raise Fault("`return` stands outside of subroutines.", node.pos)
        routine = self.contexts[inside]
        found = self._returned(node, routine, scope)
        for context in self.contexts[inside:]:
            context.left = True
        if inside < len(self.contexts) - 1:
            for context in self.contexts[inside + 1 :]:
                context.returned = True
            routine.flag = routine.flag or self.memory.counter("returned")
            found.append(Assign(routine.flag, ex.ONE))
        return [*found, Leave(loop=True)]

    def _returned(self, node: sx.Return, routine: Context, scope: Scope) -> list[Item]:
        returns = routine.returns
        if node.value is None or returns is None:
            if (node.value is None) != (returns is None):
                raise Fault("a value is returned where the subroutine has a type, and only there.", node.pos)
            return []
        at = self.evaluator(scope, node.pos)
        if isinstance(returns, FloatVariable):
            if self.region != returns.region:
                raise Fault("a real value is returned in a branch or a loop.", node.pos)
            returns.value = self.real_value(node.value, returns.kind, at)
            return at.before
        value = self.converted(at, at.value(node.value), returns.kind, node.value.pos)
        found = self.store(returns, value, at, node.pos)
        return [*at.before, *found]
