"""Names of other languages as names of this one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.interop.names import Names, ascii_name
from qdiff.lang.origin import Origin
from qdiff.lang.text.names import name_problem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("t", "t"),
        ("θ", "theta"),
        ("Ω", "Omega"),
        ("ϕ₁", "phi1"),
        ("ς", "sigma"),
        ("é", "e"),
        ("a-b", "a_b"),
        ("a  b", "a_b"),
        ("w[10]", "w_10"),
        ("a_", "a_"),
        ("_loop_i_0", "_loop_i_0"),
        ("日本", "x"),
        ("", "x"),
        ("7", "x7"),
        ("if", "if_"),
        ("C_x", "c_x"),
        ("X", "X_"),
        ("🜨q", "_q"),
        ("__", "x"),
    ],
)
def test_close_identifiers(name: str, expected: str) -> None:
    assert ascii_name(name, "x") == expected


@given(st.lists(st.text(max_size=6), max_size=12, unique=True))
def test_any_names_become_different_identifiers(given_names: list[str]) -> None:
    names = Names()
    found = [names.give_parameter(name, "x") for name in given_names]
    assert len(set(found)) == len(found)
    assert not any(map(name_problem, found))
    origin = Origin("a test", names.aliases)
    assert [origin.name(name) for name in given_names] == found
