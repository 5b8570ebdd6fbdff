"""Classical values of circuits against Python's integers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.tree import And, Compare, Condition, Not, Or

widths = st.integers(1, values.WIDEST // 2)


def counters(width: int, a: int, b: int) -> tuple[Whole, Whole, dict[str, int]]:
    """Two integers that nothing knows the value of."""
    return Whole(ex.Counter("a"), width), Whole(ex.Counter("b"), width), {"a": a, "b": b}


def value(whole: Whole, memory: dict[str, int]) -> int:
    found = whole.expr.evaluate({}, memory)
    assert isinstance(found, int)
    return found


def holds(condition: Condition, memory: dict[str, int]) -> bool:
    match condition:
        case Compare(left=left, operator=operator, right=right):
            x, y = left.evaluate({}, memory), right.evaluate({}, memory)
            outcomes = {"=": x == y, "!=": x != y, "<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}
            return outcomes[operator]
        case Not(operand=operand):
            return not holds(operand, memory)
        case And(parts=parts):
            return all(holds(part, memory) for part in parts)
        case Or(parts=parts):
            return any(holds(part, memory) for part in parts)
        case _:
            raise AssertionError(condition)


@given(st.data(), widths)
def test_arithmetic_and_bits(data: st.DataObject, width: int) -> None:
    a, b = (data.draw(st.integers(0, 2**width - 1)) for _ in range(2))
    known = Whole(ex.number(a), width), Whole(ex.number(b), width), dict[str, int]()
    expected: dict[str, Callable[[], int]] = {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "&": lambda: a & b,
        "|": lambda: a | b,
        "^": lambda: a ^ b,
        "<<": lambda: a << min(b, width),
        ">>": lambda: a >> b,
        **({"/": lambda: a // b, "%": lambda: a % b} if b else {}),
    }
    for operator, of in expected.items():
        for x, y, memory in (counters(width, a, b), known):
            if operator in values.BITWISE:
                found = values.bitwise(operator, x, y)
            elif operator in ("<<", ">>"):
                found = values.shifted(operator, x, y)
            else:
                found = values.arithmetic(operator, x, y)
            assert value(found, memory) == of() % 2**width, operator
    x, _, memory = counters(width, a, b)
    assert value(values.inverted(x), memory) == ~a % 2**width
    assert value(values.fitting(x, 3, False), memory) == a % 8
    for place in range(width):
        assert values.bit_of(x.expr, place).evaluate({}, memory) == a >> place & 1


@given(st.integers(2, 40), st.data())
def test_signed_integers_are_twos_complement(width: int, data: st.DataObject) -> None:
    half = 1 << (width - 1)
    a, b = (data.draw(st.integers(-min(half, 2**20), min(half, 2**20) - 1)) for _ in range(2))
    x, y = (Whole(ex.Counter(name), width, True) for name in "ab")
    for operator, exact in (("+", a + b), ("-", a - b), ("*", a * b)):
        found = values.arithmetic(operator, x, y).expr.evaluate({}, {"a": a, "b": b})
        assert found == (exact + half) % (2 * half) - half
    with pytest.raises(QdiffError, match="rounds differently"):
        values.arithmetic("/", x, y)


BITS = {"p": 1, "q": 0}


@st.composite
def truths(draw: st.DrawFn, depth: int = 3) -> tuple[Truth, bool]:
    kind = draw(st.integers(0, 6 if depth else 2))
    match kind:
        case 0:
            name = draw(st.sampled_from(sorted(BITS)))
            return values.of_bit(ex.Counter(name)), bool(BITS[name])
        case 1:
            found = draw(st.booleans())
            return values.truth(found), found
        case 2:
            a, operator = draw(st.integers(0, 3)), draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
            left = ex.add(ex.Counter("p"), ex.number(1))
            outcomes = {"==": a == 2, "!=": a != 2, "<": a > 2, "<=": a >= 2, ">": a < 2, ">=": a <= 2}
            return values.compared(operator, left, ex.number(a)), outcomes[operator]
        case 3:
            one, is_true = draw(truths(depth - 1))
            return values.opposite(one), not is_true
        case 4:
            (one, a), (other, b) = draw(truths(depth - 1)), draw(truths(depth - 1))
            return values.same(one, other), a == b
        case _:
            some = draw(st.lists(truths(depth - 1), min_size=1, max_size=3))
            operator = draw(st.sampled_from(["and", "or"]))
            found = values.joined(operator, [one for one, _ in some])
            return found, (all if operator == "and" else any)(is_true for _, is_true in some)


@given(truths())
def test_truth_values(drawn: tuple[Truth, bool]) -> None:
    found, expected = drawn
    assert holds(found.condition, BITS) == expected
    if found.bit is not None:
        assert found.bit.evaluate({}, BITS) == expected
    if values.known(found) is not None:
        assert values.known(found) == expected


def test_comparisons_hold_no_integer_division() -> None:
    kept: list[ex.Expr] = []

    def keep(expr: ex.Expr) -> ex.Expr:
        kept.append(expr)
        return ex.Counter(f"v{len(kept)}")

    bit = values.bit_of(ex.Counter("a"), 2)
    plain = Compare(ex.Counter("a"), "<", ex.number(3))
    condition = And((Not(Compare(bit, "=", ex.ONE)), plain))
    assert values.settled(condition, keep) == And((Not(Compare(ex.Counter("v1"), "=", ex.ONE)), plain))
    assert kept == [bit]


@pytest.mark.parametrize("width", [0, 63])
def test_widths_that_no_counter_has(width: int) -> None:
    with pytest.raises(QdiffError, match=f"x has {width} bits; counters hold integers of 1 to 62 bits"):
        values.checked_width(width, "x")


def test_bits_of_signed_integers() -> None:
    with pytest.raises(QdiffError, match="`~` is for unsigned integers with a width"):
        values.inverted(Whole(ex.ONE, 8, True))
