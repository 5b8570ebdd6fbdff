"""What names stand for, where they can be seen, and the counters that variables live in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from qdiff.errors import did_you_mean
from qdiff.interop.names import Names
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.values import Truth, Whole
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.text.names import LARGEST_ARRAY
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Register

MOST_WORK = 2_000_000
"""Bits that are read in all."""
MOST_COUNTERS = 1_000_000

# --- Values --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Literal(Whole):
    """A constant without a type of its own: a number of the text, or made of such.

    Attributes:
        inexact: whether a division inside has dropped a fraction.
    """

    inexact: bool = False


@dataclass(frozen=True)
class Rounded(Whole):
    """A constant with a type that a division of integers has brought about, which has dropped a fraction."""


@dataclass(frozen=True)
class Bits:
    """A register of bits, each 0 or 1; the first is the least significant."""

    bits: tuple[Expr, ...]


@dataclass(frozen=True)
class Real:
    """A real number, exact; `whole` where it is an input that is an integer."""

    expr: Expr
    whole: bool = False


@dataclass(frozen=True)
class Angle:
    """2π/2^w times an unsigned integer of w bits: a value of the type angle[w]."""

    steps: Whole


Value: TypeAlias = Whole | Truth | Bits | Real | Angle


@dataclass(frozen=True)
class Kind:
    """A classical type: bit, bits, bool, int, uint, float or angle, and how many bits it has."""

    name: str
    width: int | None = None

    def __str__(self) -> str:
        name = "bit" if self.name == "bits" else self.name
        return name if self.width is None else f"{name}[{self.width}]"


# --- What names stand for ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant:
    """A value that does not change: `const`, an input, the variable of an unrolled loop."""

    value: Value
    is_input: bool = False

    def __str__(self) -> str:
        return "an input" if self.is_input else "a constant"


@dataclass(frozen=True)
class Variable:
    """A variable that counters hold: one, or one for each bit of a register."""

    kind: Kind
    counters: tuple[str, ...]
    unrolled: str = ""  # why its value is known only at run time, where that might surprise

    def __str__(self) -> str:
        return f"a variable of the type `{self.kind}`"


@dataclass(eq=False)
class FloatVariable:
    """A real variable: its value is an expression, so it changes only where every run changes it."""

    kind: Kind
    value: Value | None
    region: int

    def __str__(self) -> str:
        return f"a variable of the type `{self.kind}`"


@dataclass(frozen=True)
class Qubits:
    """Qubits: one alone, or a register."""

    qubits: tuple[str, ...]
    single: bool

    def __str__(self) -> str:
        return "a qubit" if self.single else "a register of qubits"


@dataclass(frozen=True)
class InputArray:
    """An array of parameters."""

    name: str
    size: int

    def __str__(self) -> str:
        return "an array of inputs"


@dataclass(frozen=True)
class StandardGate:
    """A gate of `stdgates.inc`, or `U` or `gphase`."""

    name: str
    angles: int
    qubits: int

    def __str__(self) -> str:
        return "a built-in gate" if self.name in ("U", "gphase") else "a gate of `stdgates.inc`"


@dataclass(frozen=True)
class DefinedGate:
    """A gate that the text defines, and what its body sees."""

    node: sx.GateDefinition
    scope: Scope

    def __str__(self) -> str:
        return "a gate"


@dataclass(frozen=True)
class Routine:
    """A subroutine, and what its body sees."""

    node: sx.Subroutine
    scope: Scope

    def __str__(self) -> str:
        return "a subroutine"


Binding: TypeAlias = (
    Constant | Variable | FloatVariable | Qubits | InputArray | StandardGate | DefinedGate | Routine
)


@dataclass(eq=False)
class Scope:
    """Names of a block, and the block around it.

    Attributes:
        closed: the body of a gate or subroutine: variables and qubits around it are not seen.
    """

    parent: Scope | None = None
    closed: bool = False
    names: dict[str, Binding] = field(default_factory=dict)

    def find(self, name: str) -> Binding | None:
        """What a name stands for here."""
        scope: Scope | None = self
        outside = False
        while scope is not None:
            found = scope.names.get(name)
            if found is not None and not (outside and isinstance(found, Variable | FloatVariable | Qubits)):
                return found
            outside = outside or scope.closed
            scope = scope.parent
        return None

    def declare(self, name: sx.Name, binding: Binding) -> None:
        """Give a name a meaning in this block.

        Raises:
            Fault: it has one in this block.
        """
        known = self.names.get(name.text)
        if known is not None:
            hint = "Choose another name." if isinstance(known, StandardGate) else ""
            raise Fault(f"`{name.text}` is declared already: it is {known}.", name.pos, hint)
        self.names[name.text] = binding

    def unknown(self, name: sx.Name, what: str, kinds: tuple[type, ...]) -> Fault:
        """The error for a name that stands for nothing here."""
        known = [word for word, binding in self.visible() if isinstance(binding, kinds)]
        return Fault(f"{what} `{name.text}` is not declared.", name.pos, did_you_mean(name.text, known))

    def visible(self) -> Iterable[tuple[str, Binding]]:
        """All names and what they stand for."""
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names.items()
            scope = scope.parent

    @property
    def is_global(self) -> bool:
        return self.parent is None


# --- Counters ------------------------------------------------------------------------------------------


class Memory:
    """Gives out counters.

    Args:
        names: all names that are taken.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self.registers: list[Register] = []
        self._free: list[str] = []
        self._work = self._declared = 0
        self._held: list[str] = []

    def declare(self, name: sx.Name, kind: Kind) -> Variable:
        """Return a new variable.

        Raises:
            Fault: a register is too long.
        """
        size = kind.width if kind.name == "bits" else None
        if size is not None and not 1 <= size <= LARGEST_ARRAY:
            raise Fault(f"`{name.text}` has {size} bits; 1 to {LARGEST_ARRAY} are possible.", name.pos)
        self._declared += size or 1
        if self._declared > MOST_COUNTERS:
            raise Fault(f"there are more than {MOST_COUNTERS} classical bits and numbers.", name.pos)
        register = Register(self.local_name(name.text), size, pos=name.pos)
        self.registers.append(register)
        return Variable(kind, register.elements)

    def local_name(self, name: str) -> str:
        """A name of a counter."""
        return self.names.give(name, "c")

    def counter(self, name: str) -> str:
        """Return a new counter."""
        register = Register(self.local_name(name))
        self.registers.append(register)
        return register.name

    def temporary(self) -> str:
        """Return a counter that is free again when the statement at hand is done."""
        name = self._free.pop() if self._free else self.counter("value")
        self._held.append(name)
        return name

    def worked(self, size: int, pos: Position) -> None:
        """Count how many bits are read, and the qubits of aliases: a loop may do so with large registers.

        Raises:
            Fault: it is too much.
        """
        self._work += size
        if self._work > MOST_WORK:
            raise Fault("too many bits are read once all is written out.", pos)

    def mark(self) -> int:
        """Where a statement begins."""
        return len(self._held)

    def release(self, mark: int) -> None:
        """The counters that were given out since then are free."""
        self._free.extend(reversed(self._held[mark:]))
        del self._held[mark:]
