"""Names of qubits, counters and array elements in a text, and integers that are known before a run."""

from __future__ import annotations

from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.source import Position
from qdiff.lang.text import syntax as sx
from qdiff.lang.text.names import Declared, LoopIndex, QubitArgument, Scope, described
from qdiff.lang.text.places import Place, admit, require_integer
from qdiff.lang.text.syntax import Fault, Name, Operation, place


class References:
    """Finds what names stand for.

    Attributes:
        calls: the procedures that are being inlined, the outermost first.
    """

    def __init__(self) -> None:
        self.calls: list[Name] = []

    def integer(self, expression: sx.Expression, scope: Scope, what: str) -> int | None:
        """The value of an integer expression without counters.

        Args:
            what: where it stands, for messages: "a qubit index".

        Returns:
            The value; None where it depends on a loop index without a value.
        """
        known = True
        done: list[int] = []
        pending: list[tuple[sx.Expression, bool]] = [(expression, False)]
        while pending:
            node, ready = pending.pop()
            if isinstance(node, ex.Number):
                done.append(require_integer(node.value, place(node)))
            elif isinstance(node, Name):
                binding = scope.find(node.text)
                if not isinstance(binding, LoopIndex):
                    raise _not_constant(node, scope, what)
                binding.used = True
                known = known and binding.value is not None
                done.append(binding.value or 0)
            elif not isinstance(node, Operation):
                raise _not_constant(node, scope, what)
            elif ready:
                count = len(node.operands)
                operands = done[-count:]
                del done[-count:]
                done.append(_value(node, operands, known))
            else:
                admit(node, Place.INTEGER)
                pending.append((node, True))
                pending.extend((operand, False) for operand in reversed(node.operands))
        return done[0] if known else None

    def element_name(self, element: sx.Element, declared: Declared, scope: Scope) -> str:
        """The name of an element with a constant index, such as "w[2]"."""
        index = the_index(element)
        array = {"qubit": "a qubit", "counter": "a counter", "parameter": "a parameter"}[declared.kind]
        value = self.integer(index, scope, f"the index of {array}")
        if value is None:
            # Unlike every other one, so that it is no qubit listed twice.
            return f"{element.name.text}[{element.pos.line}:{element.pos.column}]"
        elements = declared.elements
        if not 0 <= value < len(elements):
            raise Fault(
                f"index {value} is out of range: `{element.name.text}` has the elements"
                f" {elements[0]} .. {elements[-1]}.",
                place(index),
            )
        return elements[value]

    # --- Qubits and counters --------------------------------------------------------------------

    def qubit(self, expression: sx.Expression, scope: Scope) -> str:
        """The name of one qubit."""
        if not isinstance(expression, Name | sx.Element):
            what = "a number" if isinstance(expression, ex.Number | ex.Pi) else "an expression"
            raise Fault(f"expected a qubit, found {what}.", place(expression))
        name = expression if isinstance(expression, Name) else expression.name
        binding = scope.find(name.text)
        match binding:
            case None:
                raise scope.undeclared(name, "qubit", "qubit")
            case QubitArgument(qubit=qubit) if isinstance(expression, Name):
                return qubit
            case Declared(kind="qubit", register=tree.Register(size=size)):
                if isinstance(expression, Name):
                    if size is not None:
                        raise bare_array(expression, size)
                    return name.text
                if size is not None:
                    return self.element_name(expression, binding, scope)
            case QubitArgument():
                pass
            case _:
                raise Fault(f"expected a qubit, found {described(binding)}.", expression.pos)
        raise Fault(f"{described(binding)} is not an array: it has no elements.", expression.pos)

    def qubits(self, expressions: tuple[sx.Expression, ...], scope: Scope, what: str) -> tuple[str, ...]:
        """The names of qubits that must differ."""
        names = tuple([self.qubit(expression, scope) for expression in expressions])
        self.require_distinct(names, expressions, what)
        return names

    def counter(self, target: Name | sx.Element, scope: Scope) -> str:
        """The name of the counter that is assigned."""
        name = target if isinstance(target, Name) else target.name
        binding = scope.find(name.text)
        match binding:
            case None:
                raise scope.undeclared(name, "counter", "counter")
            case Declared(kind="counter", register=tree.Register(size=size)):
                if isinstance(target, Name):
                    if size is not None:
                        raise bare_array(target, size)
                    return name.text
                if size is None:
                    raise Fault(f"{described(binding)} is not an array: it has no elements.", target.pos)
                return self.element_name(target, binding, scope)
            case LoopIndex():
                raise Fault(f"{described(binding)} cannot be assigned: it is read-only.", target.pos)
            case _:
                raise Fault(f"{described(binding)} cannot be assigned: only counters can.", target.pos)

    def require_distinct(
        self, names: tuple[str, ...], expressions: tuple[sx.Expression, ...], what: str
    ) -> None:
        """Refuse a qubit that is listed twice in `what`."""
        if len(set(names)) == len(names):
            return
        twice = next(i for i, name in enumerate(names) if name in names[:i])
        raise self.repeated(names[twice], place(expressions[twice]), what)

    def repeated(self, qubit: str, pos: Position, what: str) -> Fault:
        """The error for a qubit that is listed twice, by the text itself or by a procedure's call."""
        if self.calls:
            call = self.calls[0]
            return Fault(
                f"in this call of `{call.text}` the qubit `{plain(qubit)}` is listed twice in {what}"
                f" (line {pos.line}).",
                call.pos,
                "Give the procedure different qubits.",
            )
        return Fault(f"qubit `{plain(qubit)}` is listed twice in {what}.", pos)


