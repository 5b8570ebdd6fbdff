"""Control flow of OpenQASM 3 texts against programs written by hand, and against what runs give."""

from __future__ import annotations

import pytest
from helpers import assert_close

import qdiff as qd
from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.interop.qasm3_reader import from_qasm3

HEAD = 'OPENQASM 3.1; include "stdgates.inc";\n'


def counters(text: str) -> dict[str, int]:
    """Final values of the counters of a program whose runs are all alike."""
    program = from_qasm3(HEAD + "qubit q;" + text)
    result = qd.sample(program, {}, shots=3, seed=1)
    found = {}
    for name in program.counters:
        values = {int(value) for value in result.counters[name]}
        assert len(values) == 1, (name, values)
        found[name] = values.pop()
    return found


def same(text: str, other: str, observables: list[str], params: dict[str, float] | None = None) -> None:
    """Assert that a text means what a program of this language does."""
    program, expected = from_qasm3(HEAD + text), qd.parse(other)
    for observable in observables:
        one, two = (qd.expectation(p, observable)(params or {}) for p in (program, expected))
        assert_close(one, two)


def test_a_loop_until_success() -> None:
    text = """
        input float[64] a;
        qubit q; qubit r; int c;
        bit flag;
        ry(a) q;
        while (!flag) { ctrl @ ry(a / 2) q, r; flag = measure r; c += 1; if (c == 7) break; }
        if (flag && c > 2) x q; else { h q; }
    """
    other = """
        qubit: q, r para: a count: c, f, e
        Ry(a)[q];
        while f = 0 and e = 0 do
            C_Ry(a/2)[q][r]; f := M[r]; c := c + 1;
            if c = 7 then e := 1 fi
        od;
        if f = 1 and c > 2 then X[q] else H[q] fi
    """
    same(text, other, ["c", "Z[q]", "c * Z[r]", "1"], {"a": 1.1})


