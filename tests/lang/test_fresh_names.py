"""Names that a program does not have."""

from __future__ import annotations

from qdiff.lang.fresh_names import FreshNames, declared_names
from qdiff.lang.text.parser import parse

PROGRAM = parse("qubit: q, d[2] para: t, hit count: c, hit2 gate G[a] = [[1, 0], [0, 1]] H[q]")


def test_names_are_new():
    names = FreshNames(PROGRAM, ["last"])
    assert [names.fresh(base) for base in ("hit", "hit", "d", "G", "new", "new", "last")] == [
        "hit3", "hit4", "d2", "G2", "new", "new2", "last2",
    ]  # fmt: skip


def test_declared_names():
    assert declared_names(PROGRAM) == {"q", "d", "t", "hit", "c", "hit2", "G"}
