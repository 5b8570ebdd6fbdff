"""Declarations: the library, qubits, variables, constants, inputs and aliases."""

from __future__ import annotations

from collections.abc import Sequence

from qdiff.interop import values
from qdiff.interop.qasm3_reader import convert
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.classical import Evaluator
from qdiff.interop.qasm3_reader.operations import STANDARD
from qdiff.interop.qasm3_reader.scope import (
    Angle,
    Bits,
    Constant,
    FloatVariable,
    InputArray,
    Kind,
    Qubits,
    Real,
    Scope,
    StandardGate,
    Value,
    Variable,
)
from qdiff.interop.qasm3_reader.storing import MEASURED, Store
from qdiff.interop.structured import Item
from qdiff.interop.values import Truth
from qdiff.lang import expr as ex
from qdiff.lang.source import Position
from qdiff.lang.text.names import LARGEST_ARRAY
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Compare, Register

MOST_QUBITS = 100_000


class DeclarationReader(Store):
    """Reads declarations."""

    def include(self, node: sx.Include, scope: Scope) -> list[Item]:
        """The library; no file is read."""
        if node.file != "stdgates.inc":
            hint = 'Only `include "stdgates.inc";` is possible: no file is read.'
            raise Fault(f"`{node.file}` is not included.", node.pos, hint)
        self.only_global(scope, "`include`", node.pos)
        for name, (angles, qubits, _) in STANDARD.items():
            if not isinstance(scope.names.get(name), StandardGate):
                scope.declare(sx.Name(name, node.pos), StandardGate(name, angles, qubits))
        return []

    def only_global(self, scope: Scope, what: str, pos: Position) -> None:
        """Refuse what stands in a block."""
        if not scope.is_global:
            raise Fault(f"{what} stands outside of all blocks.", pos)

    def declare_qubits(self, node: sx.Qubits, scope: Scope) -> list[Item]:
        """A qubit or a register of qubits."""
        self.only_global(scope, "a declaration of qubits", node.pos)
        size = None
        if node.size is not None:
            size = self.evaluator(scope, node.pos).constant_integer(node.size, "a size")
            if not 1 <= size <= LARGEST_ARRAY:
                raise Fault(f"`{node.name.text}` has {size} qubits; 1 to {LARGEST_ARRAY} are possible.",
                            node.size.pos)  # fmt: skip
        if sum(register.size or 1 for register in self.qubits) + (size or 1) > MOST_QUBITS:
            raise Fault(f"there are more than {MOST_QUBITS} qubits.", node.pos)
        self._qubits(node.name, node.name.text, size, scope)
        return []

    def _qubits(self, name: sx.Name, ours: str, size: int | None, scope: Scope) -> None:
        register = Register(self.names.give(ours, "q"), size, pos=name.pos)
        scope.declare(name, Qubits(register.elements, size is None))
        self.qubits.append(register)

    def physical(self, numbers: Sequence[int]) -> None:
        """Declare the physical qubits that a text mentions."""
        for number in numbers:
            name = sx.Name(f"${number}", Position(1, 1))
            self._qubits(name, f"q{number}", None, self.scope)

    def declare(self, node: sx.Declaration, scope: Scope) -> list[Item]:
        """A variable, a constant or an input."""
        at = self.evaluator(scope, node.pos)
        if node.how == "input":
            self.only_global(scope, "an input", node.pos)
            self._input(node, scope, at)
            return []
        kind = at.kind(node.type)
        if node.how == "const":
            assert node.value is not None
            value = self.converted(at, at.value(node.value), kind, node.value.pos)
            if at.before or not convert.is_constant(value):
                raise Fault("the value of a `const` is constant.", node.value.pos, at.why_not(node.value))
            scope.declare(node.name, Constant(value))
            return []
        if kind.name == "float" or (kind.name == "angle" and kind.width is None):
            found = None if node.value is None else self.real_value(node.value, kind, at)
            scope.declare(node.name, FloatVariable(kind, found, self.region))
            return at.before
        if node.value is None:
            variable, first = self.site(node, node.name, kind)
            scope.declare(node.name, variable)
            return [] if first else self.zero(variable)
        if (direct := self._measured_directly(node, kind, scope, at)) is not None:
            return direct
        value = self.converted(at, at.value(node.value), kind, node.value.pos)
        variable, first = self.site(node, node.name, kind)
        scope.declare(node.name, variable)
        if first and not at.before and _is_zero(value):
            return []
        return [*at.before, *self.store(variable, value, at, node.pos)]

    def _measured_directly(
        self, node: sx.Declaration, kind: Kind, scope: Scope, at: Evaluator
    ) -> list[Item] | None:
        """`bit b = measure q;` without a counter between them."""
        if not isinstance(node.value, sx.Measured) or kind.name not in MEASURED:
            return None
        qubits = at.operand(node.value.operand)
        variable, _ = self.site(node, node.name, kind)
        scope.declare(node.name, variable)
        return self.measure(qubits, variable.counters, kind.name != "bits", node.pos)

    def _input(self, node: sx.Declaration, scope: Scope, at: Evaluator) -> None:
        if isinstance(node.type, sx.ArrayType):
            kind = node.type.element.name
            if kind not in ("float", "angle") or len(node.type.sizes) != 1:
                raise Fault("an array of inputs is `array[float, n]` or `array[angle, n]`.", node.type.pos)
            size = at.constant_integer(node.type.sizes[0], "a size")
            if not 1 <= size <= LARGEST_ARRAY:
                raise Fault(f"`{node.name.text}` has {size} elements; 1 to {LARGEST_ARRAY} are possible.",
                            node.type.pos)  # fmt: skip
            register = Register(self.names.give_parameter(node.name.text, "w"), size, pos=node.name.pos)
            scope.declare(node.name, InputArray(register.name, size))
        else:
            found = at.kind(node.type)
            if found.name == "bits":
                raise Fault("a register of bits cannot be an input.", node.pos, "Declare `input int`.")
            register = Register(self.names.give_parameter(node.name.text, "t"), pos=node.name.pos)
            parameter = ex.Parameter(register.name)
            value: Value = Real(parameter, whole=found.name in ("int", "uint"))
            if found.name in ("bit", "bool"):
                value = Truth(Compare(parameter, "!=", ex.ZERO))
            scope.declare(node.name, Constant(value, is_input=True))
        self.parameters.append(register)

    def alias(self, node: sx.Alias, scope: Scope) -> list[Item]:
        """Another name for qubits or bits."""
        at = self.evaluator(scope, node.pos)
        parts = [self._referred(part, scope, at) for part in node.parts]
        for part in parts:
            self.memory.worked(len(part.qubits if isinstance(part, Qubits) else part.counters), node.pos)
        if all(isinstance(part, Qubits) for part in parts):
            qubits = tuple(q for part in parts if isinstance(part, Qubits) for q in part.qubits)
            single = len(parts) == 1 and isinstance(parts[0], Qubits) and parts[0].single
            _no_twice(qubits, node)
            scope.declare(node.name, Qubits(qubits, single))
        elif all(isinstance(part, Variable) for part in parts):
            bits = tuple(c for part in parts if isinstance(part, Variable) for c in part.counters)
            _no_twice(bits, node)
            single = len(parts) == 1 and isinstance(parts[0], Variable) and parts[0].kind.name == "bit"
            scope.declare(node.name, Variable(Kind("bit") if single else Kind("bits", len(bits)), bits))
        else:
            raise Fault("`let` joins qubits, or else registers of bits.", node.pos)
        return []

    def _referred(self, part: sx.Expression, scope: Scope, at: Evaluator) -> Qubits | Variable:
        """The qubits or bits that a part of an alias names."""
        if isinstance(part, sx.Name | sx.Indexed):
            name = part
            while isinstance(name, sx.Indexed) and isinstance(name.of, sx.Name | sx.Indexed):
                name = name.of
            found = scope.find(name.text) if isinstance(name, sx.Name) else None
            if isinstance(found, Variable) and found.kind.name in ("bit", "bits"):
                return self.target_bits(part, at)
            if isinstance(name, sx.Name):
                return at.operand(part)
        raise Fault("`let` gives a name to qubits or bits.", part.pos)


def _is_zero(value: Value) -> bool:
    match value:
        case Truth():
            return values.known(value) is False
        case Bits(bits=bits):
            return all(ex.is_number(bit, 0) for bit in bits)
        case Angle(steps=steps):
            return ex.is_number(steps.expr, 0)
        case _:
            return ex.is_number(value.expr, 0)


def _no_twice(names: Sequence[str], node: sx.Alias) -> None:
    if len(set(names)) != len(names):
        raise Fault(f"a part of `{node.name.text}` stands in it twice.", node.pos)
