"""Classical expressions of OpenQASM 3 texts against a small interpreter, and against values by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qdiff as qd
from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.interop.qasm3_reader import from_qasm3

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc"; qubit q0; '


def counters(text: str) -> dict[str, int]:
    """Final values of the counters of a program whose runs are all alike."""
    program = from_qasm3(HEAD + text)
    result = qd.sample(program, {}, shots=1, seed=1)
    return {name: int(result.counters[name][0]) for name in program.counters}


# --- An interpreter ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Typed:
    """A value with its type: u or s and a width, `int`, `literal` or `bool`."""

    value: int
    kind: str
    width: int = 0


def fits(value: int, kind: str, width: int) -> bool:
    if kind == "u":
        return 0 <= value < 2**width
    return kind != "s" or -(2 ** (width - 1)) <= value < 2 ** (width - 1)


def wrap(value: int, kind: str, width: int) -> Typed:
    if kind == "u":
        value %= 2**width
    elif kind == "s":
        value = (value + 2 ** (width - 1)) % 2**width - 2 ** (width - 1)
    return Typed(value, kind, width)


def common(a: Typed, b: Typed) -> tuple[str, int]:
    """The type that both sides become."""
    if a.kind == b.kind == "literal":
        return "literal", 0
    for one, other in ((a, b), (b, a)):
        if one.kind == "literal":
            return (other.kind, other.width) if fits(one.value, other.kind, other.width) else ("int", 0)
    if "int" in (a.kind, b.kind):
        return "int", 0
    if a.kind == b.kind:
        return a.kind, max(a.width, b.width)
    unsigned, signed = (a, b) if a.kind == "u" else (b, a)
    return ("s", signed.width) if signed.width > unsigned.width else ("u", unsigned.width)


def as_int(a: Typed) -> Typed:
    return Typed(a.value, "int") if a.kind == "bool" else a


def towards_zero(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": towards_zero,
    "%": lambda a, b: a - b * towards_zero(a, b),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def binary(operator: str, a: Typed, b: Typed) -> Typed | None:
    """The value, or None where there is none to be asked for."""
    if operator in ("&&", "||"):
        pair = (a.value != 0, b.value != 0)
        return Typed(int(all(pair) if operator == "&&" else any(pair)), "bool")
    if operator in "&|^" and "bool" in (a.kind, b.kind):
        if a.kind != b.kind:
            return None
        return Typed(ARITHMETIC[operator](a.value, b.value), "bool")
    if operator in ("<<", ">>"):
        if a.kind != "u" or b.kind not in ("u", "literal") or b.value < 0:
            return None
        return wrap(a.value << b.value if operator == "<<" else a.value >> b.value, "u", a.width)
    a, b = as_int(a), as_int(b)
    kind, width = common(a, b)
    if operator in COMPARISONS:
        a, b = (one if kind in ("int", "literal") else wrap(one.value, kind, width) for one in (a, b))
        return Typed(int(COMPARISONS[operator](a.value, b.value)), "bool")
    if kind in ("u", "s"):
        a, b = wrap(a.value, kind, width), wrap(b.value, kind, width)
    elif operator in "&|^" and kind == "int":
        return None
    if operator in "/%" and b.value == 0:
        return None
    return wrap(ARITHMETIC[operator](a.value, b.value), kind, width)


VARIABLES = {"a": ("u", 3), "b": ("u", 5), "c": ("s", 4), "d": ("s", 6), "n": ("int", 0), "w": ("bool", 0)}
TYPES = {"u": "uint[{}]", "s": "int[{}]", "int": "int", "bool": "bool"}


OPERATORS = [*ARITHMETIC, *ARITHMETIC, "/", "%", *COMPARISONS, "&&", "||", "<<", ">>"]


@st.composite
def expressions(draw: st.DrawFn, values: dict[str, int], depth: int = 4) -> tuple[str, Typed]:
    """The text of an expression over the variables, and what it is."""
    kind = draw(st.sampled_from(["leaf", *["binary"] * 6, "sign", "not", "cast"])) if depth else "leaf"
    if kind == "leaf":
        if draw(st.integers(0, 3)) == 0:
            number = draw(st.integers(0, 9))
            return str(number), Typed(number, "literal")
        name = draw(st.sampled_from(sorted(values)))
        return name, Typed(values[name], *VARIABLES[name])
    text, one = draw(expressions(values, depth - 1))
    if kind == "binary":
        other_text, other = draw(expressions(values, depth - 1))
        operator = draw(st.sampled_from(OPERATORS))
        found = binary(operator, one, other)
        return (text, one) if found is None else (f"({text} {operator} {other_text})", found)
    if kind == "sign":
        whole = as_int(one)
        return f"(-{text})", wrap(-whole.value, whole.kind, whole.width)
    if kind == "not":
        if one.kind in ("u", "s"):
            return f"(~{text})", wrap(~one.value, one.kind, one.width)
        return f"(!{text})", Typed(int(one.value == 0), "bool")
    target = draw(st.sampled_from(["u", "s", "int", "bool"]))
    if target == "bool":
        return f"bool({text})", Typed(int(one.value != 0), "bool")
    width = draw(st.integers(2, 7))
    return f"{TYPES[target].format(width)}({text})", wrap(one.value, target, width)


@settings(max_examples=250, deadline=None)
@given(st.data(), st.booleans())
def test_expressions_against_an_interpreter(data: st.DataObject, constant: bool) -> None:
    values = {
        "a": data.draw(st.integers(0, 7)), "b": data.draw(st.integers(0, 31)),
        "c": data.draw(st.integers(-8, 7)),
        "d": data.draw(st.integers(-32, 31)), "n": data.draw(st.integers(-9, 9)),
        "w": data.draw(st.integers(0, 1)),
    }  # fmt: skip
    text, expected = data.draw(expressions(values))
    assume(abs(expected.value) < 2**60)
    how = "const " if constant else ""
    declared = "".join(
        f"{how}{TYPES[kind].format(width)} {name} = {bool(values[name]) if kind == 'bool' else values[name]};"
        for name, (kind, width) in VARIABLES.items()
    ).replace("True", "true").replace("False", "false")  # fmt: skip
    found = counters(f"{declared} int out = {text}; bool truth = {text};")
    assert (found["out"], found["truth"]) == (expected.value, int(expected.value != 0))


@pytest.mark.parametrize(
    ("declared", "operator", "left", "right", "wrong"),
    [
        ("int a = -7; int b = 2;", "/", Typed(-7, "int"), Typed(2, "int"), -7 // 2),
        ("int a = -7; int b = 2;", "%", Typed(-7, "int"), Typed(2, "int"), -7 % 2),
        ("uint[3] a = 7; uint[3] b = 2;", "+", Typed(7, "u", 3), Typed(2, "u", 3), 9),
        ("int[4] a = 7; int[4] b = 2;", "+", Typed(7, "s", 4), Typed(2, "s", 4), 9),
        ("uint[5] a = 1; int[4] b = -1;", "<", Typed(1, "u", 5), Typed(-1, "s", 4), 0),
        ("uint[3] a = 3; const uint[3] b = 2;", "<<", Typed(3, "u", 3), Typed(2, "u", 3), 12),
    ],
)
def test_the_interpreter_would_notice(
    declared: str, operator: str, left: Typed, right: Typed, wrong: int
) -> None:
    """Other rules give other numbers, so that the comparison above can fail."""
    expected = binary(operator, left, right)
    assert expected is not None
    found = counters(f"{declared} int out = a {operator} b;")["out"]
    assert found == expected.value != wrong


# --- By hand -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int n = 0xff + 0b1_01 + 0o17 + 0XA + 1_000;", {"n": 255 + 5 + 15 + 10 + 1000}),
        ("int n = 2 ** 3 ** 2 - -2 ** 2;", {"n": 512 + 4}),
        ("int n = 1 + 2 << 3 & 7 | 16 ^ 1;", {"n": 17}),
        ("int n = 7 / 2 * 2 + 7 % 4; n -= -7 / 2;", {"n": 9 + 3}),
        ("uint[4] u = 15; u += 1; int n = u; u -= 1; n += u;", {"n": 15, "u": 15}),
        ("int[4] v = 7; v += 1;", {"v": -8}),
        ("int[8] v = -7; int n = v / 2; int m = v % 2; v /= -2;", {"n": -3, "m": -1, "v": 3}),
        ("uint[4] u = 5; u <<= 1; u |= 1; u ^= 15; u &= 6; int n = ~u;", {"u": 4, "n": 11}),
        ("uint[4] u = 9; uint[3] k = 2; int n = u << k; int m = u >> k;", {"n": 4, "m": 2}),
        ("bit[4] b = \"0110\"; b = b << 1; int n = b; b >>= 2; int m = b;", {"n": 12, "m": 3}),
        ("bit[4] b = \"0110\"; b = rotl(b, 3); int n = b; int m = popcount(b);", {"n": 3, "m": 2}),
        ("bit[4] b = \"0110\"; b[3] = 1; b[0:1] = \"01\"; int n = b;", {"n": 13}),
        ("bit[4] b = \"0110\"; let c = b[1:2]; c[0] = 0; int n = b; bit[2] d = c; int m = d;",
         {"n": 4, "m": 2}),
        ("bit[2] a; bit[2] b = \"11\"; let c = a ++ b; int n = c; c = \"0110\"; int m = b;",
         {"n": 12, "m": 1}),
        ("bit[3] b = \"011\"; bit[3] c = ~b & \"110\" | 1; int n = c; bool e = b == \"011\";"
         " bool f = b == c;",
         {"n": 5, "e": 1, "f": 0}),
        ("bit[3] b = \"011\"; bool e = b == 3; bool f = b > 3; int n = int[3](b); b = 6; int m = int[3](b);",
         {"e": 1, "f": 0, "n": 3, "m": -2}),
        ("uint[8] u = 165; int n = u[0]; int m = u[-1]; bit[4] b = u[0:3]; int k = b;"
         " u[4:7] = \"1111\"; u[0] = 0;",
         {"n": 1, "m": 1, "k": 5, "u": 244}),
        ("int[4] v = 5; v[3] = 1; int n = v[-1]; v[0] = 0;", {"v": -4, "n": 1}),
        ("bit b = 1; bool c = !b; int n = b + b; b ^= true;", {"b": 0, "c": 0, "n": 2}),
        ("bit b; int n = 3; b = n == 3; bit c = b && (n > 5 || n < 4) && !false;", {"b": 1, "c": 1}),
        ("int n; int k; bool e = k != 0 && 6 / k > 1; bool f = k == 0 || 6 / k > 1;", {"e": 0, "f": 1}),
        ("const int k = 3; const uint[k + 1] u = 2 ** k; const bit[2] b = u[2:3]; int n = u + b;", {"n": 10}),
        ("const float x0 = 2.7; const int k = int(x0) + int(-x0); const float y0 = floor(x0) + ceiling(x0); "
         "int n = 10 * k + int(y0);", {"n": 5}),
        ("int n = int(mod(17.5, 5)) + mod(17, 5) + mod(-7, 3);", {"n": 2 + 2 - 1}),
        ("int n = 3; int m = n ** 3 + pow(2, 4);", {"m": 43}),
        ("int n = 1; n *= 2 ** 5; n -= 1; n %= 7; n **= 2;", {"n": 9}),
        ("output bit b; output int n; creg c[2]; b = 1; n = 2; c = \"10\"; int m = c;",
         {"b": 1, "n": 2, "m": 2}),
        ("angle[4] al = pi / 8; al += 3 * pi / 4; al *= 2; int n = al / angle[4](pi / 8);"
         " bit[4] b = bit[4](al);"
         " int m = b; bool e = al > pi;", {"n": 14, "m": 14, "e": 1}),
        ("angle[3] al = 2 * pi - 0.1; angle[6] be = -pi / 2; be <<= 1; int n = be / angle[6](pi);"
         " bool e = al == 0;",
         {"n": 1, "e": 1}),
        ("bit[100] b; b[99] = 1; bool e = b == b; bit[100] c = b; c[0:49] = ~c[50:99]; int n = popcount(c);",
         {"e": 1, "n": 50}),
        ("bit[3] b = \"100\"; b[0:1] = b[1:2]; int n = b;", {"n": 6}),
        ("bit[3] b = \"011\"; b = b << 1; int n = b;", {"n": 6}),
    ],
)  # fmt: skip
def test_values(text: str, expected: dict[str, int]) -> None:
    found = counters(text)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uint[4] u = 16;", "`uint[4]` holds 0 to 15, and this is 16."),
        ("int[4] u = -9;", "`int[4]` holds -8 to 7, and this is -9."),
        ("uint u = -1;", "`uint` holds integers from 0, and this is -1."),
        ("uint u; u = u - 1;", "a `uint` without a width may become negative here"),
        ("int n; uint u = n;", "this may be negative, and `uint` has no width"),
        ("int[1] k;", "`int[1]` holds 0 and -1, which is hardly meant."),
        ("int[0] k;", "a size is at least 1, got 0."),
        ("int k; int[k] n;", "a size is a constant."),
        ("bit b = 2;", "a `bit` is 0 or 1."),
        ("bit[2] b = 4;", "`bit[2]` holds 0 to 3, and this is 4."),
        ("bit[2] b = \"011\";", "a register of 3 bits cannot become one of 2."),
        ("bit[2] b; bit[3] c; bool e = b == c;", "registers of 2 and 3 bits are never equal."),
        ("bit[2] b = \"02\";", "a text in quotation marks is a row of bits"),
        ("int n = 0.5;", "a real number becomes an integer only in a cast: `int(…)`."),
        ("input float a; int n = int(a);", "a real number that is not constant cannot become an integer."),
        ("int n; const int k = n;", "the value of a `const` is constant."),
        ("const int k = 1; k = 2;", "`k` is a constant; nothing can be assigned to it."),
        ("input int k; k = 2;", "`k` is an input; nothing can be assigned to it."),
        ("input int k; int n = k + 1;", "an input that is an integer stands in conditions and"),
        ("input int k; rx(k) q0;", "an input that is an integer stands in conditions and"),
        ("int[8] a; a = a & 1.5;", "an integer is expected, and this is a real number."),
        ("int[8] a; a = a << 1.5;", "an integer is expected, and this is a real number."),
        ("uint[2] a; a = \"01\" + 1.5;", "a register of bits is no real number."),
        ("input int k; rx(k & 1) q0;", "stands in conditions and as the last value"),
        ("bit[63] b; switch (b) { case 1 { reset q0; } }", "a register as an integer has 63 bits"),
        ("bit[63] b; for int i in [0:b] { reset q0; }", "a register as an integer has 63 bits"),
        ("q0 = 1;", "`q0` is a qubit; nothing can be assigned to it."),
        ("int n = m;", "the variable `m` is not declared."),
        ("int count; int n = cuont;", "Did you mean `count`?"),
        ("int n = q0;", "`q0` is a qubit, not a value."),
        ("int n = foo(1);", "the function `foo` is not declared."),
        ("int n = sin(1, 2);", "`sin` has 1 argument, got 2."),
        ("int n = 1 / 0;", "`/` by 0 has no value."),
        ("int n = 2 ** 100000;", "the integer is too large."),
        ("int n = 2 ** -1;", "a power of integers has an exponent from 0"),
        ("int n; int m = 1 << n;", "what is shifted has no width: write `uint[8](1)`."),
        ("int n; uint[4] u; u = u << n;", "a shift is by a constant or a `uint[n]`"),
        ("int n; n = n & 1;", "`&` is of integers with a width, such as `uint[8]`."),
        ("int n; bit b = n[0];", "bits belong to integers with a width, such as `uint[8]`."),
        ("bit[2] b; b[2] = 1;", "the index 2 is out of range: 0 to 1."),
        ("bit[2] b; int i; b[i] = 1;", "an index is a constant."),
        ("bit[2] b; b[{0, 0}] = 1;", "an index stands twice."),
        ("bit[2] b; b[1:0] = 1;", "the range is empty."),
        ("bit[2] b; let c = b ++ b[0:0];", "a part of `c` stands in it twice."),
        ("bit[2] b; let c = b ++ q0;", "`let` joins qubits, or else registers of bits."),
        ("int n = 100ns;", "a duration stands only in `delay[…]` and `box[…]`."),
        ("bit b = measure b;", "qubit `b` is not declared."),
        ("qubit[2] r; bit b = measure r;", "a register of qubits is measured into a bit."),
        ("qubit[2] r; bit[3] b = measure r;", "2 qubits are measured into 3 bits."),
        ("float x0 = true ? 1 : 2;", "`?` means nothing here."),
        ("float f; rx(f) q0;", "`f` has no value yet."),
        ("input float a; angle[4] al = a;", "what is not constant cannot become an `angle[4]`"),
        ("int n; if (true) int n = 1; int n;",
         "`n` is declared already: it is a variable of the type `int`."),
    ],
)  # fmt: skip
def test_what_does_not_fit(text: str, message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as error:
        from_qasm3(HEAD + text)
    assert message in str(error.value)
    assert error.value.line == 2


def test_exact_integers_do_not_wrap_in_silence() -> None:
    program = from_qasm3(HEAD + "int n = 9_000_000_000_000_000_000; n += n;")
    with pytest.raises(QdiffError):
        qd.expectation(program, "n")({})
    wide = from_qasm3(HEAD + "int[64] n = 9_000_000_000_000_000_000; n += n;")
    with pytest.raises(QdiffError):
        qd.expectation(wide, "n")({})
