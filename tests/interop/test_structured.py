"""Loops that are left in the middle."""

from __future__ import annotations

from itertools import count

import pytest

from qdiff.errors import QdiffError
from qdiff.interop.structured import Branch, Item, Leave, Loop, Passes, lowered
from qdiff.lang import expr as ex
from qdiff.lang.printer import block_lines
from qdiff.lang.tree import Assign, Compare, Condition


def add(name: str) -> Assign:
    return Assign(name, ex.add(ex.Counter(name), ex.ONE))


def less(name: str, number: int) -> Condition:
    return Compare(ex.Counter(name), "<", ex.number(number))


def text(items: list[Item]) -> str:
    numbers = count(1)
    return " ".join(line.strip() for line in block_lines(lowered(items, lambda: f"e{next(numbers)}")))


def test_a_loop_that_is_not_left_stays_as_it_is() -> None:
    assert text([Loop(less("a", 3), [add("a")])]) == "while a < 3 do a := a + 1 od"
    assert text([Loop(less("a", 3), [])]) == "while a < 3 do skip od"


def test_what_stands_behind_a_leave_is_left_out() -> None:
    found = text([Loop(less("a", 3), [add("a"), Leave(True), add("b")]), add("c")])
    assert found == "e1 := 0; while e1 != 2 and a < 3 do e1 := 0; a := a + 1; e1 := 2 od; c := c + 1"


def test_a_continued_pass_still_does_its_step() -> None:
    body: list[Item] = [Branch(less("a", 1), [Leave(False)], [add("b")]), add("c")]
    found = text([Loop(less("a", 3), body, before=[add("d")], step=[add("a")])])
    assert found == (
        "e1 := 0; d := d + 1; while e1 != 2 and a < 3 do e1 := 0; if a < 1 then e1 := 1 else b := b + 1 fi; "
        "if e1 = 0 then c := c + 1 fi; if e1 != 2 then a := a + 1; d := d + 1 fi od"
    )


def test_passes_one_after_the_other() -> None:
    body: list[Item] = [Branch(less("a", 1), [Leave(True)]), add("b")]
    assert text([Passes([body, body])]) == (
        "e1 := 0; if a < 1 then e1 := 2 fi; if e1 = 0 then b := b + 1 fi; "
        "if e1 != 2 then e1 := 0; if a < 1 then e1 := 2 fi; if e1 = 0 then b := b + 1 fi fi"
    )
    assert text([Passes([[add("a")], [add("b")]])]) == "a := a + 1; b := b + 1"


def test_a_leave_is_of_the_innermost_loop() -> None:
    inner = Loop(less("b", 3), [Leave(True)])
    found = text([Loop(less("a", 3), [inner, add("a")])])
    assert found == "while a < 3 do e1 := 0; while e1 != 2 and b < 3 do e1 := 0; e1 := 2 od; a := a + 1 od"


@pytest.mark.parametrize(("loop", "word"), [(True, "break"), (False, "continue")])
def test_a_leave_outside_of_loops(loop: bool, word: str) -> None:
    with pytest.raises(QdiffError, match=f"`{word}` stands outside of loops"):
        lowered([Leave(loop)], lambda: "e")


def test_blocks_that_are_nested_too_deep() -> None:
    items: list[Item] = [add("a")]
    for _ in range(600):
        items = [Branch(less("a", 3), items)]
    with pytest.raises(QdiffError, match="blocks are nested more than 500 deep"):
        lowered(items, lambda: "e")
