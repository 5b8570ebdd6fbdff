"""Whole texts: versions, includes, names, inputs, aliases of qubits, comments, and what is refused where."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

import qdiff as qd
from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.interop.qasm3_reader import from_qasm3

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


@pytest.mark.parametrize("version", ["", "OPENQASM 3;", "OPENQASM 3.0;", "// a comment\nOPENQASM 3.2;"])
def test_versions(version: str) -> None:
    assert str(from_qasm3(f"{version} qubit q; U(0.1, 0.2, 0.3) q;")) == "qubit: q\nU(0.1, 0.2, 0.3)[q]\n"


def test_comments_pragmas_and_annotations() -> None:
    text = (
        "\ufeffOPENQASM 3.0; /* a\n comment ; */ include 'stdgates.inc';\r\n"
        '#pragma some.thing { "not closed\n'
        "pragma other ; x q;\n"
        '@bind.to IOPORT[3:2] ; { "\n'
        "qubit q; // x q;\n"
        "@first\n@second (\n"
        "ctrl @ x q, r;\n"
    ).replace("qubit q;", "qubit q; qubit r;")
    assert str(from_qasm3(text)) == "qubit: q, r\nCNOT[q, r]\n"


def test_names_are_mapped_and_known_by_their_old_ones() -> None:
    text = HEAD + ("input float θ; input angle[20] φ₁; qubit[2] Ψ; qubit if_; bit[2] möglich;"
                   "int count; bit M;"
                   "rx(θ) Ψ[0]; ry(φ₁) Ψ[1]; möglich = measure Ψ; count = 1;")  # fmt: skip
    program = from_qasm3(text)
    assert program.parameters == ("theta", "phi1")
    assert program.qubits == ("Psi[0]", "Psi[1]", "if_")
    assert program.counters == ("moglich[0]", "moglich[1]", "count_", "M_")
    f = qd.expectation(program, "Z[Psi[1]]")
    assert_close(f({"θ": 0.1, "φ₁": 0.3}), f({"theta": 0.1, "phi1": 0.3}))
    assert qd.parse(str(program)) == program


def test_names_in_inner_blocks_are_others() -> None:
    text = HEAD + "qubit q; int n = 1; if (n == 1) { int n = 5; n += 1; } while (n < 3) { int n = 4; break; }"
    assert from_qasm3(text).counters == ("n", "n_2", "n_3", "leave")


def test_inputs() -> None:
    text = HEAD + (
        "input float a; input array[float[64], 3] w; input int n; input bool up;"
        "input uint[4] steps; qubit q;"
        "rx(a + w[0]) q; int i; while (i < n && up) { ry(w[i]) q; i += 1; } if (steps + 1 >= 3) rz(w[-1]) q;"
    )
    program = from_qasm3(text)
    assert program.parameters == ("a", "w[0]", "w[1]", "w[2]", "n", "up", "steps")
    assert program.trainable == ("a", "w[0]", "w[1]", "w[2]")
    other = qd.parse(
        "qubit: q para: a, w[3], n, up, steps count: i Rx(a + w[0])[q];"
        "while i < n and up != 0 do Ry(w[i])[q]; i := i + 1 od; if steps + 1 >= 3 then Rz(w[2])[q] fi"
    )
    values = {"a": 0.3, "w": [0.1, 0.5, 0.7], "n": 2, "up": 1, "steps": 2}
    for observable in ("X[q]", "Z[q]", "i"):
        f, g = qd.expectation(program, observable), qd.expectation(other, observable)
        assert_close(f(values), g(values))
        assert_close(f.grad(values), g.grad(values))


def test_aliases_slices_and_physical_qubits() -> None:
    text = HEAD + (
        "qubit[4] q; qubit r; let s1 = q[1:2] ++ r; let s2 = s1[{2, 0}]; let s3 = q[-1]; let s4 = q[0:2:3];"
        "x s1[2]; y s2; z s3; h s4; for int i in [0:1] { let s1 = q[i]; rx(i) s1; } cx $1, $0; reset $1;"
    )
    assert str(from_qasm3(text)) == (
        "qubit: q0, q1, q[4], r\nX[r];\nY[r];\nY[q[1]];\nZ[q[3]];\nH[q[0]];\nH[q[2]];\nRx(0)[q[0]];\n"
        "Rx(1)[q[1]];\nCNOT[q1, q0];\nq1 := |0>\n"
    )


def test_places_of_errors_at_run_time() -> None:
    program = from_qasm3(HEAD + "qubit q;\nint n;\nif (n == 0)\n  n = 5 / n;\n", "mine.qasm")
    with pytest.raises(QdiffError) as error:
        qd.expectation(program, "n")({})
    assert "mine.qasm:6:" in str(error.value)


def test_version_2_is_read_by_qiskit() -> None:
    text = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2]; creg c[1];\nh q[0]; cu1(pi/4) q[0], q[1];\n' \
           "measure q[0] -> c[0]; if (c == 1) x q[1];\n"  # fmt: skip
    program = from_qasm3(text, "old.qasm")
    expected = qd.parse("qubit: q[2] count: c[1] H[q[0]]; C_P(pi/4)[q[0]][q[1]]; c[0] := M[q[0]];"
                        "if c[0] = 1 then X[q[1]] fi")  # fmt: skip
    for observable in ("Z[q[1]]", "c[0]"):
        assert_close(*(qd.expectation(p, observable)({}) for p in (program, expected)))
    assert program.origin is not None
    assert program.origin.what == "the text old.qasm"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[5];', (4, 5), "out-of-range"),
        ('OPENQASM 2.0;\n/* include "no"; */ include "other.inc";', (2, 21), "`other.inc` is not included"),
    ],
)
def test_errors_in_version_2(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as error:
        from_qasm3(text)
    assert (error.value.line, error.value.column) == place
    assert message in str(error.value)


def test_no_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.inc").write_text("gate mine a { U(0, 0, 0) a; }")
    for text in ('include "mine.inc"; qubit q; mine q;',
                 'OPENQASM 2.0; include "mine.inc"; qreg q[1]; mine q[0];',
                 'include "stdgates.inc.bak"; qubit q;', 'include "/etc/hostname"; qubit q;'):  # fmt: skip
        with pytest.raises(QdiffSyntaxError, match="no file is read"):
            from_qasm3(text)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "the text is empty."),
        ("// only a comment\n", (1, 1), "the text is empty."),
        ("OPENQASM 4.0; qubit q;", (1, 10), "version 4.0 of OpenQASM is not read. Versions 2 and 3 are."),
        ("OPENQASM 3.0", (1, 13), "expected `;`, but the text ends."),
        ("int n;", (1, 1), "no qubits are declared."),
        ("qubit q; OPENQASM 3.0;", (1, 10), "found `OPENQASM`"),
        ("qubit q\nint n;", (2, 1), "expected `;`, but found `int`. Is a `;` missing before it?"),
        ("qubit q; bit c; if (c = 1) reset q;", (1, 23), "but found `=`. `==` compares."),
        ("qubit q; int i; i++;", (1, 18), "Write `i += 1;`."),
        ("qubit q; if (true) { reset q;", (1, 30), "A `{` is still open."),
        ("qubit q; int x, y;", (1, 15), "Each declaration has one name."),
        ("qubit while;", (1, 7), "`while` is a word of the language and cannot be a name."),
        ("qubt q;", (1, 1), "the gate `qubt` is not defined."),
        ("qubit q; whle (true) { }", (1, 22), "but found `{`. Did you mean `while`?"),
        ("qubit q; § q;", (1, 10), "`§` means nothing here."),
        ("qubit q; \0", (1, 10), "U+0000 (a control character) means nothing here."),
        ("qubit q; /* not closed", (1, 10), "the comment is not closed."),
        ('qubit q; include "stdgates.inc;', (1, 18), "the text in quotation marks is not closed."),
        ("qubit q; q;", (1, 11), "expected"),
        ("qubit q; 3 = q;", (1, 10), "expected a statement, but found `3`."),
        ("qubit q; float f = 1e999;", (1, 20), "the number is too large"),
        (f"qubit q; int n = {'9' * 400};", (1, 18), "an integer of 400 digits is too large."),
        ("qubit q; float f = 2im;", (1, 20), "complex numbers are not read."),
        ("qubit q; extern f(int) -> int;",
         (1, 10), "functions of other languages (`extern`) cannot be called."),
        ("qubit q; defcal x $0 { play; }", (1, 10), "pulses (`defcal`) are not read."),
        ("cal { } qubit q;", (1, 1), "pulses (`cal`) are not read."),
        ('defcalgrammar "openpulse";', (1, 1), "pulses (`defcalgrammar`) are not read."),
        ("qubit q; complex[float] c;", (1, 10), "numbers of the type `complex` are not read."),
        ("qubit q; duration d = 5ns;", (1, 10), "variables of the type `duration` are not read."),
        ("qubit q; stretch s;", (1, 10), "variables of the type `stretch` are not read."),
        ("qubit q; delay[durationof({})] q;", (1, 16), "`durationof` is not read."),
        ("qubit q; array[int[8], 4] a;", (1, 10), "arrays are read only as `input array[float, n] name;`"),
        ("def f(readonly array[int, #dim = 1] a) { }", (1, 7), "arrays as arguments are not read."),
        ("input array[int, 3] w; qubit q;", (1, 7), "an array of inputs is `array[float, n]` or"),
        ("input array[float, 0] w; qubit q;", (1, 7), "`w` has 0 elements; 1 to 10000 are possible."),
        ("input bit[3] b; qubit q;", (1, 1), "a register of bits cannot be an input."),
        ("if (true) { input float a; } qubit q;", (1, 13), "an input stands outside of all blocks."),
        ("qubit[0] q;", (1, 7), "`q` has 0 qubits; 1 to 10000 are possible."),
        ("qubit[100000000000] q;", (1, 7), "1 to 10000 are possible."),
        ("bit[100000000000] b; qubit q;", (1, 19), "`b` has 100000000000 bits; 1 to 10000 are possible."),
        ("qubit q; qubit q;", (1, 16), "`q` is declared already: it is a qubit."),
        ("qubit[2] q; U(0, 0, 0) q[2];", (1, 26), "the index 2 is out of range: 0 to 1."),
        ("qubit[2] q; int i; U(0, 0, 0) q[i];", (1, 33), "an index is a constant."),
        ("qubit[2] q; U(0, 0, 0) q[0][0];", (1, 24), "a qubit alone has no index."),
        ("qubit[2] q; U(0, 0, 0) q[0, 1];", (1, 24), "a register has one index."),
        ("qubit q; reset r;", (1, 16), "qubit `r` is not declared."),
        ("qubit quantum; reset quatum;", (1, 22), "Did you mean `quantum`?"),
    ],
)  # fmt: skip
def test_malformed_texts(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as error:
        from_qasm3(text, "bad.qasm")
    assert message in str(error.value)
    assert (error.value.line, error.value.column) == place
    assert str(error.value).startswith(f"bad.qasm:{place[0]}:{place[1]}: ")


DEEP = 3000
HOSTILE = {
    "10 MB": HEAD + "qubit q;" + "x q;\n" * 2_000_000,
    "10 MB of a name": "a" * 10_000_000,
    "one expression that does not end": HEAD + "qubit q; rx(" + "1 + " * 200_000,
    "one sum": HEAD + "qubit q; int n; n = n" + " + n" * 200_000 + ";",
    "one or": HEAD + "qubit q; uint[8] n; n = n" + " | n" * 200_000 + ";",
    "brackets": HEAD + "qubit q; rx(" + "(" * DEEP + "1" + ")" * DEEP + ") q;",
    "signs": HEAD + "qubit q; rx(" + "-" * DEEP + "1) q;",
    "powers": HEAD + "qubit q; rx(" + "2 **" * DEEP + "1) q;",
    "blocks": HEAD + "qubit q;" + "{" * DEEP + "}" * DEEP,
    "ifs": HEAD + "qubit q;" + "if (true) " * DEEP + "x q;",
    "else ifs": HEAD + "qubit q; int n;" + "if (n == 1) { x q; } else " * DEEP + "x q;",
    "indices": HEAD + "qubit q; bit[2] b; b = b" + "[0:1]" * DEEP + ";",
    "casts": HEAD + "qubit q; int n = " + "int(" * DEEP + "1" + ")" * DEEP + ";",
    "modifiers": HEAD + "qubit q; " + "inv @ " * DEEP + "x q;",
    "controls": HEAD + "qubit q; ctrl(1000000000000) @ x q;",
    "a power": HEAD + "qubit q; pow(1000000000000) @ U(1, 1, 1) q;",
    "loops in loops": HEAD + "qubit[2] q;" + "for int i in [1:1000000] " * 9 + "x q[i];",
    "a long loop": HEAD + "qubit[2] q; for int i in [0:1000000000000] { x q[i]; }",
    "gates of gates": HEAD + "gate g0 a { x a; x a; }"
    + "".join(f"gate g{i + 1} a {{ g{i} a; g{i} a; }}" for i in range(60)) + "qubit q; g60 q;",
    "subroutines of subroutines": HEAD + "def f0(qubit a) { x a; x a; }"
    + "".join(f"def f{i + 1}(qubit a) {{ f{i}(a); f{i}(a); }}" for i in range(60)) + "qubit q; f60(q);",
    "calls that double": HEAD + "def f0(qubit a) { x a; x a; }"
    + "".join(f"def f{i + 1}(qubit a) {{ f{i}(a); f{i}(a); }}" for i in range(22)) + "qubit q; f22(q);",
    "gates that double": HEAD + "gate g0 a { x a; x a; }"
    + "".join(f"gate g{i + 1} a {{ g{i} a; g{i} a; }}" for i in range(30)) + "qubit q; g30 q;",
    "a loop in a gate": HEAD + "gate g a { for int i in [0:10 ** 200] { } } qubit q; g q;",
    "an endless loop": HEAD + "qubit[2] q; for int i in [0:10 ** 200] { x q[i]; }",
    "registers of bits": "qubit q;" + "".join(f"bit[10000] b{i};\n" for i in range(2000)),
    "slices": HEAD + "qubit[10000] q;" + "barrier q[0:9999];" * 10_000,
    "a long name": f"qubit {'a' * 1_000_000}; reset {'a' * 1_000_000}b;",
    "a large power": HEAD + "qubit q; pow(2 ** 999 << 999) @ x q;",
    "registers": "".join(f"qubit[10000] q{i};\n" for i in range(1000)),
    "numbers": HEAD + "qubit q; int n = " + " * ".join(["9" * 290] * 1000) + ";",
    "shifts": HEAD + "qubit q; int n = 1 << 1000000000000000;",
    "a size": HEAD + "uint[1000000000000] n; qubit q; n = n & n;",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_answered_soon(text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(QdiffError) as error:
        from_qasm3(text)
    assert time.perf_counter() - begun < 20  # of machines that do much else; it takes about a second
    assert len(str(error.value)) < 1000


def test_long_flat_texts_are_fine() -> None:
    text = HEAD + "qubit q; rx(" + " + ".join(["0.001"] * 20_000) + ") q;" + "x q;" * 5000
    assert len(from_qasm3(text).body) == 5001


def test_importing_the_door_is_cheap() -> None:
    code = (
        "import sys; from qdiff.interop.qasm3_reader import from_qasm3;"
        "assert not {'lark', 'qiskit'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


CORPUS = (
    HEAD
    + """
