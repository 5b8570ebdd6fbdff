"""Sites: errors that say where a rule does not apply, and other statements in the place of sites."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qdiff.errors import ParameterError, QdiffError
from qdiff.lang.expr import Counter, Parameter
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Block, Compare, If, Program, Skip
from qdiff.rules.additive import additive
from qdiff.rules.derivative import differentiate
from qdiff.rules.finding import Finder
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.workspace import Workspace

CONTROLLED = "qubit: q, r\npara: t\nwhile M[q] = 0 do\n    Ry(t)[q]; C_Ry(2*t)[q][r]\nod\n"
WHY = (
    "he rule `hadamard` does not apply to `C_Ry`: it has controls, so that its generator does not square to "
    "the identity. Rules that do: four-term-paper, equidistant, least-l1, riesz, commutator."
)


@pytest.mark.parametrize("wrt", ["t", ("t", "t")])
def test_a_rule_that_does_not_apply_somewhere(wrt: str) -> None:
    program = parse(CONTROLLED, "walk.qprog")
    with pytest.raises(QdiffError) as error:
        differentiate(program, wrt, "hadamard")
    assert str(error.value) == (
        f"walk.qprog:4:15: t{WHY}\n    Ry(t)[q]; C_Ry(2*t)[q][r]\n              ^^^^^^^^^^^^^^^"
    )
    with pytest.raises(QdiffError) as error:
        differentiate(replace(program, source=None), wrt, "hadamard")
    assert str(error.value) == f"T{WHY}"


def test_a_part_of_a_gate_that_a_rule_does_not_apply_to() -> None:
    program = parse("qubit: q para: t, u Ry(t)[q]; U(t, t, u)[q]")
    with pytest.raises(QdiffError) as error:
        differentiate(program, "t", "hadamard")
    message, *_ = str(error.value).split("\n")
    assert message.endswith(
        "the rule `hadamard` does not apply to `P`: its generator does not square to the identity. Rules "
        "that do: two-term, four-term-paper, equidistant, least-l1, riesz, commutator. `P` is a part of "
        "`U(t, t, u)[q]`."
    )


def test_a_compared_parameter_of_a_program_without_a_text() -> None:
    program = parse("qubit: q para: t, n count: c\nif c < n then Ry(t)[q] fi")
    with pytest.raises(ParameterError, match=r"^`n` occurs in a comparison \(line 2\), where the objective"):
        differentiate(program, "n")
    bare = replace(program, body=(If(Compare(Counter("c"), "<", Parameter("n")), program.body[0].then),))
    with pytest.raises(ParameterError, match=r"^`n` occurs in a comparison, where the objective may jump"):
        differentiate(bare, "n")


def test_no_rule_for_a_gate_of_an_additive_derivative() -> None:
    text = "qubit: q, r para: t\ngate G(a)[x, y] = exp(-i a/2 * (X Z + 0.00000000002*Z Y))\nG(t)[q, r]"
    with pytest.raises(QdiffError, match=r"^walk\.qprog:3:1: the rule `shift` does not apply to `G`: "):
        additive(parse(text, "walk.qprog"), "t")


def test_a_parameter_that_cancels_occurs_nowhere() -> None:
    program = parse("qubit: q para: t Ry(t - t)[q]; Rx(0*t + 1)[q]; if flip(t/t) then Ry(2*t - 0.5)[q] fi")
    (site,) = differentiate(program, "t").sites
    assert (site.number, str(site.argument), str(site.slope)) == (1, "2*t - 0.5", "2")
    for angle in ("t - t", "0*t + 1", "sin(t)^2 + cos(t)^2", "1"):
        nowhere = differentiate(parse(f"qubit: q para: t Ry({angle})[q]"), "t")
        assert (nowhere.sites, nowhere.terms) == ((), ())
        assert str(nowhere) == (
            "# d/dt by shift: exactly zero, no angle or probability depends on t\nqubit: q\npara: t\nabort\n"
        )


def removed(program: Program, sites: tuple[Site, ...], numbers: set[int]) -> Program:
    def put(site: Site, same: Block) -> Block:
        return (Skip(),) if site.number in numbers else same

    return replaced_at(program, sites, put, Workspace(program))


def test_statements_in_the_place_of_sites() -> None:
    """`U` is three primitives; what does not depend on the parameter stays, equal or not."""
    program = parse("qubit: q para: t, u Ry(t)[q]; Ry(u)[q]; U(u, t, 2*t)[q]; Rx(t)[q]")
    sites = Finder(program, ("t",)).sites()
    assert [str(site) for site in sites] == [
        "line 1: Ry(t)[q] by two-term",
        "line 1: P(2*t)[q] by two-term",
        "line 1: P(t)[q] by two-term",
        "line 1: Rx(t)[q] by two-term",
    ]
    left = removed(program, sites, {1, 3}).body
    expected = parse("qubit: q para: t, u skip; Ry(u)[q]; P(2*t)[q]; Ry(u)[q]; skip; Rx(t)[q]").body
    assert left == expected


def test_sites_of_another_program_are_refused() -> None:
    program, other = parse("qubit: q para: t Ry(t)[q]"), parse("qubit: q para: t Ry(t)[q]")
    with pytest.raises(AssertionError, match="the sites are those of this program"):
        removed(program, Finder(other, ("t",)).sites(), set())