def test_gradients_come_with_it() -> None:
    text = "input angle[32] θ; qubit q; bit c; while (c == 0) { ry(θ) q; c = measure q; } x q;"
    f = qd.expectation(from_qasm3(HEAD + text), "Z[q]")
    assert_close(f({"θ": 0.7}), 1)
    assert_close(f.grad({"theta": 0.7}), [0])
    program = from_qasm3(HEAD + "input angle[32] θ; qubit q; int n; bit c;"
                         "while (!c) { ry(θ) q; c = measure q; reset q; n += 1; }")  # fmt: skip
    g = qd.expectation(program, "n")
    # n has the mean 1/p with p = sin²(θ/2).
    import math

    p, slope = math.sin(0.35) ** 2, math.sin(0.35) * math.cos(0.35)
    assert_close(g({"θ": 0.7}), 1 / p)
    assert_close(g.grad({"θ": 0.7}), [-slope / p**2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int n; for int i in [0:4] { n += i; }", {"n": 10}),
        ("int n; for int i in [4:-2:-1] { n = 10 * n + i; }", {"n": 420}),
        ("int n; for int i in [3:1] { n += 1; }", {"n": 0}),
        ("int n; for uint[3] i in {1, 5, 2} n = 10 * n + i;", {"n": 152}),
        ("int n; for int i in [1:9] { if (i == 3) continue; if (i == 6) break; n += i; }",
         {"n": 1 + 2 + 4 + 5}),
        ("int n; for int i in [1:3] { i = 2 * i; n += i; }", {"n": 12}),
        ("int n; for int i in [1:3] for int j in [i:3] { if (j == 2) continue; n = 10 * n + i * j; }",
         {"n": 1369}),
        ("int n; for int i in [1:3] { for int j in [1:3] { if (j == 2) break; n += 1; } n += 10; }",
         {"n": 33}),
        ("int n; bit[4] b = \"1010\"; for bit x in b { n = 2 * n + x; }", {"n": 0b0101}),
        ("int n; bit[4] b = \"1010\"; for bit x in b[1:2] { n = 2 * n + x; }", {"n": 0b10}),
        ("int n; int m = 5; for int i in [1:m] { m = 2; n += i; }", {"n": 15}),
        ("int n; int m = 3; for int i in [m:-1:1] { if (i == 2) continue; n = 10 * n + i; }", {"n": 31}),
        ("int n; int m = 6; for int i in [1:m] { if (i == 4) break; n += i; }", {"n": 6}),
        ("int n; int m = 3; for int i in [1:m] { n += i; i = 0; }", {"n": 6}),
        ("int n; int m = 9; for uint[2] i in [6:m] { n = 10 * n + i; }", {"n": 2301}),
        ("int n; for int i in [1:1000000] { n += 1; if (n == 5) { break; } }", {"n": 5}),
        ("int n; int i; while (i < 5) { i += 1; if (i == 2) continue; n = 10 * n + i; }", {"n": 1345}),
        ("int n; while (true) { n += 1; if (n > 4) { break; } }", {"n": 5}),
        ("int n; while (n < 3) { int k; k += 1; n += k; }", {"n": 3}),
        ("int n; for int i in [1:3] { int k; k += 1; n += k; }", {"n": 3}),
        ("int n; for int i in [1:3] { int k = 2; k += i; n += k; }", {"n": 12}),
        ("int n = 1; end; n = 2;", {"n": 1}),
        ("int n = 1; if (n == 1) { end; } n = 2;", {"n": 1}),
        ("int n; for int i in [1:5] { n += 1; while (true) { n += 10; if (n > 25) end; break; } } n = 0;",
         {"n": 33}),
        ("int n; int m = 2; switch (m) { case 0, 1 { n = 1; } case 2 { n = 2; } default { n = 3; } }",
         {"n": 2}),
        ("int n; int m = 7; switch (m) { case 0, 1 { n = 1; } case 2 { n = 2; } default { n = 3; } }",
         {"n": 3}),
        ("int n; int m = -1; switch (m) { case 0 { n = 1; } case -1 { n = 2; } }", {"n": 2}),
        ("int n; int m; while (m < 5) { switch (m) { case 2 { m += 2; continue; } case 4 { break; } }"
         " m += 1; n += 1; }", {"n": 2, "m": 4}),
        ("int n; uint[4] m = 9; switch (m) {"
         + "".join(f"case {i} {{ n = {10 * i}; m = {i + 1}; }}" for i in range(12))
         + "default { n = -1; } }", {"n": 90, "m": 10}),
        ("int n; { int n = 5; n += 1; } n += 1;", {"n": 1}),
        ("int n = 1; if (n == 1) { bool n = true; } else n = 2; n += 1;", {"n": 2}),
        ("int n; bit[3] b = \"011\"; for int i in [0:2] { if (i < 2) n += b[i + 1]; }", {"n": 1}),
        ("int n; bit[3] b = \"011\"; for int i in [0:2] { if (i < 2 && b[i + 1]) n += 1; }", {"n": 1}),
        ("int n; bit[2] b = 3; for int i in [0:2] { switch (i) { case 0, 1 { n += b[i]; }"
         " default { n += 5; } } }", {"n": 7}),
        ("int n; float f = 0.5; for int i in [0:2] { if (i == 1) f = 2.5; } n = int(f * 10);", {"n": 25}),
        ("int n; int k = 3; for float f in {k * 0.5} { k = 9; while (f > n) { n += 1; } }", {"n": 2}),
        ("int n; int k = 3; def g(float f) -> int { int m; while (f > m) m += 1; return m; } n = g(k / 2.0);",
         {"n": 2}),
        ("int n; int k = 2; for int i in {k, k + 1} { k = 7; n = 10 * n + i; }", {"n": 23}),
        ("int n; box { n = 3; }", {"n": 3}),
        ("int n; if (n == 1) n = 2; else if (n == 0) n = 3; else n = 4;", {"n": 3}),
        ("int n; if (true) if (false) n = 1; else n = 2;", {"n": 2}),
        ("int n; const bool b = false; if (b) { n = 1; } n += 1;", {"n": 1}),
    ],
)  # fmt: skip
def test_what_runs_give(text: str, expected: dict[str, int]) -> None:
    found = counters(text)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(int a, int b) -> int { return 10 * a + b; } int n = f(1, f(2, 3)) + f(0, 1);", {"n": 34}),
        ("def f(int a) -> int { if (a > 2) return 1; return 2; } int n = 3; n = 10 * f(n) + f(2);",
         {"n": 12}),
        ("def f(int a) -> int { while (true) { a += 1; if (a > 5) return a; } } int n = f(1) * f(9);",
         {"n": 60}),
        ("def f(int a) -> int { for int i in [1:9] { if (i * a > 7) { return i; } } return 0; }"
         " int n = 100 * f(1) + 10 * f(3); n += f(0);", {"n": 830}),
        ("def f(int a) { a = 5; } int n = 1; f(n);", {"n": 1}),
        ("def f(bit[2] b) -> bit[2] { b[0] = 1; return b; } bit[2] c = f(\"10\"); int n = c;", {"n": 3}),
        ("def f(int a) -> bool { return a == 2; } int n; int m = 2; if (m == 2 && f(m)) { n = 1; }",
         {"n": 1}),
        ("def f(int a) -> bool { return 6 / a == 3; } int n; int m; if (m != 0 && f(m)) n = 1; else n = 2;",
         {"n": 2}),
        ("def f(int a) -> int { return a; } int n; int m; while (f(m) < 3) { m += 1; n += m; }", {"n": 6}),
        ("const int k = 4; def f() -> int { return k; } int n = f();", {"n": 4}),
    ],
)  # fmt: skip
def test_subroutines(text: str, expected: dict[str, int]) -> None:
    found = counters(text)
    assert {name: found[name] for name in expected} == expected


