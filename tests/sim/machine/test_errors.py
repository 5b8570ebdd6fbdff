"""What has no value when it runs: the machine says what the plain sampler says, word for word."""

from __future__ import annotations

import pytest
from sim.machine.plain_sampler import PlainSampler
from sim.machine.sampled import assert_same, sampled

from qdiff.errors import EvaluationError
from qdiff.lang.text.parser import parse

HEAD = "qubit: q, r\npara: t, p, w[3]\ncount: c, d\n"
PARAMS = {"t": 0.0, "p": 1.5, "w[0]": 0.1, "w[1]": 0.2, "w[2]": 0.3}
FAILING = {
    "an angle": "H[q];\nRy(1/t)[q]",
    "an angle that counts": "c := 3;\nH[q]; Ry(1 + t/(c - 3))[q]",
    "the same angle twice, the first is fine": "c := 1;\nRy(p/c)[q];\nc := 0;\nRy(p/c)[q]",
    "the same angle twice, the first is not reached": "if M[q] = 1 then Ry(1/t)[r] fi;\nRy(1/t)[r]",
    "the first of several gates": "H[q]; Rx(log(t))[r];\nRy(1/t)[q]; H[r]",
    "gates that are fused in another order": "X[q]; Rx(1/t)[r]; X[q];\nRy(asin(p))[q]",
    "the first angle of U": "U(1/t, log(t), c/0)[q]",
    "the last angle of U": "U(p, c, sqrt(-p))[q]",
    "an angle of U that counts": "U(p, c/(c - 0), p)[q]",
    "a controlled gate": "H[q]; C_Rz(1/t)[q][r]",
    "an angle in a loop": "while c < 5 do\nc := c + 1; Ry(p/(c - 4))[q]; H[q] od",
    "a probability": "if flip(p) then skip fi",
    "a probability twice": "if M[q] = 1 and flip(2*p) then skip fi; if\nflip(2*p) then skip fi",
    "a probability that counts": "while flip(1 - c) do c := c - 3 od",
    "a probability without a value": "if flip(1/t) then skip fi",
    "a negative probability": "if not flip(-p) then skip fi",
    "a channel": "H[q];\ndamp(p)[q]",
    "a channel that counts": "c := 2; dephase(c)[r]",
    "a channel without a value": "depolarize(sqrt(-p))[r]",
    "an assignment that overflows": "c := 9223372036854775807;\nd := c*c",
    "a step that overflows": "c := 9223372036854775807;\nc++",
    "a step down": "c := -9223372036854775808;\nc := c - 1",
    "div by zero": "d := 3;\nd := d div c",
    "mod by zero": "d := 3;\nd := (d + 1) mod (c*2)",
    "a comparison": "if c/d < 1 then skip fi",
    "the right side of a comparison": "if c = log(t) then skip fi",
    "a guard": "while c > -1/(2 - d) do d := d + 1 od",
    "an index": "c := 3; Ry(w[c])[q]",
    "a negative index": "Ry(w[c - 1])[q]",
    "an index beyond 64 bits": "c := 9223372036854775807; Ry(w[c + 1])[q]",
    "a hazard": "if flip(logpower_hazard(c, 1/2)) then skip fi",
    "tan, exp": "Ry(exp(10^3 + t))[q]",
    "after an abort that does not come": "if flip(0) then abort fi;\nRy(1/t)[q]",
}
SEEDS = (1, 2, 3)


@pytest.mark.parametrize("name", FAILING)
def test_messages(name: str) -> None:
    program = parse(HEAD + FAILING[name])
    for seed in SEEDS:
        messages = []
        for backend in (PlainSampler(), None):
            with pytest.raises(EvaluationError) as caught:
                sampled(program, PARAMS, 20, seed, backend=backend)
            messages.append(str(caught.value))
        assert messages[1] == messages[0]
        assert messages[1].startswith("<text>:")


NOT_FAILING = {
    "intermediate values beyond 64 bits": "c := 123456789; c := (c * 1000000000000000000) mod 7",
    "a product of large integers": "c := 4000000000; d := (c*c*c - c) div (c*c)",
    "negative numbers": "c := -7; d := c div 2; c := c mod 3 + (4 - 9) mod -3",
    "the least integer": "c := -9223372036854775808; d := c div 2 - c mod 10",
    "-1 times the least integer": "c := -9223372036854775808; d := (c * -1) mod 1000",
    "an angle beyond 64 bits": "c := 3037000500; Ry(t + c*c*c/10^27)[q]; H[q]",
    "a constant beyond 64 bits": "Ry(10^15*10^15*p/10^30)[q]; if 10^30 > c then X[r] fi",
    "integers and floats compared exactly": "c := 9007199254740993; if c > 9007199254740992.0 then d := 1 fi",
    "equal only after rounding": "c := 9007199254740993; if c = 9007199254740992.0 then d := 1 fi",
    "the largest integer": "c := 9223372036854775807; if c < 9223372036854775808.0 then d := 1 fi",
    "integers compared beyond 64 bits": "c := 9223372036854775807; if c*c > c*c - 1 then d := 1 fi",
    "powers": "c := 5; if c^3 = 125 then d := 1 fi; if 3^c > 242.5 and (-1)^c < 0 then d := d + 2 fi",
    "powers beyond 64 bits": "c := 70; if 2^c = 1180591620717411303424 then d := 1 fi",
    "powers with negative exponents": "c := 3; Ry(2^(-c))[q]; H[q]; if 2^(1 - c) = 0.25 then d := 1 fi",
    "quotients of large integers": "c := 9007199254740993; if c/3 = 3002399751580331 then d := 1 fi",
    "an expression as it is": "c := 5; Ry(w[c mod 3])[q]; H[q]; while c*p > 3 and flip(0.5) do c := c - 1 od",
}


@pytest.mark.parametrize("name", NOT_FAILING)
def test_exact_values(name: str) -> None:
    program = parse(HEAD + NOT_FAILING[name])
    plain = sampled(program, PARAMS, 50, 1, backend=PlainSampler())
    assert_same(sampled(program, PARAMS, 50, 1), plain)
    assert plain.finished.all()


def test_a_product_beyond_64_bits() -> None:
    program = parse("qubit: q\ncount: c\nc := 9; c := (c * 1000000000000000000) mod 7")
    assert sampled(program, {}, 1).counters.tolist() == [[9 * 10**18 % 7]]
    program = parse("qubit: q\ncount: c\nc := 123456789012; c := (c * 1000000000000000000) mod 7")
    assert sampled(program, {}, 1).counters.tolist() == [[123456789012 * 10**18 % 7]]
