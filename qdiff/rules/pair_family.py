"""The family rendering of a second derivative: one program with the integer inputs (k, j, l, i)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qdiff.errors import QdiffError
from qdiff.lang.expr import ONE, ZERO, Expr, number
from qdiff.lang.observable import Observable
from qdiff.lang.tree import And, Assign, Block, Condition, If, Program, Statement
from qdiff.rules.pairs import Choice, Choices, PairSite, run
from qdiff.rules.printed import printed
from qdiff.rules.recording import Recorder
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.statements import compare, count_down, started
from qdiff.rules.weights import Case, Weights
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class PairFamily:
    """All programs of a second derivative as one.

    Attributes:
        program: without inputs it does what the original does.
        inputs: the counters (k, j, l, i): which occurrence is replaced for θ_a, by which choice, which
            for θ_b, by which choice; k = l replaces one occurrence for both, by choice j, and i = 0.
        first, second, both: coefficients for each site and choice, over parameters and recorded counters.
        recorded_sites: the counters that name the site replaced for θ_a and for θ_b (0: none).
        hits: the counters of the two signs.
        same: the counter that is 1 where one occurrence was replaced for both.
    """

    program: Program
    inputs: tuple[str, str, str, str]
    first: tuple[tuple[Expr, ...], ...]
    second: tuple[tuple[Expr, ...], ...]
    both: tuple[tuple[Expr, ...], ...]
    recorded_sites: tuple[str, str]
    hits: tuple[str, str]
    same: str

    def at(self, k: int, j: int, l: int, i: int = 0) -> Program:  # noqa: E741 (the formula's letters)
        """Return one member as a program without inputs.

        Args:
            k, l: which occurrence is replaced for θ_a and for θ_b, from 1; k = l is one for both.
            j, i: by which choice, from 0; i = 0 where k = l.

        Raises:
            QdiffError: a number out of range; there may be fewer occurrences in a run.
        """
        if not all(type(number_given) is int for number_given in (k, j, l, i)):
            raise QdiffError(f"Occurrences and choices are integers, got (k, j, l, i) = {(k, j, l, i)}.")
        first, second, both = (_last(table) for table in (self.first, self.second, self.both))
        most = (both, 0) if k == l else (first, second)
        if min(k, l) < 1 or not (0 <= j <= most[0] and 0 <= i <= most[1]):
            raise QdiffError(
                f"Occurrences are numbered from 1 and choices from 0, j up to {first} and i up to {second}; "
                f"one occurrence that is replaced for both parameters (k = l) has j up to {both} and i = 0. "
                f"Got (k, j, l, i) = {(k, j, l, i)}."
            )
        return started(self.program, dict(zip(self.inputs, (k, j, l, i), strict=True)))

    def readout(self, params: object = None) -> Observable:
        """Return the factor of the observable: the coefficients, or 0 on runs that missed one of the two.

        Args:
            params: the value of every parameter, in any form that an expectation takes; None where no
                coefficient depends on one.

        Raises:
            ParameterError: a value is missing, or is none.
            EvaluationError: a coefficient without a value, such as the slope of `sqrt` at 0.
        """
        return self.weights(params)

    @property
    def weights(self) -> Weights:
        """What a run counts: c_j ∂a_k/∂θ_a · c_i ∂a_l/∂θ_b, or the coefficient of one occurrence for both."""
        _, j, _, i = self.inputs
        one, other = self.recorded_sites
        first = _cases(self.first, one, j, (self.same, 0))
        second = _cases(self.second, other, i)
        both = _cases(self.both, one, j, (self.same, 1))
        return Weights(self.program, self.hits, ((first, second), (both,)))

    def __str__(self) -> str:
        k, j, l, i = self.inputs  # noqa: E741
        head = [
            f"# Inputs: start values of {k}, {j} (which occurrence is replaced for the first parameter, and "
            f"how) and {l}, {i} (for the second).",
            f"# A run counts {self.hits[0]} * {self.hits[1]} * observable * coefficients (0 where one was "
            "not reached):",
        ]
        for title, table in (
            ("first", self.first),
            ("second", self.second),
            (f"both ({k} = {l})", self.both),
        ):
            head += [
                f"# {title}, site {s}, choice {c}: {coefficient}"
                for s, some in enumerate(table, 1)
                for c, coefficient in enumerate(some)
            ]
        return printed(head, self.program)


def pair_family(program: Program, pairs: Sequence[PairSite]) -> PairFamily:
    """Return the family of some sites; they are in printed order."""
    workspace = Workspace(program)
    inputs = tuple([workspace.counter(name) for name in ("k", "j", "l", "i")])
    k, j, l, i = inputs  # noqa: E741
    signs = workspace.counter("hit_k"), workspace.counter("hit_l")
    named = workspace.counter("site_k"), workspace.counter("site_l")
    same_one = workspace.counter("same")
    choices = [Choices.at(pair, workspace) for pair in pairs]
    records = Recorder(workspace, "at_k"), Recorder(workspace, "at_l")

    def noted(at: int, *sides: int) -> list[Statement]:
        out: list[Statement] = []
        for side in sides:
            out += [Assign(inputs[2 * side], ZERO), Assign(named[side], number(at + 1))]
            out += records[side].noted(choices[at].read)
        return out

    def picked(of: Sequence[Choice], which: str, *kept: str) -> list[Statement]:
        return [If(compare(which, "=", c), run(x, workspace, *kept)) for c, x in enumerate(of)]

    def members(site: Site, same: Block) -> Block:
        at = site.number - 1
        some = choices[at]
        is_k, is_l = compare(k, "=", 1), compare(l, "=", 1)
        twice = (*noted(at, 0, 1), Assign(same_one, ONE), *picked(some.both, j, *signs))
        first = (count_down(l), *noted(at, 0), *picked(some.first, j, signs[0]))
        second = (count_down(k), *noted(at, 1), *picked(some.second, i, signs[1]))
        neither = (count_down(k), count_down(l), *same)
        both: Condition = And((is_k, is_l))
        return (If(both, twice, (If(is_k, first, (If(is_l, second, neither),)),)),)

    made = replaced_at(program, [pair.site for pair in pairs], members, workspace)

    def table(side: int, of: Callable[[Choices], tuple[Choice, ...]]) -> tuple[tuple[Expr, ...], ...]:
        return tuple([tuple([records[side].over(c.coefficient) for c in of(some)]) for some in choices])

    return PairFamily(
        made,
        (k, j, l, i),
        table(0, lambda some: some.first),
        table(1, lambda some: some.second),
        table(0, lambda some: some.both),
        named,
        signs,
        same_one,
    )


def _last(table: Sequence[Sequence[Expr]]) -> int:
    """The last choice there is at some site; 0 where there is none, which changes nothing."""
    return max([0, *(len(some) - 1 for some in table)])


def _cases(
    table: Sequence[Sequence[Expr]], site: str, choice: str, *where: tuple[str, int]
) -> tuple[Case, ...]:
    """The cases of a table: coefficients for each site, from 1, and choice, from 0."""
    return tuple(
        [
            Case(((site, s), (choice, c), *where), coefficient)
            for s, some in enumerate(table, 1)
            for c, coefficient in enumerate(some)
        ]
    )
