"""What is proved of counters: true of every value that they have when a program runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from strategies import cases

import qdiff as qd
from qdiff.errors import EvaluationError
from qdiff.interop.explicit import explicit
from qdiff.interop.explicit.bits import bits_needed
from qdiff.interop.explicit.commuting import commuting
from qdiff.interop.explicit.ranges import Ranges
from qdiff.interop.explicit.stores import at_element, at_store
from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.observable import Observable
from qdiff.lang.walk import statements


@given(cases(noise=(), growing=False))
def test_final_values_are_in_their_ranges(case: tuple[tree.Program, Observable, dict[str, float]]) -> None:
    program, _, values = case
    form = explicit(program).program
    ranges = Ranges(form)
    for name in program.counters:
        least, most = ranges.of(ex.Counter(name))
        shots = qd.sample(program, values, shots=50, seed=1)
        found = [value for value in shots.counters[name] if value >= 0 or least < 0]
        assert len(found) == len(shots.counters[name])
        assert all(least <= value <= most for value in found)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("c := M[q, r]", 0, 3),
        ("c := 5; c := -2", -2, 5),
        ("while c < 5 do c++ od", 0, float("inf")),
        ("while M[q] = 1 do c := (c + 1) mod 3 od", 0, 2),
        ("while M[q] = 1 do c := c - 1 od", float("-inf"), 0),
        ("k := M[q, r]; c := 2*k - 1", -1, 5),
    ],
)
def test_ranges(text: str, least: float, most: float) -> None:
    program = explicit(qd.parse(f"qubit: q, r count: c, k {text}")).program
    assert Ranges(program).of(ex.Counter("c")) == (least, most)


def test_values_follow_the_conditions_of_loops() -> None:
    program = qd.parse("qubit: q count: c, k while c < 5 do Ry(c)[q]; c++ od; k := (c - 1) mod 3")
    ranges = Ranges(program)
    (angle,) = next(s.angles for s in statements(program.body) if isinstance(s, tree.Gate))
    assert ranges.stores(angle, angle=True) == [{"c": value} for value in range(5)]
    assert ranges.stores(angle) == [{"c": value} for value in range(6)]  # where it is compared
    divided = next(
        s.value.left for s in statements(program.body) if isinstance(s, tree.Assign) and s.counter == "k"
    )  # type: ignore[union-attr]
    assert ranges.least(divided) == 4


def test_many_values_are_none() -> None:
    program = explicit(qd.parse("qubit: q count: c while M[q] = 1 do c++; Ry(c)[q] od")).program
    angle = next(s.angles[0] for s in statements(program.body) if isinstance(s, tree.Gate))
    assert Ranges(program).stores(angle, angle=True) is None


def test_bits() -> None:
    needed, more = bits_needed(
        qd.parse(
            "qubit: q, r count: a, b, c, d, e a := M[q, r]; a := 9; b := M[q]; c := b; d := -1; e := 2 + 1"
        )
    )
    assert needed == {"a": 4, "b": 1, "c": 1, "d": 1, "e": 2}
    assert sorted(more) == ["c", "d"]


def test_expressions_where_counters_are_known() -> None:
    program = qd.parse("qubit: q para: w[3], t count: c Ry(t*c + w[c + 1]^2)[q]")
    (gate,) = program.body
    assert isinstance(gate, tree.Gate)
    assert str(at_store(gate.angles[0], {"c": 1})) == "t + w[2]^2"
    with pytest.raises(EvaluationError, match=r"the index of `w\[c \+ 1\]` is 3, outside 0 \.\. 2"):
        at_store(gate.angles[0], {"c": 2})
    element = next(node for node in gate.angles[0].walk() if isinstance(node, ex.ParameterElement))
    assert str(at_element(gate.angles[0], element, 0)) == "t*c + w[0]^2"


def test_commuting_words() -> None:
    assert commuting(((1.0, "XX"), (1.0, "ZZ"), (0.5, "YY"), (2.0, "II")))
    assert not commuting(((1.0, "XI"), (1.0, "ZZ")))
