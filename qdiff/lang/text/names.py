"""What names may be, and what they stand for while a text is resolved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from qdiff.errors import did_you_mean, listed
from qdiff.lang.channels import is_channel, known_channels
from qdiff.lang.expr import FUNCTIONS, HAZARD, Expr
from qdiff.lang.gates import gate_hint, is_gate
from qdiff.lang.text.syntax import Definition, Fault, Name
from qdiff.lang.tree import GateDeclaration, Register

KEYWORDS = frozenset(
    [
        "qubit", "para", "count", "def", "skip", "abort", "if", "then", "else", "fi", "while", "do", "od",
        "for", "in", "case", "of", "esac", "and", "or", "not", "div", "mod", "flip", "M", "pi", *FUNCTIONS,
        HAZARD,
    ]
)  # fmt: skip
RESERVED = KEYWORDS | frozenset(["H", "CNOT", "X", "Y", "Z", "Rx", "Ry", "Rz"])

LARGEST_ARRAY = 10_000
LARGEST_INTEGER = 2**63 - 1

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def name_problem(name: str) -> str:
    """Why a name cannot be declared, or "" where it can."""
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        return f"`{name}` is not a name: a name is made of ASCII letters, digits and `_`."
    if name in RESERVED or name.startswith("C_"):
        return f"`{name}` is reserved and cannot be declared."
    return ""


def size_problem(register: Register) -> str:
    """Why an array cannot have its size, or "" where it can."""
    if register.size is None or (type(register.size) is int and 1 <= register.size <= LARGEST_ARRAY):
        return ""
    return f"the array `{register.name}` has {register.size} elements; 1 to {LARGEST_ARRAY} are possible."


def plural(number: int, what: str) -> str:
    """A number of things: "1 qubit", "2 qubits"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def outcomes(qubits: int) -> str:
    """What can come out when this many qubits are measured, in words."""
    largest = str(2**qubits - 1) if qubits <= 62 else f"2^{qubits} - 1"
    return f"the outcomes of {plural(qubits, 'qubit')} are 0 .. {largest}"


Kind: TypeAlias = Literal["qubit", "parameter", "counter"]


@dataclass(frozen=True)
class Declared:
    """A declared qubit, parameter or counter, or an array of them."""

    kind: Kind
    register: Register

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """The names of its elements."""
        return self.register.elements

    def __str__(self) -> str:
        array = "" if self.register.size is None else " array"
        return f"the {self.kind}{array} `{self.register.name}`"


@dataclass
class LoopIndex:
    """The index of a `for`; its value is None where the body is only looked at, not unrolled."""

    name: str
    value: int | None
    used: bool = False

    def __str__(self) -> str:
        return f"the loop index `{self.name}`"


@dataclass(frozen=True)
class AngleArgument:
    """What an angle of a procedure stands for in one call, and how many nodes it has."""

    name: str
    value: Expr
    size: int

    def __str__(self) -> str:
        return f"the angle `{self.name}`"


@dataclass(frozen=True)
class QubitArgument:
    """What a qubit of a procedure stands for in one call."""

    name: str
    qubit: str

    def __str__(self) -> str:
        return f"the qubit `{self.name}`"


Local: TypeAlias = LoopIndex | AngleArgument | QubitArgument
Binding: TypeAlias = Declared | Definition | GateDeclaration | Local


def described(binding: Binding) -> str:
    """A binding in words."""
    if isinstance(binding, GateDeclaration):
        return f"the gate `{binding.name}`"
    return f"the procedure `{binding.name.text}`" if isinstance(binding, Definition) else str(binding)


@dataclass
class Scope:
    """The names that are known at a place: those of the program, and those of a procedure or loop."""

    program: dict[str, Declared | Definition | GateDeclaration]
    local: dict[str, Local]

    def find(self, name: str) -> Binding | None:
        """What a name stands for here."""
        return self.local.get(name) or self.program.get(name)

    def inside(self, index: LoopIndex) -> Scope:
        """The scope of a loop's body."""
        return Scope(self.program, {**self.local, index.name: index})

    def named(self, *kinds: str) -> list[str]:
        """The names of some kinds: "qubit", "parameter", "counter", "index", "procedure", "gate"."""
        found = []
        for name, binding in (*self.local.items(), *self.program.items()):
            if _kind(binding) in kinds:
                found.append(name)
        return found

    def undeclared(self, name: Name, what: str, *kinds: str) -> Fault:
        """The error for a name that stands for nothing here."""
        known = self.named(*kinds)
        hint = did_you_mean(name.text, known)
        return Fault(f"{what} `{name.text}` is not declared. Declared: {listed(known)}.", name.pos, hint)


def _kind(binding: Binding) -> str:
    match binding:
        case Declared(kind=kind):
            return kind
        case LoopIndex():
            return "index"
        case AngleArgument():
            return "parameter"
        case QubitArgument():
            return "qubit"
        case Definition():
            return "procedure"
        case GateDeclaration():
            return "gate"


def unknown_gate(name: Name, scope: Scope) -> Fault:
    """The error for a name that is applied and is no gate and no procedure."""
    binding = scope.find(name.text)
    if binding is not None:
        return Fault(f"expected a gate or a procedure, found {described(binding)}.", name.pos)
    channels = [channel for channel in known_channels() if channel[:1] == name.text[:1]]
    words = [*scope.named("procedure", "gate"), *channels, "skip", "abort"]
    hint = did_you_mean(name.text, words) or gate_hint(name.text)
    return Fault(f"there is no gate or procedure `{name.text}`.", name.pos, hint)


def declarable(name: Name, scope: Scope, what: str) -> None:
    """Refuse a name that cannot become a procedure, a gate or a loop index.

    Raises:
        Fault: the name is reserved or taken.
    """
    problem = name_problem(name.text)
    if problem:
        raise Fault(problem, name.pos)
    taken = scope.find(name.text)
    if taken is not None:
        raise Fault(
            f"{what} `{name.text}` has the name of {described(taken)}.", name.pos, "Choose another name."
        )
    if what in ("procedure", "gate") and is_gate(name.text):
        raise Fault(f"{what} `{name.text}` has the name of a gate.", name.pos, "Choose another name.")
    if what in ("procedure", "gate") and is_channel(name.text):
        raise Fault(f"{what} `{name.text}` has the name of a channel.", name.pos, "Choose another name.")
