"""Noise channels in the hybrid engine: closed forms, where derivatives exist, what is refused, bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from bounds.comparison import check_bounds
from helpers import assert_close
from reference import derivatives, interpreter
from reference.precision import is_extended
from sim.hybrid.agreement import check_curvature, engine_for, hessian, value_and_gradient

from qdiff.errors import EvaluationError
from qdiff.lang.channels import ChannelRecord, Factors, channel_record
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.channels import Channel, ChannelMaps, Numbers
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.supports import occupied
from qdiff.sim.hybrid.traces import Maps, ResetMap

AT = {"t": 0.7, "p": 0.3}


def closed_forms() -> list[tuple[str, str, float, list[float], list[list[float]]]]:
    """Text, observable, value, gradient and Hessian by (t, p)."""
    t, p = AT["t"], AT["p"]
    s, c, r = math.sin(t), math.cos(t), math.sqrt(1 - p)
    shrunk = [(1 - p) * -s, -c], [[(1 - p) * -c, s], [s, 0]]
    kept, half = 1 - 2 * p, -1 / (2 * r)
    return [
        ("dephase", "X[q]", kept * s, [kept * c, -2 * s], [[-kept * s, -2 * c], [-2 * c, 0]]),
        ("dephase", "Z[q]", c, [-s, 0], [[-c, 0], [0, 0]]),
        ("depolarize", "Z[q]", (1 - p) * c, *shrunk),
        ("depolarize", "X[q]", (1 - p) * s, [(1 - p) * c, -s], [[-(1 - p) * s, -c], [-c, 0]]),
        ("damp", "Z[q]", 1 - (1 - p) * (1 - c), [-(1 - p) * s, 1 - c], [[-(1 - p) * c, s], [s, 0]]),
        ("damp", "X[q]", r * s, [r * c, half * s], [[-r * s, half * c], [half * c, -s / (4 * r**3)]]),
    ]  # fmt: skip


def check_closed_forms() -> None:
    for padding in ("", "r, s, "):  # by the matrices of traces, and by their operations
        for name, observable, value, gradient, curvature in closed_forms():
            engine = engine_for(f"qubit: {padding}q para: t, p Ry(t)[q]; {name}(p)[q]")
            found, slopes = value_and_gradient(engine, AT, parse_observable(observable))
            assert_close(found, value, 1e-14)
            assert_close(slopes, dict(zip(("t", "p"), gradient, strict=True)), 1e-14)
            assert_close(hessian(engine, AT, [parse_observable(observable)])[0], curvature, 1e-13)


def test_closed_forms() -> None:
    check_closed_forms()


@pytest.mark.parametrize("order", [0, 1, 2])
def test_wrong_factors_are_caught(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ChannelRecord.factors

    def wrong(self: ChannelRecord, p: Numbers, wanted: int = 0) -> Factors:
        w, c = right(self, p, wanted)
        return (w, 1.01 * c) if wanted == order else (w, c)

    monkeypatch.setattr(ChannelRecord, "factors", wrong)
    with pytest.raises(AssertionError):
        check_closed_forms()


# --- Against the reference ------------------------------------------------------------------------

NOISY = {
    "a circuit": (
        "qubit: q, r, s para: t, p H[q]; damp(p)[q]; CNOT[q, r]; depolarize(p/2)[r]; Ry(t)[s]; dephase(p)[s];"
        "C_Rx(t)[s][q]; damp(p)[s]",
        "X[q]*Z[r] + Y[s]",
    ),
    "after measurements and resets": (
        "qubit: q, r, s, u para: t, p count: c H[q]; H[r]; H[s]; c := M[r, s]; damp(p)[r]; dephase(p)[s];"
        "C_Ry(t)[r][q]; r := |0>; depolarize(p)[r]; Ry(t*c)[u]; CNOT[r, s]; q := |0>; dephase(p)[q]; H[q];"
        "if M[s] = 1 then damp(p)[s]; H[s]; CNOT[q, u] fi",
        "Z[q]*Z[s] + c*X[u] + P1[r]",
    ),
    "a loop": (
        "qubit: q, r, s para: t, p Ry(t)[q]; while M[q] = 1 do damp(p)[q]; dephase(p)[r]; CNOT[r, s];"
        "Ry(t)[r]; depolarize(p/2)[q]; H[q] od",
        "Z[r]*X[s]",
    ),
    "a loop that ends by preparing": (
        "qubit: q, r, s para: t, p count: c Ry(t)[q]; while M[q] = 1 do c++; damp(p)[r]; CNOT[q, s]; H[r];"
        "q := |0>; depolarize(p)[q]; Ry(t)[q] od",
        "c + X[r]",
    ),
    "counters": (
        "qubit: q para: t, p count: c while flip(1/2) do c++; damp(p/(c + 1))[q]; Ry(t)[q] od; dephase(p)[q]",
        "c*Z[q]",
    ),
    "equal noise": ("qubit: q para: t, p Ry(t)[q]; if flip(p) then damp(p)[q]; damp(p)[q] fi", "X[q]"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOISY)
def test_against_the_reference(name: str) -> None:
    text, read = NOISY[name]
    engine, observable = engine_for(text), parse_observable(read)
    expected, slopes = derivatives.value_and_gradient(engine.program, observable, AT, ("t", "p"))
    found, gradient = value_and_gradient(engine, AT, observable)
    assert_close(found, expected)
    assert_close(gradient, slopes)
    check_curvature(engine, [observable], AT)
    for store, rho in interpreter.run(engine.program, AT).items():
        if np.trace(rho).real > 1e-9:
            assert_close(engine.state(AT)[store].density_matrix(), rho)
    analysis = engine.analyze(AT, observable, ("t", "p"))
    assert_close(dict(analysis.occurrences), interpreter.statistics(engine.program, AT).occurrences)


def test_rows() -> None:
    text, read = NOISY["a loop"]
    engine, observable = engine_for(text), parse_observable(read)
    rows = [{"t": 0.7, "p": 0.3}, {"t": -1.1, "p": 0.9}, {"t": 0.2, "p": 0.0}]
    values, gradients = engine.gradients(rows, [observable], ("t", "p"))
    for row, value, gradient in zip(rows, values[:, 0], gradients[:, 0], strict=True):
        expected, slopes = derivatives.value_and_gradient(engine.program, observable, row, ("t", "p"))
        assert_close(value, expected)
        assert_close(dict(zip(("t", "p"), gradient, strict=True)), slopes)


def test_a_derivative_goes_where_no_run_goes() -> None:
    """At p = 0 nothing is damped, but ∂f/∂p is what happens to what is."""
    text = "qubit: q para: p, t count: c X[q]; damp(p)[q]; while M[q] = 0 do c++; Ry(t + c/9)[q] od"
    program, observable, row = parse(text), parse_observable("P1[q]/(2) + c/4"), {"p": 0.0, "t": 1.2}
    expected, slopes = derivatives.value_and_gradient(program, observable, row, ("p", "t"))
    found, gradient = value_and_gradient(HybridEngine(program), row, observable)
    assert_close(found, expected)
    assert abs(slopes["p"]) > 0.1
    assert_close(gradient, slopes)


def test_an_error_there_is_one_of_the_derivative() -> None:
    engine = engine_for("qubit: q para: p count: c X[q]; damp(p)[q]; if M[q] = 0 then Ry(1/c)[q] fi")
    assert_close(engine.values([{"p": 0.0}], [parse_observable("Z[q]")]), [[-1]])
    with pytest.raises(EvaluationError, match="divides by zero"):
        engine.gradients([{"p": 0.0}], [parse_observable("Z[q]")], ("p",))


# --- What has no value, and what has no derivative ------------------------------------------------


@pytest.mark.parametrize(
    ("name", "p", "shown"),
    [("damp", 1.5, "1.5"), ("dephase", -0.25, "-0.25"), ("depolarize", 1 + 1e-9, "1.000000001")],
)
def test_no_probability(name: str, p: float, shown: str) -> None:
    engine = engine_for(f"qubit: q\npara: p\nH[q];\n{name}(p)[q]")
    with pytest.raises(EvaluationError) as caught:
        engine.values([{"p": p}], [parse_observable("X[q]")])
    column = len(name) + 2
    assert str(caught.value) == (
        f"<text>:4:{column}: the probability `p` of `{name}` is {shown}, outside [0, 1].\n"
        f"    {name}(p)[q]\n    {' ' * (column - 1)}^"
    )


def test_rounding_is_clipped_and_what_is_not_reached_is_no_error() -> None:
    engine = engine_for("qubit: q para: p H[q]; dephase(p)[q]")
    found = engine.values([{"p": 1 + 1e-13}, {"p": -1e-13}], [parse_observable("X[q]")])
    assert_close(found, [[-1], [1]], 1e-15)
    assert_close(
        engine_for("qubit: q para: p if M[q] = 1 then damp(p)[q] fi").values(
            [{"p": 7}], [parse_observable("1")]
        ),
        [[1]],
    )


def test_damp_has_no_derivative_at_one() -> None:
    engine = engine_for("qubit: q\npara: t, p\nRy(t)[q];\ndamp(sin(p)^2)[q]")
    row, observables = {"t": 0.4, "p": math.pi / 2}, [parse_observable("X[q] + Z[q]")]
    assert_close(engine.values([row], observables), [[1]])
    assert_close(engine.gradients([row], observables, ("t",))[1], [[[0]]], 1e-12)
    message = (
        "<text>:4:6: the derivative of `damp(sin(p)^2)` by `p` does not exist here: its probability is 1.\n"
        "    damp(sin(p)^2)[q]\n         ^^^^^^^^"
    )
    for wanted in (
        lambda: engine.gradients([row], observables, ("t", "p")),
        lambda: engine.tangents(row, observables, ("p",), np.eye(1)),
        lambda: engine.curvature(row, observables, ("p",), np.eye(1)),
    ):
        with pytest.raises(EvaluationError) as caught:
            wanted()
        assert str(caught.value) == message
    analysis = engine.analyze(row, observables[0], ("p",))
    assert analysis.grad_error_bound == {"p": math.inf}
    assert "no derivatives" in analysis.reason


def test_where_nothing_is_damped_there_is_a_derivative() -> None:
    text = "qubit: q para: p, t Ry(t)[q]; damp(1)[q]; if M[q] = 1 then damp(p)[q] fi"
    _, gradients = engine_for(text).gradients([{"p": 1.0, "t": 0.3}], [parse_observable("Z[q]")], ("p", "t"))
    assert_close(gradients, [[[0, 0]]], 1e-12)


def test_mixtures_have_derivatives_at_the_ends() -> None:
    for name, slope in (("dephase", -2), ("depolarize", -1)):
        engine = engine_for(f"qubit: q para: p H[q]; {name}(p)[q]")
        _, gradients = engine.gradients([{"p": 0.0}, {"p": 1.0}], [parse_observable("X[q]")], ("p",))
        assert_close(gradients, [[[slope]], [[slope]]], 1e-14)


# --- Bounds ---------------------------------------------------------------------------------------

STEEP = {
    "almost all": ("damp(p)[q]", {"p": 1 - 1e-15, "t": 0.4}),
    "all, up to rounding": ("damp(sin(p)^2)[q]", {"p": math.pi / 2, "t": 0.4}),
    "nearly, up to rounding": ("damp(sin(p)^2)[q]", {"p": math.pi / 2 - 1e-7, "t": 0.4}),
    "more than all": ("damp(p)[q]", {"p": 1 + 1e-13, "t": 0.4}),
    "a third": ("damp(p/3)[q]; dephase(p/3)[q]; depolarize(p/7)[r]", {"p": 1.0, "t": 0.4}),
    "in a loop": ("while M[r] = 0 do damp(0.999 + p/1000)[q]; Ry(t)[r] od", {"p": 0.9999, "t": 1.4}),
}


def bounds_hold(name: str, change: Callable[[HybridEngine], None] = lambda engine: None) -> None:
    text, row = STEEP[name]
    program = parse(f"qubit: q, r para: t, p H[q]; {text}")
    if name in ("all, up to rounding", "more than all"):
        program = replace(program.bind(p=row["p"]))  # there is no derivative
    engine = HybridEngine(program)
    change(engine)
    check_bounds(
        program, parse_observable("X[q] + Z[q]*Z[r]"), {k: row[k] for k in program.parameters}, engine
    )


@pytest.mark.skipif(not is_extended(), reason="this platform has no extended precision")
@pytest.mark.parametrize("doubles", [False, True])
@pytest.mark.parametrize("name", STEEP)
def test_bounds_where_it_is_steep(name: str, doubles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if doubles:
        monkeypatch.setattr("qdiff.sim.hybrid.accuracy.LARGEST_DIMENSION", 0)
    bounds_hold(name)


def check_finite(program: Program, observable: Observable, row: Mapping[str, float]) -> None:
    analysis = HybridEngine(program).analyze(row, observable, program.trainable)
    assert math.isfinite(analysis.error_bound)
    assert all(math.isfinite(bound) for bound in analysis.grad_error_bound.values()), analysis.reason


def test_bounds_are_proved() -> None:
    for name, (text, read) in NOISY.items():
        if name != "counters":  # see below
            check_finite(parse(text), parse_observable(read), AT)


def test_what_lies_beyond_infinitely_many_stores() -> None:
    text = "qubit: q para: t, p count: c while flip(0.6) do c++; {}[q]; Ry(t*c)[q] od"
    row = {"t": 0.7, "p": 0.3}
    check_finite(parse(text.format("damp(p)")), parse_observable("Z[q]"), row)
    check_finite(parse(text.format("dephase(p*sin(c)^2)")), parse_observable("Z[q]"), row)
    engine = engine_for(text.format("damp(p/(c + 1))"))
    analysis = engine.analyze(row, parse_observable("Z[q]"), ("t", "p"))
    assert math.isfinite(analysis.grad_error_bound["t"])
    assert analysis.grad_error_bound["p"] == math.inf
    assert (
        "none is proved for derivatives by `p`: a `damp` with a probability that reads counters may be "
        "arbitrarily steep" in analysis.reason
    )


def test_no_mass_beyond_does_not_prove_a_steep_channel() -> None:
    text = """qubit: q, d[2] para: t, w[3] count: c Ry(t)[q]; H[d[0]]; while M[q] = 0 do c := c + 1;
        CSWAP[d[0], d[1], q]; if not M[d[0], q] = 2 then c := M[q] else if M[q, d[1]] = 2 then
        damp(0.6 - 0.25*cos(w[c mod 3]))[d[0]] else C_R_XZ(t + w[c mod 3] + pi)[d[0]][d[1], q] fi;
        while 2*c < 3 and not flip(0.35) do depolarize(0.9)[d[0]] od fi; q := |0>; H[q]; X[q] od"""
    row = {"t": 0.34, "w[0]": 1.83, "w[1]": -0.52, "w[2]": 1.17}
    analysis = engine_for(text).analyze(row, parse_observable("c^2 + P1[q]"), ("t", "w[0]", "w[1]"))
    assert math.isfinite(analysis.grad_error_bound["t"])
    assert analysis.grad_error_bound["w[0]"] == analysis.grad_error_bound["w[1]"] == math.inf
    assert "by `w[0]`, `w[1]`: a `damp` with a probability that reads counters" in analysis.reason


# --- Parts ----------------------------------------------------------------------------------------


def test_traces_with_channels_are_adjoint() -> None:
    rng = np.random.default_rng(5)
    channels = [Channel(channel_record(name), 1, 0) for name in ("dephase", "depolarize", "damp")]
    maps = Maps([], [], [], {}, np.array([[0.3], [0.8]]), channels)
    ops = [(traces.CHANNEL, 0, 0, i) for i in range(3)] + [(traces.LEAF, 0, 0, 0), (traces.END, 0, 0, 0)]
    x, a = (rng.normal(size=(2, 1, 8, 8)) + 1j * rng.normal(size=(2, 1, 8, 8)) for _ in range(2))
    (after,), before = maps.forward(ops, x), maps.backward(ops, [a])
    assert before is not None
    assert_close(np.einsum("pcij,pcji->p", a, after), np.einsum("pcij,pcji->p", before, x), 1e-12)
    assert_close(after[1], maps.noise.forward(2, maps.noise.forward(1, maps.noise.forward(0, x)))[1], 0)


def test_a_majorant_is_above_a_derivative() -> None:
    rng = np.random.default_rng(6)
    factor = rng.normal(size=(8, 8)) + 1j * rng.normal(size=(8, 8))
    x = (factor @ factor.conj().T)[None, None]
    for name in ("dephase", "depolarize", "damp"):
        maps = ChannelMaps([Channel(channel_record(name), 2, 0)], np.array([[0.6], [0.99]]))
        change, above = maps.forward(0, x, 1), maps.majorant(0, x)
        for sign in (1, -1):
            assert np.linalg.eigvalsh(above + sign * change).min() > -1e-10
        norms = np.abs(np.linalg.eigvalsh(change[:, 0])).sum(axis=-1)
        assert (norms <= maps.l1(0) * np.trace(x[0, 0]).real * (1 + 1e-12)).all()


def test_where_a_channel_leaves_zeros() -> None:
    channels = [Channel(channel_record(name), 0, 0) for name in ("dephase", "damp")]
    ops = [
        (traces.RESET, 0, 0, 0b11),
        (traces.CHANNEL, 0, 0, 0),
        (traces.UNITARY, 0, 0, 0),
        (traces.RESET, 0, 0, 0b11),
        (traces.CHANNEL, 0, 0, 1),
        (traces.UNITARY, 0, 0, 0),
        (traces.LEAF, 0, 0, 0),
    ]
    found = occupied(ops, [], {0b11: ResetMap.on(0b11, 8)}, 8, channels)
    assert found[2] is not None
    assert found[2].tolist() == [0, 4]
    assert found[5] is not None
    assert found[5].tolist() == [0, 1, 4, 5]