def test_subroutines_act_on_qubits() -> None:
    text = """
        input float a;
        def turn(qubit x, float b) { ry(b) x; }
        def parity(qubit[2] d, qubit x) -> bit { cx d[0], x; cx d[1], x;
            bit p = measure x; reset x; return p; }
        qubit[3] q; bit c; int n;
        turn(q[0], a); turn(q[1], 2 * a);
        while (!c) { c = parity(q[0:1], q[2]); n += 1; turn(q[0], a / 2); }
    """
    other = """
        qubit: q[3] para: a count: c, n
        Ry(a)[q[0]]; Ry(2*a)[q[1]];
        while c = 0 do
            CNOT[q[0], q[2]]; CNOT[q[1], q[2]]; c := M[q[2]]; q[2] := |0>; n := n + 1; Ry(a/2)[q[0]]
        od
    """
    same(text, other, ["n", "Z[q[0]]", "n * Z[q[1]]"], {"a": 0.9})


def test_the_old_way_of_calling() -> None:
    same("qubit[2] q; def bell(qubit[2] p) { h p[0]; cx p[0], p[1]; } bell q;",
         "qubit: q[2] H[q[0]]; CNOT[q[0], q[1]]", ["Z[q[0]]*Z[q[1]]", "X[q[0]]*X[q[1]]"])  # fmt: skip


def test_real_variables_are_expressions() -> None:
    text = """
        input float a; qubit q; bit c; int n = 2;
        float f = a / 2 + n * 0.1;
        n = 7;
        for int i in [0:2] { rx(f) q; f *= 2; }
        float g;
        g = f - a;
        ry(g) q;
    """
    other = """
        qubit: q para: a
        Rx(a/2 + 0.2)[q]; Rx(a + 0.4)[q]; Rx(2*a + 0.8)[q]; Ry(3*a + 1.6)[q]
    """
    same(text, other, ["Z[q]", "X[q]", "Y[q]"], {"a": 0.4})


@pytest.mark.parametrize(
    "body",
    [
        "if (c) f = 1;",
        "while (!c) { f += 0.1; c = measure q; }",
        "for int i in [0:3] { if (c) break; f += i; }",
    ],
)
def test_real_variables_do_not_change_in_branches(body: str) -> None:
    with pytest.raises(QdiffSyntaxError, match="a real variable is changed in a branch or a loop"):
        from_qasm3(HEAD + "qubit q; bit c; c = measure q; float f = 0.5; " + body)


