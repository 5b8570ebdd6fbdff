"""Landscapes: the grid, the numbers on it, and what is drawn of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from exact_reference import ReferenceEngine
from helpers import assert_close

import qdiff as qd
from qdiff.errors import BatchError, ParameterError, QdiffError

TEXT = (
    "qubit: q, r para: t, p, w[2], n count: c "
    "Ry(t)[q]; Rx(w[0])[r]; Rx(w[1])[r]; if flip(p) then c := 1 fi; if n < 1 then c := c + 2 fi"
)
START = {"t": 1.0, "p": 0.25, "w": [0.5, 2.0], "n": 3}


@pytest.fixture(scope="module")
def f() -> qd.Objective:
    program = qd.parse(TEXT)
    return qd.expectation(program, "Z[q] + Z[r] + c", engine=ReferenceEngine(program))


@pytest.fixture(scope="module")
def run(f: qd.Objective) -> qd.TrainingResult:
    return qd.maximize(f, START, wrt=["t", "p"], optimizer=qd.GradientDescent(lr=0.05), steps=8)


def test_along_one_parameter(f: qd.Objective) -> None:
    found = qd.landscape(f, "t", (0, 3, 7), params=START)
    assert found.names == ("t",)
    assert_close(found.points[0], np.linspace(0, 3, 7))
    assert_close(found.values, np.cos(found.points[0]) + math.cos(2.5) + 0.25)
    assert found.gradients is not None
    assert_close(found.gradients, -np.sin(found.points[0])[:, None])
    assert_close(found.params, {"t": 0, "p": 0.25, "w[0]": 0.5, "w[1]": 2, "n": 3})
    (ax,) = found.plot().axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("t (radians)", "⟨c + Z[q] + Z[r]⟩")
    assert_close(ax.lines[0].get_ydata(), found.values)
    assert repr(found) == (
        "Landscape(c + Z[q] + Z[r]; t: 7 points in [0, 3]; values in [-1.54114, 0.448856])"
    )


@pytest.mark.parametrize(
    "given", [{"w": [0.5, 2.0]}, {"w[0]": 0.5, "w[1]": 2.0}, {"w": [7, 2]}, {"w[1]": 2.0}]
)
def test_along_an_element_of_an_array(f: qd.Objective, given: dict[str, object]) -> None:
    found = qd.landscape(f, "w[0]", [0, 1, 2], params={"t": 0, "p": 0, "n": 3, **given})
    assert_close(found.values, [1 + math.cos(w + 2) for w in (0, 1, 2)])
    assert found.plot().axes[0].get_xlabel() == "w[0] (radians)"


def test_over_two_parameters(f: qd.Objective, tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = qd.landscape(f, ("p", "t"), ((0, 1, 3), [0.5, 1, 1.5, 2]), params=START)
    p, t = np.meshgrid(*found.points, indexing="ij")
    assert_close(found.values, np.cos(t) + math.cos(2.5) + p)
    assert found.gradients is not None
    assert found.gradients.shape == (3, 4, 2)
    assert_close(found.gradients, np.stack([np.ones_like(t), -np.sin(t)], axis=-1))
    ax, bar = found.plot(tmp_path / "a.png").axes
    labels = (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel())
    assert labels == ("p", "t (radians)", "⟨c + Z[q] + Z[r]⟩")
    assert (tmp_path / "a.png").exists()


def test_where_nothing_is_said(f: qd.Objective) -> None:
    assert_close(qd.landscape(f, "t", params=START).points[0], np.linspace(0, 2 * math.pi, 101))
    assert_close(qd.landscape(f, "p", params=START).points[0], np.linspace(0, 1, 101))
    program = f.program.bind(w=[0, 0], n=3)
    g = qd.expectation(program, "Z[q]", engine=ReferenceEngine(program))
    p, t = qd.landscape(g, ["p", "t"]).points
    assert_close((p[-1], t[-1], len(p), len(t)), (1, 2 * math.pi, 41, 41))


def test_a_compared_parameter_has_a_landscape_without_derivatives(f: qd.Objective) -> None:
    found = qd.landscape(f, "n", [0, 0.5, 1, 2], params=START)
    assert found.gradients is None
    assert_close(np.diff(found.values), [0, -2, 0])
    assert found.plot().axes[0].get_xlabel() == "n"


def test_derived_objectives_have_landscapes(f: qd.Objective) -> None:
    found = qd.landscape(qd.expectation(f.program, "c", engine=f.engines.chosen).variance, "p", params=START)
    assert_close(found.values, found.points[0] * (1 - found.points[0]))
    assert found.plot().axes[0].get_ylabel() == "Var(c)"


def test_a_run_on_a_curve(f: qd.Objective, run: qd.TrainingResult) -> None:
    found = qd.landscape(f, "t", (0, 2, 9), run=run)
    assert found.params["p"] == run.params["p"]
    whole, close, bar = found.plot().axes
    near = close.lines[0].get_xdata()
    assert set(np.linspace(0, 2, 9)) < set(found.points[0])
    assert len(near) >= 60
    assert near.min() <= run.history.x[:, 0].min() <= run.history.x[:, 0].max() <= near.max()
    (points,) = close.collections
    assert_close(points.get_offsets(), np.column_stack([run.history.x[:, 0], run.history.value]))
    assert (whole.get_title(), bar.get_ylabel()) == ("the landscape", "step")


def test_a_run_on_a_surface(f: qd.Objective, run: qd.TrainingResult) -> None:
    found = qd.landscape(f, ("t", "p"), ((0, 2, 5), (0, 1, 5)), run=run)
    path, *_ = found.plot().axes[0].lines
    assert_close(path.get_xydata(), run.history.x)


def test_points_without_a_value(f: qd.Objective) -> None:
    with pytest.raises(BatchError) as caught:
        qd.landscape(f, "p", (-1, 1, 5), params=START)
    assert str(caught.value) == (
        "2 of 5 points have no value:\n"
        "  p = -1: the probability -1.0 is outside [0, 1]\n"
        "  p = -0.5: the probability -0.5 is outside [0, 1]"
    )
    assert np.isnan(caught.value.values).tolist() == [True, True, False, False, False]
    with pytest.raises(BatchError, match=r"\n  and 2 more$"):
        qd.landscape(f, "p", (-2, -1, 5), params=START)


@pytest.mark.parametrize(
    ("names", "values", "params", "message"),
    [
        ("u", [0, 1], START, "`u` is not a single parameter. Parameters: t, p, w[0], w[1], n."),
        ("w", [0, 1], START, "`w` is not a single parameter. Parameters: t, p, w[0], w[1], n."),
        ("t", [0, 1], {"p": 0, "n": 0}, "Parameter values: no value for w[0], w[1]. "
         "Parameters: t, p, w[2], n."),
        ("t", [0], START, "values must be a flat sequence of at least two finite numbers."),
        ("t", [0, math.nan], START, "values must be a flat sequence of at least two finite numbers."),
        ("t", [[0, 1]], START, "values must be a flat sequence of at least two finite numbers."),
        ("t", ["a", "b"], START, "values must be a flat sequence of at least two finite numbers."),
        ("t", (0, 1, 1), START, "values: a tuple of three is (start, stop, count) with a count from 2; got "
         "(0, 1, 1). Numbers come in a list or an array."),
        ("t", (0, 1, 2.5), START, "values: a tuple of three is (start, stop, count) with a count from 2; got "
         "(0, 1, 2.5). Numbers come in a list or an array."),
        ("n", None, START, "Say where to vary `n`: values=(start, stop, count) or numbers."),
        (("t", "t"), None, START, "A landscape is over one parameter or two different ones, not t, t."),
        (("t", "p", "n"), None, START, "A landscape is over one parameter or two different ones, not "
         "t, p, n."),
        (("t", "p"), [0, 1, 2], START, "For two parameters values is a pair, one for each: "
         "((0, 3, 50), [1, 1.5, 2])."),
        (("t", "p"), ([0, 1], 3), START, "values[1] must be a flat sequence of at least two finite numbers."),
    ],
)  # fmt: skip
def test_what_does_not_fit(f: qd.Objective, names, values, params, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError) as caught:
        qd.landscape(f, names, values, params=params)
    assert str(caught.value) == message


def test_runs_that_do_not_fit(f: qd.Objective, run: qd.TrainingResult) -> None:
    for names in ("w[0]", ("t", "w[0]")):
        with pytest.raises(ParameterError) as caught:
            qd.landscape(f, names, run=run)
        assert str(caught.value) == "The run did not train `w[0]`. It trained t, p."


def test_only_single_values_have_landscapes(f: qd.Objective) -> None:
    with pytest.raises(
        QdiffError, match=r"A landscape is of an objective with one value, such as f\[0\]; got Vec"
    ):
        qd.landscape(qd.expectation(f.program, ["c"]), "t")  # type: ignore[arg-type]


def test_the_probability_of_a_channel_goes_from_0_to_1() -> None:
    f = qd.expectation(qd.parse("qubit: q para: p, t Ry(t)[q]; depolarize(p)[q]"), "Z[q]")
    found = qd.landscape(f, "p", params={"t": 0.7})
    assert (found.points[0].min(), found.points[0].max()) == (0, 1)
