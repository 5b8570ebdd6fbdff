"""Programs of the kinds that OpenQASM 3 was made for, against what they are known to do."""

from __future__ import annotations

import math

import pytest
from helpers import assert_close

import qdiff as qd
from qdiff.interop.qasm3_reader import from_qasm3

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


@pytest.mark.parametrize(("one", "other"), [(0, 0), (3, 5), (7, 7), (6, 3)])
def test_an_adder(one: int, other: int) -> None:
    text = f"""
        gate carry a, b, c {{ cx c, b; cx c, a; ccx a, b, c; }}
        gate undo a, b, c {{ ccx a, b, c; cx c, a; cx a, b; }}
        const uint n = 3;
        qubit start; qubit[n] a; qubit[n] b; qubit last;
        bit[n + 1] sum;
        uint[n] one = {one}; uint[n] other = {other};
        for uint i in [0:n - 1] {{ if (bool(one[i])) x a[i]; if (bool(other[i])) x b[i]; }}
        carry start, b[0], a[0];
        for uint i in [0:n - 2] {{ carry a[i], b[i + 1], a[i + 1]; }}
        cx a[n - 1], last;
        for int i in [n - 2:-1:0] {{ undo a[i], b[i + 1], a[i + 1]; }}
        undo start, b[0], a[0];
        sum[0:n - 1] = measure b;
        measure last -> sum[n];
        int total = sum;
    """
    assert_close(qd.expectation(from_qasm3(HEAD + text), "total")({}), one + other)


def test_teleportation_moves_a_state() -> None:
    text = """
        input float a; input float b;
        qubit[3] q; bit[2] m;
        ry(a) q[0]; rz(b) q[0];
        h q[1]; cx q[1], q[2]; cx q[0], q[1]; h q[0];
        m = measure q[0:1];
        if (m[0] == 1) z q[2];
        if (m[1] == 1) { x q[2]; }
    """
    program = from_qasm3(HEAD + text)
    a, b = 0.7, 1.9
    for operator, value in (
        ("X", math.sin(a) * math.cos(b)),
        ("Y", math.sin(a) * math.sin(b)),
        ("Z", math.cos(a)),
    ):
        f = qd.expectation(program, f"{operator}[q[2]]")
        assert_close(f({"a": a, "b": b}), value)


@pytest.mark.parametrize("wrong", [None, 0, 1, 2])
def test_a_repetition_code_corrects_one_flip(wrong: int | None) -> None:
    error = "" if wrong is None else f"x q[{wrong}];"
    text = f"""
        def syndrome(qubit[3] d, qubit[2] a) -> bit[2] {{
            bit[2] b;
            cx d[0], a[0]; cx d[1], a[0]; cx d[1], a[1]; cx d[2], a[1];
            measure a -> b;
            reset a;
            return b;
        }}
        input float t0;
        qubit[3] q; qubit[2] a; bit[2] s0;
        ry(t0) q[0]; cx q[0], q[1]; cx q[0], q[2];
        {error}
        s0 = syndrome(q, a);
        if (uint[2](s0) == 1) x q[0];
        if (uint[2](s0) == 2) x q[2];
        if (uint[2](s0) == 3) x q[1];
        cx q[0], q[1]; cx q[0], q[2];
    """
    program = from_qasm3(HEAD + text)
    for observable, value in (("X[q[0]]", math.sin(0.4)), ("Z[q[0]]", math.cos(0.4)), ("Z[q[1]]*Z[q[2]]", 1)):
        assert_close(qd.expectation(program, observable)({"t0": 0.4}), value)


def test_repeat_until_success_of_a_rotation() -> None:
    """Nielsen and Chuang, exercise 4.41: a turn with the cosine 3/5, in 8/5 attempts on average."""
    text = """
        def attempt(qubit[2] anc, qubit psi) -> bit[2] {
            reset anc; h anc;
            ccx anc[0], anc[1], psi; s psi; ccx anc[0], anc[1], psi; z psi;
            h anc;
            return measure anc;
        }
        qubit psi; qubit[2] anc; bit[2] flags = "11"; int attempts;
        h psi;
        while (flags != 0) { flags = attempt(anc, psi); attempts += 1; }
        rz(pi - arccos(3.0 / 5)) psi;
        h psi;
    """
    program = from_qasm3(HEAD + text)
    assert_close(qd.expectation(program, "attempts")({}), 8 / 5)
    assert_close(qd.expectation(program, "P1[psi]")({}), 0)


def test_the_inverse_fourier_transform_by_measurements() -> None:
    """It reads the frequency of a phase state, here 5, bit by bit."""
    text = """
        const int n = 3; const int frequency = 5;
        qubit[n] q; bit[n] c;
        for int k in [0:n - 1] { h q[k]; p(2 * pi * frequency * 2 ** (n - 1 - k) / 2.0 ** n) q[k]; }
        for int k in [0:n - 1] {
            let now = q[k];
            for int j in [0:k - 1] { if (c[j]) p(-pi / 2 ** (k - j)) now; }
            h now;
            c[k] = measure now;
        }
        int found = c;
    """
    assert_close(qd.expectation(from_qasm3(HEAD + text), "found")({}), 5)