def plain(qubit: str) -> str:
    """The name of a qubit as its text has it: without the procedure that it is an argument of."""
    return qubit.rpartition(".")[2]


def _value(node: Operation, x: list[int], known: bool) -> int:
    """The value of an operation over integers."""
    if node.operator == "+":
        value = sum(x)
    elif node.operator == "-":
        value = -x[0]
    elif node.operator == "*":
        value = x[0]
        for operand, factor in zip(node.operands[1:], x[1:], strict=True):
            operator = division(operand)
            if operator and factor == 0:
                if known:
                    raise Fault(f"`{operator}` by zero.", place(operand))
                factor = 1
            value = value // factor if operator == "div" else value % factor if operator else value * factor
            require_integer(abs(value), node.pos)
    else:
        value = x[0]
    return require_integer(value, node.pos) if value > 0 else -require_integer(-value, node.pos)


def division(operand: sx.Expression) -> str:
    """The operator by which a factor is joined, or "" for `*`."""
    if isinstance(operand, Operation) and operand.operator in ("/", "div", "mod"):
        return operand.operator
    return ""


def the_index(element: sx.Element) -> sx.Expression:
    if len(element.indices) > 1:
        raise Fault(f"`{element.name.text}` has one index, got {len(element.indices)}.", element.pos)
    return element.indices[0]


def bare_array(name: Name, size: int) -> Fault:
    return Fault(
        f"`{name.text}` is an array of {size}.",
        name.pos,
        f"Name one element: `{name.text}[0]` .. `{name.text}[{size - 1}]`.",
    )


def _not_constant(node: sx.Expression, scope: Scope, what: str) -> Fault:
    """The error for something that has no value before the program runs."""
    reference = node.name if isinstance(node, sx.Element) else node
    if not isinstance(reference, Name):
        return Fault(f"expected an integer in {what}, found `pi`.", place(node))
    binding = scope.find(reference.text)
    if binding is None:
        return scope.undeclared(reference, "loop index", "index")
    return Fault(
        f"expected an integer in {what}, found {described(binding)}.",
        place(node),
        f"{what[0].upper()}{what[1:]} contains integers and loop indices only.",
    )
