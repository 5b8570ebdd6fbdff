"""What is kept from call to call: the last few, and which parameters make a key."""

from __future__ import annotations

from qdiff.lang.text.parser import parse
from qdiff.sim.kept import KEPT, compared, keep


def test_the_oldest_goes() -> None:
    cache: dict[int, str] = {}
    assert [keep(cache, i, str(i)) for i in range(KEPT)] == [None] * KEPT
    assert keep(cache, KEPT, "new") == "0"
    assert list(cache) == list(range(1, KEPT + 1))


def test_only_compared_parameters_make_a_key() -> None:
    program = parse("qubit: q para: t, n, m count: c while c < n do Ry(t*m)[q]; c++ od")
    assert compared(program, {"t": 0.1, "n": 3.0, "m": 2.0}) == {"n": 3.0}