def test_loops_up_to_an_input() -> None:
    same("input int n; input float a; qubit q; for int i in [1:n] { rx(a * i) q; }",
         "qubit: q para: n, a count: i i := 1; while i <= n do Rx(a*i)[q]; i := i + 1 od",
         ["Z[q]", "i"], {"n": 3, "a": 0.3})  # fmt: skip


def test_reset_measure_and_registers() -> None:
    text = """
        qubit[3] q; qubit r; bit[3] c; bit b;
        h q; c = measure q; measure q[0:1] -> c[1:2]; reset q; measure r; b = measure r; barrier q; nop q, r;
        delay[100ns] q[0]; delay[2 us]; barrier;
    """
    program = from_qasm3(HEAD + text)
    assert str(program) == (
        "qubit: q[3], r\ncount: c[3], b, value\nH[q[0]];\nH[q[1]];\nH[q[2]];\nc[0] := M[q[0]];\n"
        "c[1] := M[q[1]];\nc[2] := M[q[2]];\nc[1] := M[q[0]];\nc[2] := M[q[1]];\nq[0] := |0>;\nq[1] := |0>;\n"
        "q[2] := |0>;\nvalue := M[r];\nb := M[r]\n"
    )


def test_angles_of_some_bits_estimate_a_phase() -> None:
    """An iterative phase estimation finds 3/8 of a turn in four steps for sure."""
    text = """
        qubit q; qubit r; angle[4] c; uint[4] power = 8; bit[4] out;
        x r;
        for int i in [0:3] {
            reset q; h q;
            ctrl @ pow(power) @ p(2 * pi * 3 / 8) q, r;
            inv @ p(c / 2) q;
            h q;
            bit m = measure q;
            c >>= 1;
            if (m) { c += pi; }
            power >>= 1;
        }
        out = bit[4](c);
        int n = out;
    """
    program = from_qasm3(HEAD + text)
    assert_close(qd.expectation(program, "n")({}), 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("break;", "`break` stands outside of loops."),
        ("def f() { continue; } for int i in [0:1] { f(); }", "`continue` stands outside of loops."),
        ("return;", "`return` stands outside of subroutines."),
        ("def f() -> int { return 1; } f(1);", "`f` has 0 arguments, got 1."),
        ("def f(int a) -> int { return f(a); } int n = f(1);",
         "subroutines call each other more than 25 deep."),
        ("def f() { } int n = f();", "`f` returns nothing."),
        ("def f() -> int { return; } int n = f();", "a value is returned where the subroutine has a type"),
        ("def f(qubit p) { x q; } f(q);", "qubit `q` is not declared."),
        ("def f(qubit[2] p) { } f(q);", "a register of 2 qubits is expected"),
        ("def f() { end; } f();", "`end` in a subroutine is not read."),
        ("int n; switch (n) { case 1 { } case 1 { } }", "the label 1 stands twice."),
        ("int n; int m; switch (n) { case m { } }", "a label is a constant."),
        ("int n; switch (n) { default { } }", "the `switch` has no `case`."),
        ("int n; switch (n) { case 1 { } default { } default { } }", "has a second `default`."),
        ("int n; switch (n) { default { } case 1 { } }", "`default` is the last of a `switch`."),
        ("for int i in [0:0:3] { }", "the step of a range is not 0."),
        ("for int i in [0:] { }", "a loop has a first and a last value."),
        ("int n; for int i in [0:n:3] { }", "the step is a constant."),
        ("qubit[3] d; int n; for int i in [0:n] { x d[i]; }", "`i` is counted when the program runs"),
        ("if (true) { qubit r; }", "a declaration of qubits stands outside of all blocks."),
        ("if (true) { gate g a { } }", "a definition stands outside of all blocks."),
        ("for int i in q { }", "`q` is a qubit, not a value."),
    ],
)  # fmt: skip
def test_what_does_not_fit(text: str, message: str) -> None:
    with pytest.raises(QdiffError) as error:
        from_qasm3(HEAD + "qubit q; " + text)
    assert message in str(error.value)
    assert isinstance(error.value, QdiffSyntaxError)
    assert error.value.line == 2
