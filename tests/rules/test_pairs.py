"""All ways to replace one site, for two parameters."""

from __future__ import annotations

import pytest

from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Assign
from qdiff.rules.derivative import differentiate
from qdiff.rules.pairs import Choices, PairSite, run
from qdiff.rules.workspace import Workspace


def pair_at(angle: str, rule: str = "two-term") -> PairSite:
    (pair,) = differentiate(parse(f"qubit: q para: t, u count: c Ry({angle})[q]"), ("t", "u"), rule).sites
    return pair


@pytest.mark.parametrize(
    ("angle", "first", "second", "both"),
    [
        # dE/da = ½[E(a + π/2) - E(a - π/2)], d²E/da² = ½[E(a + π) - E(a)].
        ("t", ["1/2", "-1/2"], [], []),
        ("3*u", [], ["1/2*3", "-1/2*3"], []),
        ("t + u", ["1/2", "-1/2"], ["1/2", "-1/2"], ["1/2", "-1/2"]),
        ("t*c + u", ["1/2*c", "-1/2*c"], ["1/2", "-1/2"], ["1/2*c", "-1/2*c"]),
        ("t*u", ["1/2*u", "-1/2*u"], ["1/2*t", "-1/2*t"], ["1/2*u*t", "-1/2*u*t", "1/2", "-1/2"]),
        ("t - t + u", [], ["1/2", "-1/2"], []),
    ],
)
def test_choices(angle: str, first: list[str], second: list[str], both: list[str]) -> None:
    some = Choices.at(pair_at(angle), Workspace(parse("qubit: q skip")))
    found = [sorted(str(choice.coefficient) for choice in of) for of in (some.first, some.second, some.both)]
    assert found == [sorted(first), sorted(second), sorted(both)]
    assert some.read == (frozenset("c") if "c" in angle else frozenset())


def test_signs_are_kept() -> None:
    """A block without a sign leaves 1 in every counter, one with a sign leaves it in the first."""
    workspace = Workspace(parse("qubit: q skip"))
    for rule, kept in (("two-term", "1"), ("hadamard", workspace.hit)):
        choice = Choices.at(pair_at("t + u", rule), workspace).first[0]
        *block, one, other = run(choice, workspace, "a", "b")
        assert tuple(block) == choice.term.block
        assert isinstance(one, Assign)
        assert isinstance(other, Assign)
        assert [(s.counter, str(s.value)) for s in (one, other)] == [("a", kept), ("b", "1")]
