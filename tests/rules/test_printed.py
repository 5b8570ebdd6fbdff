"""Texts of derivatives parse again, or are refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.rules.printed import headed, printed

TWO_GENERATORS = "gate W(a)[p] = exp(-i (a * 0.01*X + 0.003*Z))"
WAYS_OUT = (
    " The program itself is whole: it runs as it is (the attribute `program`), and terms one by one, or a "
    "rule with fewer of them, have shorter texts."
)


def nested(depth: int, condition: str = "c = 0") -> Program:
    return parse(f"qubit: q para: t count: c {f'if {condition} then ' * depth} Ry(t)[q] {'fi ' * depth}")


RENDERINGS: dict[str, Callable[[Program], object]] = {
    "family": lambda p: qd.differentiate(p, "t"),
    "tangent": lambda p: qd.differentiate(p, "t").tangent,
    "second family": lambda p: qd.differentiate(p, ("t", "t")),
    "second tangent": lambda p: qd.differentiate(p, ("t", "t")).tangent,
    "term": lambda p: qd.differentiate(p, "t").terms[0],
    "additive": lambda p: qd.additive(p, "t"),
}


@pytest.mark.parametrize("rendering", RENDERINGS)
def test_a_little_less_nested_than_a_text_may_be(rendering: str) -> None:
    text = str(RENDERINGS[rendering](nested(480)))
    assert isinstance(parse(text), Program)


@pytest.mark.parametrize("rendering", ["family", "tangent", "second family", "second tangent"])
def test_nested_too_deep_for_a_text(rendering: str) -> None:
    made = RENDERINGS[rendering](nested(500))
    with pytest.raises(QdiffError) as error:
        str(made)
    assert str(error.value) == (
        "This derivative has no text that parses again: blocks are nested more than 500 deep." + WAYS_OUT
    )


def test_what_has_no_text_runs() -> None:
    program = nested(500)
    tangent = qd.differentiate(program, "t").tangent
    found = qd.expectation(tangent.program, qd.expectation(program, "Z[q]").observable * tangent.readout)
    slope = found.grad({"t": 0.4, tangent.parameter: 0.0}, wrt=tangent.parameter)
    assert slope == pytest.approx(qd.expectation(program, "Z[q]").grad({"t": 0.4}), abs=1e-12)


def test_second_derivatives_by_many_terms() -> None:
    program = parse(f"qubit: q para: t {TWO_GENERATORS} W(t)[q]")
    tangent = qd.differentiate(program, ("t", "t")).tangent
    text = str(tangent)
    assert len(text) < 200_000
    assert parse(text) == tangent.program


def test_too_large_for_a_text() -> None:
    name = "q" * 2000
    program = parse(f"qubit: {name} para: t Ry(t)[{name}]; X[{name}]")
    turned, flipped = program.body
    derivative = qd.differentiate(replace(program, body=(turned, *[flipped] * 2500)), "t")
    for made in (derivative, derivative.family, derivative.tangent, derivative.terms[0]):
        with pytest.raises(QdiffError) as error:
            str(made)
        assert str(error.value) == (
            "This derivative has no text that parses again: the text is too large: 5.0 MB, where 5 MB is the "
            "limit." + WAYS_OUT
        )


def test_comments_count() -> None:
    text = printed(["# a"], parse("qubit: q X[q]"))
    assert text == "# a\nqubit: q\nX[q]\n"
    assert headed(["# b", "# c"], text) == "# b\n# c\n# a\nqubit: q\nX[q]\n"
    with pytest.raises(QdiffError, match=r"again: the text is too large: 5\.0 MB, where 5 MB is the limit"):
        headed(["#" * 5_000_000], text)
