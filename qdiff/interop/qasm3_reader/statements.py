"""Statements that are no control flow: assignments, gates, resets."""

from __future__ import annotations

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.qasm3_reader import arithmetic
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.classical import Evaluator, read
from qdiff.interop.qasm3_reader.declarations import DeclarationReader
from qdiff.interop.qasm3_reader.scope import (
    Bits,
    FloatVariable,
    Kind,
    Routine,
    Scope,
    Value,
    Variable,
)
from qdiff.interop.qasm3_reader.storing import MEASURED
from qdiff.interop.structured import Item
from qdiff.interop.values import Truth
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Assign, Reset


class StatementReader(DeclarationReader):
    """Reads statements that are no control flow."""

    def assign(self, node: sx.Assign, scope: Scope) -> list[Item]:
        """target = value, with an operator or without, or a measurement whose outcome is not kept."""
        at = self.evaluator(scope, node.pos)
        if node.target is None:
            at.value(node.value)
            return at.before
        if isinstance(node.target, sx.Name):
            binding = scope.find(node.target.text)
            if isinstance(binding, FloatVariable):
                return self._assign_real(node, binding, at)
            if not isinstance(binding, Variable):
                raise self._not_assigned(node.target, binding, scope)
            kind = binding.kind.name
            if isinstance(node.value, sx.Measured) and node.operator == "=" and kind in MEASURED:
                qubits = at.operand(node.value.operand)
                return self.measure(qubits, binding.counters, kind != "bits", node.pos)
            value = self._combined(node, read(binding), at)
            value = self.converted(at, value, binding.kind, node.value.pos)
            found = self.store(binding, value, at, node.pos)
            return [*at.before, *found]
        return self._assign_element(node, node.target, scope, at)

    def _combined(self, node: sx.Assign, now: Value, at: Evaluator) -> Value:
        """The value that is stored: of `x += y` it is x + y."""
        value = at.value(node.value)
        if node.operator == "=":
            return value
        try:
            return arithmetic.binary(node.operator[:-1], now, value, at)
        except QdiffError as error:
            raise Fault(str(error), node.pos) from None

    def _not_assigned(self, name: sx.Name, binding: object, scope: Scope) -> Fault:
        if binding is None:
            return scope.unknown(name, "the variable", (Variable, FloatVariable))
        return Fault(f"`{name.text}` is {binding}; nothing can be assigned to it.", name.pos)

    def _assign_real(self, node: sx.Assign, variable: FloatVariable, at: Evaluator) -> list[Item]:
        if variable.region != self.region:
            hint = "Real variables change only where every run changes them; integers may be counted."
            raise Fault("a real variable is changed in a branch or a loop.", node.pos, hint)
        if node.operator == "=":
            variable.value = self.real_value(node.value, variable.kind, at)
            return at.before
        assert isinstance(node.target, sx.Name)
        depth = node.value.depth + 1
        whole = sx.Chain((node.target, node.value), (node.operator[:-1],), node.pos, depth)
        variable.value = self.real_value(whole, variable.kind, at)
        return at.before

    def _assign_element(self, node: sx.Assign, target: sx.Indexed, scope: Scope, at: Evaluator) -> list[Item]:
        name = target.of
        if isinstance(name, sx.Name):
            binding = scope.find(name.text)
            if isinstance(binding, Variable) and binding.kind.name in ("int", "uint", "angle"):
                return self._assign_bit(node, target, binding, at)
            if not isinstance(binding, Variable):
                raise self._not_assigned(name, binding, scope)
        bits = self.target_bits(target, at)
        single = bits.kind.name == "bit"
        if isinstance(node.value, sx.Measured) and node.operator == "=":
            return self.measure(at.operand(node.value.operand), bits.counters, single, node.pos)
        value = self._combined(node, read(bits), at)
        value = self.converted(at, value, bits.kind, node.value.pos)
        found = self.store(bits, value, at, node.pos)
        return [*at.before, *found]

    def _assign_bit(
        self, node: sx.Assign, target: sx.Indexed, variable: Variable, at: Evaluator
    ) -> list[Item]:
        """Bits of an integer."""
        width = variable.kind.width
        if width is None or width > values.WIDEST:
            raise Fault("bits belong to integers with a width, such as `uint[8]`.", node.pos)
        found = at.places(target.items, width, target.pos)
        places = [found] if isinstance(found, int) else found
        counter = ex.Counter(variable.counters[0])
        now = [values.bit_of(counter, i) for i in places]
        single = isinstance(found, int)
        value = self._combined(node, values.of_bit(now[0]) if single else Bits(tuple(now)), at)
        value = self.converted(
            at, value, Kind("bit") if single else Kind("bits", len(places)), node.value.pos
        )
        new = [at.bit(value)] if isinstance(value, Truth) else list(_bits(value))
        changes = []
        for place, old, bit in zip(places, now, new, strict=True):
            top = variable.kind.name == "int" and place == width - 1
            weight = ex.number(-(1 << place) if top else 1 << place)
            changes.append(ex.multiply(weight, ex.add(bit, ex.negate(old))))
        return [*at.before, Assign(variable.counters[0], ex.add(counter, *changes), pos=node.pos)]

    # --- Quantum statements ----------------------------------------------------------------------------

    def gate_call(self, node: sx.GateCall, scope: Scope) -> list[Item]:
        """A gate; a subroutine in the old way of writing, `f(x) q;`."""
        found = scope.find(node.name.text)
        if isinstance(found, Routine) and not node.modifiers:
            call = sx.Call(node.name, (*node.angles, *node.qubits), node.pos, 1)
            return self.inline(call, scope)[0]
        at = self.evaluator(scope, node.pos)
        gates = self.gates.call(node, at)
        return [*at.before, *gates] if at.before else list(gates)

    def reset(self, node: sx.Reset, scope: Scope) -> list[Item]:
        """Each qubit to 0."""
        qubits = self.evaluator(scope, node.pos).operand(node.operand).qubits
        return [Reset(qubit, pos=node.pos) for qubit in qubits]

    def nothing(self, node: sx.Nothing, scope: Scope) -> list[Item]:
        """barrier, delay, nop: the operands exist, and nothing is done."""
        at = self.evaluator(scope, node.pos)
        for operand in node.operands:
            at.operand(operand)
        return []


def _bits(value: Value) -> tuple[Expr, ...]:
    assert isinstance(value, Bits)
    return value.bits
