"""Classical expressions at one place of a text, as values over counters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.qasm3_reader import arithmetic, convert
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.coercions import INPUT_INTEGER, Coercions
from qdiff.interop.qasm3_reader.functions import CONSTANTS, call, is_function
from qdiff.interop.qasm3_reader.scope import (
    Angle,
    Bits,
    Constant,
    FloatVariable,
    InputArray,
    Kind,
    Literal,
    Memory,
    Qubits,
    Real,
    Routine,
    Scope,
    Value,
    Variable,
)
from qdiff.interop.structured import Branch, Item
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Assign, Compare, Measure

Inline: TypeAlias = Callable[[sx.Call, Scope], tuple[list[Item], Value | None]]
LONGEST_CHAIN = 1000
"""Operators of integers and bits in a row: each makes a larger expression of the one before."""
_CLASSICAL = (Constant, Variable, FloatVariable, InputArray)


class Evaluator(Coercions):
    """Evaluates expressions.

    Args:
        memory: gives out counters.
        scope: what names stand for.
        inline: the statements and the value of a call of a subroutine.
        pos: where the statement stands.

    Attributes:
        before: what must run before the values are looked at.
    """

    def __init__(self, memory: Memory, scope: Scope, inline: Inline, pos: Position | None = None) -> None:
        super().__init__(memory, pos)
        self.scope = scope
        self.inline = inline

    def value(self, node: sx.Expression) -> Value:
        """The value of an expression.

        Raises:
            Fault: it has none, or none that can be expressed.
        """
        try:
            match node:
                case sx.Literal(value=bool() as value):
                    return values.truth(value)
                case sx.Literal(value=int() as value):
                    return convert.literal(value)
                case sx.Literal(value=value):
                    return Real(ex.number(value))
                case sx.Name():
                    return self._name(node)
                case sx.Indexed():
                    return self._indexed(node)
                case sx.Chain():
                    return self._chain(node)
                case sx.Unary(operator=operator, operand=operand):
                    return arithmetic.unary(operator, self.value(operand), self)
                case sx.Call():
                    return self._call(node)
                case sx.Cast(type=kind, operand=operand):
                    return self.converted(self.value(operand), self.kind(kind), explicit=True)
                case sx.Measured():
                    return self._measured(node)
                case sx.BitString():
                    return _bit_string(node)
                case sx.Timing():
                    raise Fault("a duration stands only in `delay[…]` and `box[…]`.", node.pos)
        except Fault as fault:
            if fault.pos != arithmetic.NOWHERE:
                raise
            raise Fault(fault.message, node.pos, fault.hint) from None
        except (QdiffError, OverflowError) as error:
            raise Fault(_lowered(str(error)), node.pos) from None
        raise AssertionError(node)

    # --- What is asked for -----------------------------------------------------------------------------

    def truth(self, node: sx.Expression) -> Truth:
        """A condition."""
        found = self.as_truth(self.value(node), node.pos)
        condition = found.condition
        if isinstance(condition, Compare) and condition.pos is None:
            sides = (convert.placed(side, node.pos) for side in (condition.left, condition.right))
            left, right = sides
            return Truth(Compare(left, condition.operator, right, pos=node.pos), found.bit)
        return found

    def angle(self, node: sx.Expression) -> Expr:
        """An angle of a gate: a real expression."""
        value = self.value(node)
        if isinstance(value, Real) and value.whole:
            raise Fault(INPUT_INTEGER, node.pos, "Declare `input float`.")
        return convert.placed(self.as_real(value, node.pos), node.pos)

    def integer(self, node: sx.Expression) -> Whole:
        """An integer."""
        value = self.value(node)
        try:
            return self.as_whole(value, node.pos)
        except QdiffError as error:
            raise Fault(_lowered(str(error)), node.pos) from None

    def constant_integer(self, node: sx.Expression, what: str) -> int:
        """An integer that is the same in all runs.

        Raises:
            Fault: it is not.
        """
        found = values.constant(self.integer(node).expr)
        if found is None:
            raise Fault(f"{what} is a constant.", node.pos, self.why_not(node))
        return found

    def why_not(self, node: sx.Expression) -> str:
        """Why a name in an expression is no constant, where that might surprise."""
        match node:
            case sx.Name(text=text):
                binding = self.scope.find(text)
                return binding.unrolled if isinstance(binding, Variable) else ""
            case sx.Chain(operands=operands):
                return next(filter(None, map(self.why_not, operands)), "")
            case _:
                return ""

    def kind(self, node: sx.Type | sx.ArrayType) -> Kind:
        """The type that is written.

        Raises:
            Fault: its size is no constant from 1.
        """
        if isinstance(node, sx.ArrayType):
            raise Fault("an array is an input.", node.pos)
        if node.size is None:
            return Kind(node.name)
        width = self.constant_integer(node.size, "a size")
        if width < 1:
            raise Fault(f"a size is at least 1, got {width}.", node.size.pos)
        if node.name == "int" and width == 1:
            hint = "Write `uint[1]` or `int`."
            raise Fault("`int[1]` holds 0 and -1, which is hardly meant.", node.pos, hint)
        if node.name == "angle" and width > values.WIDEST:
            raise Fault(f"`angle` has 1 to {values.WIDEST} bits, got {width}.", node.pos)
        return Kind("bits" if node.name == "bit" else node.name, width)

    # --- Names and elements ----------------------------------------------------------------------------

    def _name(self, node: sx.Name) -> Value:
        binding = self.scope.find(node.text)
        match binding:
            case Constant(value=value):
                return value
            case Variable():
                self.memory.worked(len(binding.counters), node.pos)
                return read(binding)
            case FloatVariable(value=value):
                if value is None:
                    raise Fault(f"`{node.text}` has no value yet.", node.pos)
                return value
            case None if node.text in CONSTANTS:
                return Real(CONSTANTS[node.text])
            case None:
                raise self.scope.unknown(node, "the variable", _CLASSICAL)
            case InputArray():
                raise Fault(f"`{node.text}` is an array: an element is `{node.text}[0]`.", node.pos)
            case _:
                raise Fault(f"`{node.text}` is {binding}, not a value.", node.pos)

    def _indexed(self, node: sx.Indexed) -> Value:
        if isinstance(node.of, sx.Name):
            binding = self.scope.find(node.of.text)
            if isinstance(binding, InputArray):
                return Real(self._input(binding, node))
            if isinstance(binding, Qubits):
                raise Fault(f"`{node.of.text}` is {binding}, not a value.", node.of.pos)
        value = self.value(node.of)
        if isinstance(value, Angle):
            value = value.steps
        if isinstance(value, Bits):
            places = self.places(node.items, len(value.bits), node.pos)
            if isinstance(places, int):
                return values.of_bit(value.bits[places])
            return Bits(tuple([value.bits[i] for i in places]))
        if not isinstance(value, Whole):
            raise Fault("this has no bits.", node.pos)
        if value.width is None and not isinstance(value, Literal):
            raise Fault("bits belong to integers with a width, such as `uint[8]`.", node.pos)
        places = self.places(node.items, value.width or values.WIDEST, node.pos)
        if isinstance(places, int):
            return values.of_bit(values.bit_of(value.expr, places))
        return Bits(tuple([values.bit_of(value.expr, i) for i in places]))

    def _input(self, array: InputArray, node: sx.Indexed) -> Expr:
        if len(node.items) != 1 or isinstance(node.items[0], sx.Range | sx.IndexSet):
            raise Fault("an array of inputs is read one element at a time.", node.pos)
        index = self.integer(node.items[0]).expr
        place = values.constant(index)
        if place is None:
            return ex.ParameterElement(array.name, array.size, index, pos=node.pos)
        return ex.Parameter(f"{array.name}[{in_range(place, array.size, node.pos)}]")

    def places(self, items: Sequence[sx.IndexItem], size: int, pos: Position) -> int | list[int]:
        """The index, or the indices, of a register of a size.

        Raises:
            Fault: they are no constants, or out of range.
        """
        if len(items) != 1:
            raise Fault("a register has one index.", pos)
        match items[0]:
            case sx.Range() as given:
                return list(self._range(given, size, pos))
            case sx.IndexSet(items=some):
                found = [in_range(self.constant_integer(i, "an index"), size, i.pos) for i in some]
                if len(set(found)) != len(found):
                    raise Fault("an index stands twice.", pos)
                return found
            case item:
                return in_range(self.constant_integer(item, "an index"), size, item.pos)

    def _range(self, node: sx.Range, size: int, pos: Position) -> range:
        start, step, stop = (
            None if part is None else self.constant_integer(part, "an index")
            for part in (node.start, node.step, node.stop)
        )
        step = 1 if step is None else step
        if step == 0:
            raise Fault("the step of a range is not 0.", pos)
        first, last = (0, size - 1) if step > 0 else (size - 1, 0)
        first = first if start is None else in_range(start, size, pos)
        last = last if stop is None else stop + size if stop < 0 else stop
        found = range(first, last + (1 if step > 0 else -1), step)
        if not found:
            raise Fault("the range is empty.", pos)
        in_range(found[-1], size, pos)
        return found

    # --- Operators and calls ---------------------------------------------------------------------------

    def _chain(self, node: sx.Chain) -> Value:
        if node.operators[0] in ("&&", "||"):
            return self._logical("and" if node.operators[0] == "&&" else "or", node.operands)
        found = self.value(node.operands[0])
        for i, (operator, operand) in enumerate(zip(node.operators, node.operands[1:], strict=True)):
            if isinstance(found, Real) and not found.whole and set(node.operators) <= arithmetic.OF_REALS:
                rest = [(self.value(other), other.pos) for other in node.operands[i + 1 :]]
                if not any(isinstance(value, Angle) for value, _ in rest):
                    terms = [self.as_real(value, pos) for value, pos in rest]
                    return arithmetic.joined_reals(found.expr, node.operators[i:], terms)
            if i >= LONGEST_CHAIN and not isinstance(found, Literal):
                raise Fault(f"there are more than {LONGEST_CHAIN} operators in a row.", operand.pos)
            found = arithmetic.binary(operator, found, self.value(operand), self)
        return found

    def _logical(self, operator: str, operands: Sequence[sx.Expression]) -> Truth:
        """Evaluated from the left: what finds the value of a later operand runs only where it is needed."""
        parts: list[Truth] = []
        for operand in operands:
            with self.apart() as inner:
                part = self.truth(operand)
            if inner and parts:
                name = self.memory.temporary()
                so_far = values.joined(operator, parts)
                one, other = ([Assign(name, ex.number(bit))] for bit in (1, 0))
                further: list[Item] = [*inner, Branch(part.condition, [*one], [*other])]
                then, otherwise = (further, other) if operator == "and" else (one, further)
                self.before.append(Branch(so_far.condition, [*then], [*otherwise]))
                parts = [values.of_bit(ex.Counter(name))]
            else:
                self.before += inner
                parts.append(part)
            if values.known(part) is (operator == "or"):
                break
        return values.joined(operator, parts)

    @contextmanager
    def apart(self) -> Iterator[list[Item]]:
        """Collect what must run before in a list of its own."""
        outer, self.before = self.before, []
        try:
            yield self.before
        finally:
            self.before = outer

    def _call(self, node: sx.Call) -> Value:
        binding = self.scope.find(node.name.text)
        if isinstance(binding, Routine):
            items, value = self.inline(node, self.scope)
            self.before += items
            if value is None:
                raise Fault(f"`{node.name.text}` returns nothing.", node.pos)
            return value
        if binding is not None:
            raise Fault(f"`{node.name.text}` is {binding}, not a function.", node.name.pos)
        if not is_function(node.name.text):
            raise self.scope.unknown(node.name, "the function", (Routine,))
        return call(node, [self.value(argument) for argument in node.arguments], self)

    def _measured(self, node: sx.Measured) -> Value:
        qubits = self.operand(node.operand)
        names = [self.memory.temporary() for _ in qubits.qubits]
        for name, qubit in zip(names, qubits.qubits, strict=True):
            self.before.append(Measure(name, (qubit,), pos=node.pos))
        if qubits.single:
            return values.of_bit(ex.Counter(names[0]))
        return Bits(tuple([ex.Counter(name) for name in names]))

    def operand(self, node: sx.Operand) -> Qubits:
        """The qubits that an operand names.

        Raises:
            Fault: it names none.
        """
        if isinstance(node, sx.Name):
            binding = self.scope.find(node.text)
            if isinstance(binding, Qubits):
                return binding
            if binding is None:
                raise self.scope.unknown(node, "qubit", (Qubits,))
            raise Fault(f"`{node.text}` is {binding}, not a qubit.", node.pos)
        if not isinstance(node.of, sx.Name | sx.Indexed):
            raise Fault("a qubit is expected.", node.pos)
        of = self.operand(node.of)
        if of.single:
            raise Fault("a qubit alone has no index.", node.pos)
        if len(node.items) == 1 and isinstance(node.items[0], sx.Literal):
            place = node.items[0].value
            if type(place) is int and 0 <= place < len(of.qubits):
                return Qubits((of.qubits[place],), True)
        places = self.places(node.items, len(of.qubits), node.pos)
        if isinstance(places, int):
            return Qubits((of.qubits[places],), True)
        self.memory.worked(len(places), node.pos)
        return Qubits(tuple([of.qubits[i] for i in places]), False)


def read(variable: Variable) -> Value:
    """The value that a variable has."""
    kind, counters = variable.kind, variable.counters
    if kind.name == "bits":
        return Bits(tuple(map(ex.Counter, counters)))
    counter = ex.Counter(counters[0])
    if kind.name in ("bit", "bool"):
        return values.of_bit(counter)
    if kind.name == "angle":
        return Angle(Whole(counter, kind.width))
    return Whole(counter, *convert.integer_type(kind))


def in_range(place: int, size: int, pos: Position) -> int:
    """An index from 0; negative ones count from the end.

    Raises:
        Fault: it is out of range.
    """
    if not -size <= place < size:
        raise Fault(f"the index {place} is out of range: 0 to {size - 1}.", pos)
    return place % size


def _bit_string(node: sx.BitString) -> Bits:
    digits = node.text.replace("_", "")
    if not digits or digits.strip("01"):
        raise Fault('a text in quotation marks is a row of bits, such as `"0110"`.', node.pos)
    return Bits(tuple(ex.number(int(digit)) for digit in reversed(digits)))


def _lowered(message: str) -> str:
    """A message that stands behind a place."""
    text = message if message[:1] == "`" or message[:2].isupper() else message[:1].lower() + message[1:]
    return text if text.endswith((".", "?")) else f"{text}."
