"""Comparisons brought to integers: true for the same values of counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qdiff as qd
from qdiff.interop.explicit import Inexpressible
from qdiff.interop.explicit.ranges import Ranges
from qdiff.interop.qiskit_writer.relations import Relation, relation
from qdiff.lang import tree
from qdiff.lang.running import COMPARE
from qdiff.lang.walk import all_conditions

SMALL = "qubit: q para: n count: c, k c := M[q]; k := M[q]; "
WIDE = "qubit: q para: n count: c, k while M[q] = 1 do c := c + 1; k := k - 1 od; "


def compared(head: str, text: str) -> tuple[tree.Compare, Ranges]:
    """A comparison behind statements that say what its counters may be."""
    program = qd.parse(f"{head} if {text} then X[q] fi")
    found = [part for part in all_conditions(program.body) if isinstance(part, tree.Compare)][-1]
    return found, Ranges(program)


def holds(found: Relation | tree.Condition | bool, store: dict[str, int]) -> bool:
    """Whether what a comparison became is true."""
    match found:
        case bool():
            return found
        case (
            Relation(left=left, operator=operator, right=right)
            | tree.Compare(left=left, operator=operator, right=right)
        ):
            return bool(COMPARE[operator](left.evaluate({}, store), right.evaluate({}, store)))
        case tree.And(parts=parts):
            return all(holds(part, store) for part in parts)
        case tree.Or(parts=parts):
            return any(holds(part, store) for part in parts)
        case _:
            raise AssertionError(found)


sides = st.sampled_from(
    [
        "c",
        "2*c",
        "0.5*c",
        "c - k",
        "-c",
        "3 - c",
        "0.1*c",
        "c/3",
        "c*n",
        "0.5*c + k",
        "2*c + k + 1",
        "c*k",
        "k + n",
    ]
)
others = st.sampled_from(
    ["0", "1", "2", "-1", "1.5", "-2.5", "n", "n/3", "pi", "0.3", "k + 1", "sqrt(2)", "-k"]
)
values = st.sampled_from([0.0, 1.0, -2.0, 0.7, 3.0])


@given(sides, st.sampled_from(tree.OPERATORS), others, values, st.booleans())
def test_relations_are_the_comparisons(left: str, operator: str, right: str, n: float, turned: bool) -> None:
    text = f"{right} {operator} {left}" if turned else f"{left} {operator} {right}"
    for head, cs, ks in ((SMALL, range(2), range(2)), (WIDE, range(12), range(-12, 1))):
        compare, ranges = compared(head, text)
        try:
            found = relation(compare, ranges, {"n": n})
        except Inexpressible:
            assert head == WIDE
            continue
        for c in cs:
            for k in ks:
                store = {"c": c, "k": k}
                sizes = [side.evaluate({"n": n}, store) for side in (compare.left, compare.right)]
                assert holds(found, store) == COMPARE[operator](*sizes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c < 2.5", "c < 3"),
        ("c <= 2.5", "c < 3"),
        ("c <= 2", "c <= 2"),
        ("2*c >= 5", "c >= 3"),
        ("-c < -1.5", "c >= 2"),
        ("c = 3", "c = 3"),
        ("0.5*c = 2", "c = 4"),
        ("2*c = 3", "False"),
        ("2*c != 3", "True"),
        ("c >= 0", "True"),
        ("c < 0", "False"),
        ("k > 0.5", "False"),
        ("0.5*c < k + 1", "c < 2*k + 2"),
        ("0.1*c <= 0.3", "c < 3"),  # 0.1*3 is a little more than 0.3
        ("1 < 2", "True"),
    ],
)
def test_relations_are_simple(text: str, expected: str) -> None:
    found = relation(*compared(WIDE, text), {})
    shown = f"{found.left} {found.operator} {found.right}" if isinstance(found, Relation) else str(found)
    assert shown == expected


def test_few_values_are_enumerated() -> None:
    found = relation(*compared(SMALL, "sin(c) < cos(2*k)"), {})
    assert isinstance(found, tree.Or)
    assert [holds(found, {"c": c, "k": k}) for c in range(2) for k in range(2)] == [True, False, True, False]


def test_what_cannot_be_brought_to_integers_is_refused() -> None:
    with pytest.raises(
        Inexpressible, match=r"`sin\(c\) < 0\.5` cannot be brought to integers, and `c` may have"
    ):
        relation(*compared(WIDE, "sin(c) < 0.5"), {})
    with pytest.raises(Inexpressible, match=r"the parameter `n` is compared, so it needs a value"):
        relation(*compared(WIDE, "c < n"), {})


def test_a_broken_relation_is_told_apart() -> None:
    found = relation(*compared(WIDE, "c < 4"), {})
    assert isinstance(found, Relation)
    assert not holds(found, {"c": 4})
    assert holds(Relation(found.left, "<=", found.right), {"c": 4})
