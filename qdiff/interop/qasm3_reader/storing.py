"""Variables and the values that are stored in them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from qdiff.errors import QdiffError
from qdiff.interop.names import Names
from qdiff.interop.qasm3_reader import convert
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.classical import Evaluator
from qdiff.interop.qasm3_reader.gates import GateReader
from qdiff.interop.qasm3_reader.operations import BUILT_IN
from qdiff.interop.qasm3_reader.scope import (
    Angle,
    Bits,
    Kind,
    Memory,
    Qubits,
    Real,
    Scope,
    StandardGate,
    Value,
    Variable,
)
from qdiff.interop.structured import Branch, Item
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Assign, Measure, Register

MEASURED = ("bit", "bits", "bool")
"""Types that outcomes are stored in directly."""


class Store(ABC):
    """Keeps what a text has declared, and stores values.

    Attributes:
        names, memory, gates: names that are taken, counters, and gates. qubits, parameters: what is declared.
        scope: the names outside of all blocks. region: changes where not every run does what follows.
        repeated: in how many loops that are not unrolled a statement stands.
    """

    def __init__(self) -> None:
        self.names = Names()
        self.memory = Memory(self.names)
        self.gates = GateReader(self.names, self.memory)
        self.qubits: list[Register] = []
        self.parameters: list[Register] = []
        self.scope = Scope()
        self.region = 0
        self.repeated = 0
        self._sites: dict[tuple[int, Kind], Variable] = {}
        for name, (angles, qubits, _) in BUILT_IN.items():
            self.scope.names[name] = StandardGate(name, angles, qubits)

    def evaluator(self, scope: Scope, pos: Position | None = None) -> Evaluator:
        """What evaluates the expressions of one statement, which stands at a place."""
        return Evaluator(self.memory, scope, self.inline, pos)

    @abstractmethod
    def inline(self, node: sx.Call, scope: Scope) -> tuple[list[Item], Value | None]:
        """The statements and the value of a call of a subroutine."""

    def site(self, node: sx.Declaration | sx.Name, name: sx.Name, kind: Kind) -> tuple[Variable, bool]:
        """The variable of a declaration, and whether it has its first value, 0, for sure."""
        key = id(node), kind
        known = self._sites.get(key)
        if known is not None:
            return known, False
        variable = self._sites[key] = self.memory.declare(name, kind)
        return variable, self.repeated == 0

    def zero(self, variable: Variable) -> list[Item]:
        """What makes a variable 0."""
        return [Assign(counter, ex.ZERO) for counter in variable.counters]

    def converted(self, at: Evaluator, value: Value, kind: Kind, pos: Position) -> Value:
        """A value as one of a type; what does not fit is an error with its place."""
        try:
            return at.converted(value, kind)
        except QdiffError as error:
            raise Fault(str(error), pos) from None

    def real_value(self, node: sx.Expression, kind: Kind, at: Evaluator) -> Value:
        """A value of a real variable: counters in it are kept as they are now."""
        value = self.converted(at, at.value(node), kind, node.pos)
        assert isinstance(value, Real)
        return self.kept(value, at)

    def kept(self, value: Real, at: Evaluator) -> Real:
        """A real value whose counters may change: copies of them are kept."""
        kept: dict[str, Expr] = {}
        for name in sorted(value.expr.counters()):
            kept[name] = ex.Counter(self.memory.counter("kept"))
            at.before.append(Assign(kept[name].name, ex.Counter(name)))  # type: ignore[attr-defined]
        return Real(_with_counters(value.expr, kept), value.whole) if kept else value

    def target_bits(self, node: sx.Operand, at: Evaluator) -> Variable:
        """The bits of registers that an operand names, to be stored to."""
        if isinstance(node, sx.Name):
            found = at.scope.find(node.text)
            if isinstance(found, Variable) and found.kind.name in ("bit", "bits"):
                return found
            raise Fault(f"`{node.text}` is no register of bits.", node.pos)
        if not isinstance(node.of, sx.Name | sx.Indexed):
            raise Fault("a register of bits is expected.", node.pos)
        of = self.target_bits(node.of, at)
        if of.kind.name == "bit":
            raise Fault("a bit alone has no index.", node.pos)
        places = at.places(node.items, len(of.counters), node.pos)
        if isinstance(places, int):
            return Variable(Kind("bit"), (of.counters[places],))
        return Variable(Kind("bits", len(places)), tuple([of.counters[i] for i in places]))

    def store(self, variable: Variable, value: Value, at: Evaluator, pos: Position) -> list[Item]:
        """Store a value that has the type of the variable."""
        counters = variable.counters
        match value:
            case Truth(bit=Expr() as bit):
                return [Assign(counters[0], bit, pos=pos)]
            case Truth(condition=condition):
                one, other = ([Assign(counters[0], ex.number(bit), pos=pos)] for bit in (1, 0))
                return [Branch(condition, [*one], [*other])]
            case Whole(expr=expr) | Angle(steps=Whole(expr=expr)):
                return [Assign(counters[0], convert.placed(expr, pos), pos=pos)]
            case Bits(bits=bits):
                return self._store_bits(counters, bits, pos)
        raise AssertionError(value)

    def _store_bits(self, counters: tuple[str, ...], bits: tuple[Expr, ...], pos: Position) -> list[Item]:
        """Each bit on its own; those that read what is overwritten before are kept first."""
        kept: list[Item] = []
        found: list[Item] = []
        written: set[str] = set()
        for counter, bit in zip(counters, bits, strict=True):
            if bit.counters() & written:
                name = self.memory.temporary()
                kept.append(Assign(name, bit))
                bit = ex.Counter(name)
            if bit != ex.Counter(counter):
                found.append(Assign(counter, bit, pos=pos))
            written.add(counter)
        return [*kept, *found]

    def measure(self, qubits: Qubits, counters: tuple[str, ...], single: bool, pos: Position) -> list[Item]:
        """Qubits into bits, one by one."""
        if qubits.single != single and len(qubits.qubits) != len(counters):
            kinds = ["a register of qubits", "a qubit"], ["a register of bits", "a bit"]
            raise Fault(f"{kinds[0][qubits.single]} is measured into {kinds[1][single]}.", pos)
        if len(qubits.qubits) != len(counters):
            raise Fault(f"{len(qubits.qubits)} qubits are measured into {len(counters)} bits.", pos)
        pairs = zip(counters, qubits.qubits, strict=True)
        return [Measure(counter, (qubit,), pos=pos) for counter, qubit in pairs]


def _with_counters(expr: Expr, others: dict[str, Expr]) -> Expr:
    from qdiff.lang.rebuild import rebuild

    def combine(node: Expr, operands: list[Expr]) -> Expr:
        return others[node.name] if isinstance(node, ex.Counter) else rebuild(node, operands)

    return expr.fold(combine)
