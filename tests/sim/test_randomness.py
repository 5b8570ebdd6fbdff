"""What of a program is random, in words."""

from __future__ import annotations

import pytest

from qdiff.lang.text.parser import parse
from qdiff.sim.randomness import what_is_inseparable, what_is_random


@pytest.mark.parametrize(
    ("body", "random"),
    [
        ("Ry(t)[q];\nc := 1;\nwhile c < 3 do c++ od", ""),
        ("H[q];\nq := |0>", "a reset (line 2)"),
        ("H[q];\nif c = 0 and\nflip(0.5) then X[q] fi", "a flip (line 3)"),
        ("while not M[q] = 1 do H[q] od", "a measurement (line 1)"),
        ("c := M[q]", "a measurement (line 1)"),
        ("H[q];\ndephase(t)[q]; q := |0>", "the channel `dephase` (line 2)"),
        ("if c = 0 then\n case M[q] of 0: skip esac fi", "a measurement (line 2)"),
    ],
)
def test_what_is_random(body: str, random: str) -> None:
    assert what_is_random(parse(f"qubit: q para: t count: c {body}")) == random


@pytest.mark.parametrize(
    ("body", "inseparable"),
    [
        ("dephase(t)[q]; depolarize(t)[q]", ""),
        (
            "dephase(t)[q];\nif c < 1 then damp(0.1)[q] fi",
            "the channel `damp` (line 2), which is no mixture of gates and resets",
        ),
    ],
)
def test_what_is_inseparable(body: str, inseparable: str) -> None:
    assert what_is_inseparable(parse(f"qubit: q para: t count: c {body}")) == inseparable
