"""What a rule replaces: a primitive, which depends on parameters through one argument a(θ, σ).

A gate with one angle, `flip(p)`, or a channel. What a rule needs to know of a primitive besides its
names is its *kind*: for a gate the eigenvalues of the generator G/2 of exp(-i a G/2), whose positive
differences are the frequencies of its channel as a function of a:

    E_a(ρ) = Σ_ω e^{iωa} E_ω(ρ),    ω in {0, ± frequencies}.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.lang.channels import ChannelRecord, channel_record
from qdiff.lang.expr import Expr
from qdiff.lang.gates import GateRecord
from qdiff.lang.source import Position
from qdiff.lang.tree import Channel, Flip, Gate, Program

SAME_FREQUENCY = 1e-12  # relative to the largest

Primitive: TypeAlias = Gate | Flip | Channel


@dataclass(frozen=True, repr=False)
class GateKind:
    """A gate with one angle, under any number of controls.

    Raises:
        QdiffError: it has no angle, or several.
    """

    record: GateRecord
    controls: int = 0

    def __post_init__(self) -> None:
        if len(self.record.angles) == 1:
            return
        parts = ", ".join(f"`{part.gate}`" for part in self.record.parts)
        found = f"several: choose a rule for each of its primitives {parts}" if parts else "none"
        raise QdiffError(f"A rule is for one angle; gate `{self.record.name}` has {found}.")

    def __repr__(self) -> str:
        many = f", {self.controls} controls" if self.controls > 1 else ""
        return f"<gate {self.name}{many}>"

    @property
    def name(self) -> str:
        """As it is written: `Ry`, `C_Ry`."""
        return f"{'C_' * bool(self.controls)}{self.record.name}"

    @cached_property
    def eigenvalues(self) -> NDArray[np.float64]:
        """The distinct eigenvalues of G/2 (of its traceless part without controls), ascending.

        The 0 of switched-off controls is among them.
        """
        if self.record.pauli:  # the matrix of a long string is never built
            found = np.array([-0.5, 0.5])
        elif self.controls or self.record.generator is None:
            found = self.record.spectrum / 2
        else:
            # A multiple of the identity is a phase, and would cost digits.
            generator = self.record.generator
            phase = np.trace(generator).real / len(generator)
            found = np.linalg.eigvalsh(generator - phase * np.eye(len(generator))) / 2
        return _distinct(np.append(found, 0.0) if self.controls else found)

    @cached_property
    def frequencies(self) -> tuple[float, ...]:
        """The distinct positive differences of the eigenvalues, ascending."""
        values = self.eigenvalues
        differences = (values[:, None] - values)[np.tril_indices(len(values), -1)]
        return tuple(_distinct(differences).tolist())


@dataclass(frozen=True, repr=False)
class FlipKind:
    """`flip(p)`."""

    name: str = "flip"

    def __repr__(self) -> str:
        return "<flip>"


@dataclass(frozen=True, repr=False)
class ChannelKind:
    """A channel with one probability."""

    record: ChannelRecord

    def __repr__(self) -> str:
        return f"<channel {self.name}>"

    @property
    def name(self) -> str:
        """As it is written."""
        return self.record.name


Kind: TypeAlias = GateKind | FlipKind | ChannelKind


def kind_of(primitive: Primitive, program: Program) -> Kind:
    """Return what a rule needs to know of a primitive of a program."""
    match primitive:
        case Gate(name=name, controls=controls):
            return gate_kind(program.record(name), len(controls))
        case Flip():
            return FlipKind()
        case Channel(name=name):
            return ChannelKind(channel_record(name))
        case _:
            assert_never(primitive)


@lru_cache(maxsize=1024)
def gate_kind(record: GateRecord, controls: int) -> GateKind:
    """Return one kind for all gates of the same name and number of controls: its spectrum is found once."""
    return GateKind(record, controls)


def primitives_of(statement: Gate | Channel, program: Program) -> tuple[Gate | Channel, ...]:
    """Return the primitives that a statement is, one after the other: `U` is three, `H` is none."""
    if isinstance(statement, Channel):
        return (statement,)
    if not statement.angles:
        return ()
    parts = program.record(statement.name).parts
    if not parts:
        return (statement,)
    return tuple([replace(statement, name=p.gate, angles=(statement.angles[p.angle],)) for p in parts])


def argument(primitive: Primitive) -> Expr:
    """Return the one argument of a primitive: an angle in radians, or a probability."""
    return primitive.angles[0] if isinstance(primitive, Gate) else primitive.probability


def place(primitive: Primitive) -> Position | None:
    """Return where a primitive stands in its text."""
    return primitive.pos or argument(primitive).place()


def _distinct(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.sort(values)
    scale = float(np.abs(values).max(initial=0.0))
    new = np.diff(values, prepend=-np.inf) > SAME_FREQUENCY * scale
    return np.asarray(values[new])
