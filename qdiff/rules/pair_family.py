"""The family rendering of a second derivative: one program with the integer inputs (k, j, l, i)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qdiff.errors import QdiffError
from qdiff.lang.expr import ONE, ZERO, number
from qdiff.lang.observable import count
from qdiff.lang.tree import And, Assign, Block, Condition, If, Program, Statement
from qdiff.rules.pairs import Choice, Choices, PairSite, run
from qdiff.rules.printed import printed
from qdiff.rules.recording import Recorder
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.statements import compare, count_down, started
from qdiff.rules.weights import Case, Weighted, Weights
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class PairFamily(Weighted):
    """All programs of a second derivative as one.

    Attributes:
        program: without inputs it does what the original does.
        inputs: the counters (k, j, l, i): which occurrence is replaced for θ_a, by which choice, which
            for θ_b, by which choice; k = l replaces one occurrence for both, by choice j, and i = 0.
        most_terms: the largest number of choices at a site: for θ_a, for θ_b, and for both at once.
    """

    program: Program = field(repr=False)
    inputs: tuple[str, str, str, str]
    most_terms: tuple[int, int, int]
    _weights: Weights = field(repr=False)

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
        # Without any choice the number 0 changes nothing.
        first, second, both = (max(most - 1, 0) for most in self.most_terms)
        most = (both, 0) if k == l else (first, second)
        if min(k, l) < 1 or not (0 <= j <= most[0] and 0 <= i <= most[1]):
            raise QdiffError(
                f"Occurrences are numbered from 1 and choices from 0, j up to {first} and i up to {second}; "
                f"one occurrence that is replaced for both parameters (k = l) has j up to {both} and i = 0. "
                f"Got (k, j, l, i) = {(k, j, l, i)}."
            )
        return started(self.program, dict(zip(self.inputs, (k, j, l, i), strict=True)))

    def __str__(self) -> str:
        k, j, l, i = self.inputs  # noqa: E741
        head = [
            f"# Inputs: begin with `{k} := …; {j} := …; {l} := …; {i} := …;`, {k}, {l}: which occurrence is "
            "replaced for the",
            f"# first and for the second parameter, from 1; {j}, {i}: how, from 0; "
            f"{k} = {l}: one for both, with {i} = 0.",
        ]
        return printed([*head, *self._weights.lines()], self.program)


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

    def cases(table: Sequence[Sequence[Choice]], side: int, same: int) -> tuple[Case, ...]:
        site, choice, over = named[side], inputs[2 * side + 1], records[side].over
        return tuple(
            [
                Case(
                    ((site, s), (choice, c), (same_one, same)),
                    over(chosen.coefficient),
                    line=pairs[s - 1].site.line,
                )
                for s, some in enumerate(table, 1)
                for c, chosen in enumerate(some)
            ]
        )

    first, second = [some.first for some in choices], [some.second for some in choices]
    both = [some.both for some in choices]
    ways = ((cases(first, 0, 0), cases(second, 1, 0)), (cases(both, 0, 1),))
    weights = Weights(made, count(signs[0]) * count(signs[1]), ways)
    most_first, most_second, most_both = (max(map(len, table), default=0) for table in (first, second, both))
    return PairFamily(made, (k, j, l, i), (most_first, most_second, most_both), weights)