input float[64] theta; input array[float, 3] w; input int m; const uint[4] k = 5; const float f0 = pi / 4;
qubit[4] q; qubit r; bit[4] b = "0110"; bit flag; int n = -3; int[6] v = 7; uint[5] u = 0x1f; bool on = true;
angle[4] al = pi / 8; float g0 = theta / 2 + n;
gate twist(a, c) p, d { ctrl @ U(a, -c, a ** 2) p, d; gphase(a / 2); for int i in [0:1] { rx(i * a) p; } }
def check(qubit[2] d, int limit) -> bit { bit out; out = measure d[0]; if (limit > 2) return out;
return !out; }
let pair = q[1:2] ++ r; let last = q[{0, -1}];
inv @ pow(2) @ twist(theta, w[n + 3]) q[0], q[1]; negctrl(2) @ h pair[0], last[1], q[0]; cx q[0:1], q[2:3];
while (!flag && n < 2) { flag = measure q[0]; n += 1; if (n == 1) { continue; } else if (u % 3 == 1) break; }
for uint[4] i in [0:k - 3] { ry(i * f0) q[i % 4]; b[i % 4] ^= 1; v -= i ** 2;
switch (n) { case 0, 1 { n = 2; }
case -1 { end; } default { u = (u << 2) | ~u & 3; } } }
b[0:1] = measure q[2:3]; flag = check(q[0:1], n) | b[3]; al += pi / 2; p(al) r; delay[100 ns] r;
box { reset q; }
rz(g0 * cos(0.5)) r; measure r -> flag; v = int[6](b[1:3]); on = bool(u[4]) == (flag != on);
barrier q, r; nop;
"""
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_is_changed_in_a_text_is_read_or_refused(data: st.DataObject) -> None:
    pieces = re.findall(r"\w+|\s+|[^\w\s]", CORPUS)
    for _ in range(data.draw(st.integers(1, 3))):
        at, other = (data.draw(st.integers(0, len(pieces) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(["drop", "copy", "put", "swap"])):
            case "drop":
                pieces[at] = ""
            case "copy":
                pieces.insert(at, pieces[other])
            case "put":
                pieces[at] = pieces[other]
            case _:
                pieces[at], pieces[other] = pieces[other], pieces[at]
    text = "".join(pieces)
    program = None
    with contextlib.suppress(QdiffError):  # nothing else may be raised
        program = from_qasm3(text)
    assert program is None or qd.parse(str(program)) == program


def test_the_text_that_is_changed_can_be_read() -> None:
    program = from_qasm3(CORPUS)
    assert program.parameters == ("theta", "w[0]", "w[1]", "w[2]", "m")
    assert qd.parse(str(program)) == program


@pytest.mark.parametrize(
    "text",
    [
        "while (n < 1) { n += 1; " * 99 + "if (n > 5) break;" + "}" * 99,
        "for int i in [0:0] { " * 99 + "if (n > 5) { end; }" + "}" * 99,
        "if (n == 1) { x q; } else " * 199 + "if (n == 2) { x q; }",
        "n = " + "(n + " * 98 + "1" + ")" * 98 + ";",
        "rx(" + "sin(" * 98 + "1" + ")" * 98 + ") q;",
    ],
)
def test_the_deepest_texts_that_are_possible(text: str) -> None:
    program = from_qasm3(HEAD + "qubit q; int n; " + text)
    assert qd.parse(str(program)) == program
