"""Read-out errors: what is recorded differs from the outcome, independently for each qubit.

    P(1|0) = p01    P(0|1) = p10        recorded given the outcome

A measurement leaves the qubit as it would without errors. Where a value is stored, its bits are flipped
afterwards; where a condition compares it, measuring again gives the same outcome, so

    M[q] = 0   →   (M[q] = 0 and flip(1 - p01)) or (M[q] = 1 and flip(p10))

is exact. At the end of a run observables change: with L = X, Y or Z measured in its own basis,

    L → (p10 - p01) + (1 - p01 - p10) L,    P1 → p01 + (1 - p01 - p10) P1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.lang.conditions import conjunction, disjunction
from qdiff.lang.element_names import checked_name
from qdiff.lang.expr import ONE, ZERO, Counter, Expr, Number, add, negate, number
from qdiff.lang.noise.channels import probability
from qdiff.lang.observable import Observable, Term, constant
from qdiff.lang.tree import (
    Assign,
    Block,
    Compare,
    Condition,
    Flip,
    Gate,
    If,
    Measured,
    Not,
    Program,
    Statement,
)

ALL = "*"
INTO_Z: Mapping[str, tuple[str, ...]] = {"X": ("H",), "Y": ("Sdg", "H"), "Z": ()}


@dataclass(frozen=True)
class ReadoutErrors:
    """Pairs (p01, p10) by qubit.

    Attributes:
        pairs: (name, p01, p10), sorted by name; the name of a qubit, of an array for its elements, or "*"
            for all others.
    """

    pairs: tuple[tuple[str, float, float], ...] = ()

    def __bool__(self) -> bool:
        return any(p01 or p10 for _, p01, p10 in self.pairs)

    def __str__(self) -> str:
        return "; ".join(f"{name}: {p01!r}, {p10!r}" for name, p01, p10 in self.pairs)

    def of(self, qubit: str) -> tuple[float, float]:
        """Return (P(1|0), P(0|1)) of a qubit."""
        by_name = {name: (p01, p10) for name, p01, p10 in self.pairs}
        for name in (qubit, qubit.partition("[")[0], ALL):
            if name in by_name:
                return by_name[name]
        return 0.0, 0.0

    def noisy(self, qubits: Iterable[str]) -> bool:
        """Whether any of these qubits is read with errors."""
        return any(any(self.of(qubit)) for qubit in qubits)

    def check_names(self, program: Program) -> None:
        """Refuse names that are no qubits of a program.

        Raises:
            QdiffError: names it, and the nearest qubit.
        """
        known = {*program.qubits, *(register.name for register in program.qubit_registers), ALL}
        for name, _, _ in self.pairs:
            if name not in known:
                hint = did_you_mean(name, program.qubits)
                raise QdiffError(
                    f"The noise model has a read-out error of `{name}`, which is not a qubit of the program. "
                    f"Qubits: {listed(program.qubits)}. {hint}".rstrip()
                )

    # --- In the middle of a program ---

    def condition(self, measured: Measured) -> Condition:
        """Return a condition that is true where the recorded value is the one asked for."""
        if not self.noisy(measured.qubits):
            return measured
        bits = [
            self._bit(qubit, measured.value >> i & 1, measured) for i, qubit in enumerate(measured.qubits)
        ]
        if len(bits) == 1:
            return bits[0]
        # All qubits are measured, whatever the first bits are: `A or not A` is true and does that.
        whole = disjunction([measured, Not(measured, pos=measured.pos)], measured.pos)
        return conjunction([whole, *bits], measured.pos)

    def _bit(self, qubit: str, wanted: int, measured: Measured) -> Condition:
        pos, errors = measured.pos, self.of(qubit)
        right, wrong = (Measured((qubit,), bit, pos=pos) for bit in (wanted, 1 - wanted))
        kept: list[Condition] = [right]
        if errors[wanted]:
            kept.append(Flip(_less(errors[wanted]), pos=pos))
        ways = [conjunction(kept, pos)]
        if errors[1 - wanted]:
            ways.append(conjunction([wrong, Flip(number(errors[1 - wanted]), pos=pos)], pos))
        return disjunction(ways, pos)

    def recorded(self, counter: str, qubits: Sequence[str]) -> Iterator[Statement]:
        """Yield what follows `counter := M[qubits]`: flips of the recorded bits."""
        value = Counter(counter)
        for i, qubit in enumerate(qubits):
            weight = Number(1 << i)
            zero: Condition = Measured((qubit,), 0)
            if len(qubits) == 1:
                zero = Compare(value, "=", ZERO)  # the same, without measuring once more
            steps: list[Block] = [(Assign(counter, add(value, s)),) for s in (weight, negate(weight))]
            yield from _flipped(zero, self.of(qubit), steps)

    # --- At the end of a run ---

    def observable(self, observable: Observable) -> Observable:
        """Return the observable whose expectation is the mean of `observable` as it is read."""
        total = Observable()
        for term in observable.terms:
            part = Observable([replace(term, operators=())])
            for qubit, letter in term.operators:
                part = part * self._letter(qubit, letter)
            total = total + part
        return total

    def _letter(self, qubit: str, letter: str) -> Observable:
        p01, p10 = self.of(qubit)
        offset = {"P0": p10, "P1": p01}.get(letter, p10 - p01)
        true = Observable([Term(1 - p01 - p10, operators=((qubit, letter),))])
        return constant(offset) + true

    def read(self, program: Program, qubits: Sequence[str], bases: str = "") -> Program:
        """Return the program after which the qubits are measured in the Z basis, without errors.

        Args:
            bases: one letter X, Y or Z for each qubit, Z for all where it is left out: bit 0 is the
                eigenvalue +1. Bits then differ from outcomes as they do when they are read with errors.
        """
        end: list[Statement] = []
        for qubit, basis in zip(qubits, bases or "Z" * len(qubits), strict=True):
            errors = self.of(qubit)
            flip: Block = (Gate("X", (), (), (qubit,)),)
            end += [Gate(name, (), (), (qubit,)) for name in INTO_Z[basis]]
            if errors[0] == errors[1] != 0:
                end.append(If(Flip(number(errors[0])), flip))
            else:
                end += _flipped(Measured((qubit,), 0), errors, [flip, flip])
        return replace(program, body=(*program.body, *end)) if end else program


def readout_errors(given: object) -> ReadoutErrors:
    """Return read-out errors: a pair (P(1|0), P(0|1)) for all qubits, or a mapping from names to pairs.

    Raises:
        QdiffError: what is no pair of probabilities, a name that is none.
    """
    if given is None:
        return ReadoutErrors()
    if isinstance(given, ReadoutErrors):
        return given
    by_name = given if isinstance(given, Mapping) else {ALL: given}
    return ReadoutErrors(tuple(sorted((_name(name), *_pair(name, pair)) for name, pair in by_name.items())))


def _name(name: object) -> str:
    return ALL if name == ALL else checked_name(name, "qubit")


def _pair(name: object, pair: object) -> tuple[float, float]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise QdiffError(
            f"The read-out error of `{name}` is a pair of probabilities, that a 0 is read as 1 and that a 1 "
            f"is read as 0, such as (0.02, 0.05); got {pair!r}."
        )
    p01, p10 = (probability(p, f"that {bit} of `{name}` is read as {1 - bit}") for bit, p in enumerate(pair))
    return p01, p10


def _flipped(zero: Condition, errors: Sequence[float], changes: Sequence[Block]) -> list[Statement]:
    """What may happen where a bit is 0, and where it is 1; nothing where it cannot."""
    if_zero, if_one = (
        (If(Flip(number(p)), change),) if p else () for p, change in zip(errors, changes, strict=True)
    )
    if if_zero:
        return [If(zero, if_zero, if_one)]
    return [If(Not(zero), if_one)] if if_one else []


def _less(p: float) -> Expr:
    """1 - p: written so, it stays exact."""
    return add(ONE, negate(number(p)))
