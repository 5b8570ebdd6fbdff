"""Pictures: what is on them, that they are saved, and that they touch nothing global."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import qdiff.errors
from qdiff.errors import ParameterError, QdiffError
from qdiff.lang.expr import Parameter, number
from qdiff.lang.tree import Flip, Gate, If, Program, Register, Skip
from qdiff.plot import landscape, plot_landscape, plot_training
from qdiff.train import LBFGSB, Adam, maximize, minimize

ROOT = Path(qdiff.errors.__file__).parents[1]
PNG = b"\x89PNG\r\n\x1a\n"


class Wave:
    """f = cos(t) + p/2 + w[0] w[1], of a program where t is an angle and p a probability."""

    observable = "Z[q]"
    program = Program(
        qubit_registers=(Register("q"),),
        parameter_registers=(Register("t"), Register("p"), Register("w", 2)),
        counter_registers=(),
        body=(
            Gate("Ry", (Parameter("t"),), (), ("q",)),
            Gate("Ry", (Parameter("w[0]"),), (), ("q",)),
            Gate("Ry", (Parameter("w[1]"),), (), ("q",)),
            If(Flip(Parameter("p")), (Gate("Rx", (number(1),), (), ("q",)),), (Skip(),)),
        ),
    )

    def __call__(self, params):
        return self.value_and_grad(params)[0]

    def value_and_grad(self, params, wrt=("t", "p", "w[0]", "w[1]")):
        t, p, v, w = (params[name] for name in self.program.parameters)
        grad = {"t": -math.sin(t), "p": 0.5, "w[0]": w, "w[1]": v}
        return math.cos(t) + p / 2 + v * w, np.array([grad[name] for name in wrt])


START = {"t": 1.0, "p": 0.25, "w": [0.5, 2.0]}


@pytest.fixture(scope="module")
def trained():
    return minimize(Wave(), START, wrt="t", optimizer=Adam(lr=0.3), steps=20)


def test_the_value_against_the_steps(trained):
    figure = plot_training(trained)
    (ax,) = figure.axes
    curve, end = ax.lines
    assert curve.get_xdata().tolist() == list(range(21))
    assert curve.get_ydata().tolist() == trained.history.value.tolist()
    assert (end.get_xdata()[0], end.get_ydata()[0]) == (20, trained.value)
    assert [text.get_text() for text in ax.texts] == [f"{trained.value:.6g}"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "⟨Z[q]⟩")
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_a_result_plots_itself(trained, tmp_path):
    path = tmp_path / "training.png"
    figure = trained.plot(path)
    assert isinstance(figure, Figure)
    assert path.read_bytes().startswith(PNG)
    assert figure._repr_png_().startswith(PNG)  # what a notebook shows
    width, height = figure.get_size_inches() * figure.dpi
    assert (width, height) == (960, 630)


def test_drawing_on_axes_that_are_there(trained):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert trained.plot(ax=right) is figure
    assert not left.lines
    assert len(right.lines) == 2
    inner = Figure().subfigures(1, 1)
    assert isinstance(trained.plot(ax=inner.add_subplot()), Figure)


@pytest.mark.parametrize(
    "result",
    [
        minimize(lambda x: (x @ x, 2 * x), [1.0], steps=0),
        maximize(lambda x: (-(x @ x), -2 * x), [1.0], steps=300),
        minimize(lambda x: (x @ x, 2 * x), [1.0], optimizer=LBFGSB()),
    ],
)
def test_short_and_long_runs(result, tmp_path):
    figure = result.plot(tmp_path / "run.svg")
    assert figure.axes[0].get_ylabel() == "value"
    assert (tmp_path / "run.svg").stat().st_size > 1000


def test_a_landscape_with_the_run_on_it(trained, tmp_path):
    values = np.linspace(0, 2 * math.pi, 50)
    path = tmp_path / "landscape.png"
    figure = landscape(Wave(), "t", values, training=trained, path=path)
    ax, bar = figure.axes
    curve, start, end = ax.lines
    assert curve.get_xdata().tolist() == values.tolist()
    assert curve.get_ydata() == pytest.approx(np.cos(values) + 0.125 + 1)
    assert start.get_xydata().tolist() == [[1.0, trained.history.value[0]]]
    assert end.get_xydata().tolist() == [[trained.x[0], trained.value]]
    (points,) = ax.collections
    assert (
        points.get_offsets().tolist()
        == np.column_stack([trained.history.x[:, 0], trained.history.value]).tolist()
    )
    assert points.get_array().tolist() == list(range(21))
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("t (radians)", "⟨Z[q]⟩", "step")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"start (1, {trained.history.value[0]:.6g})",
        f"end ({trained.x[0]:.5g}, {trained.value:.6g})",
    ]
    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    "given", [{"w": [0.5, 2.0]}, {"w[0]": 0.5, "w[1]": 2.0}, {"w": [7, 2]}, {"w[1]": 2.0}]
)
def test_a_landscape_along_an_element_of_an_array(given):
    figure = landscape(Wave(), "w[0]", [0, 1, 2], params={"t": 0, "p": 0, **given})
    (ax,) = figure.axes
    assert ax.lines[0].get_ydata().tolist() == [1, 3, 5]
    assert ax.get_xlabel() == "w[0] (radians)"
    assert ax.get_legend() is None


def test_a_run_that_covers_little_is_enlarged_beside_the_landscape(tmp_path):
    run = minimize(Wave(), {**START, "t": 3.0}, wrt="t", optimizer=Adam(lr=0.05), steps=20)
    path, first, last = run.history.x[:, 0], run.history.x[:, 0].min(), run.history.x[:, 0].max()
    values = np.linspace(0, 2 * math.pi, 9)
    figure = landscape(Wave(), "t", values, training=run, path=tmp_path / "pair.png")
    whole, close, bar = figure.axes
    assert set(values) < set(whole.lines[0].get_xdata())
    assert not whole.collections
    assert whole.get_title() == "the landscape"
    (shaded,) = whole.patches
    low, high = shaded.get_x(), shaded.get_x() + shaded.get_width()
    margin = 0.15 * (last - first)
    assert (low, high) == pytest.approx((first - margin, last + margin))
    curve = close.lines[0].get_xydata()
    assert len(curve) >= 60
    assert (curve[:, 0].min(), curve[:, 0].max()) == pytest.approx((low, high))
    assert curve[:, 1] == pytest.approx(np.cos(curve[:, 0]) + 0.125 + 1)
    (points,) = close.collections
    assert points.get_offsets()[:, 0].tolist() == path.tolist()
    assert close.get_title() == "the training run (shaded on the left)"
    assert close.get_xlabel() == whole.get_xlabel() == "t (radians)"
    assert bar.get_ylabel() == "step"


def test_nothing_is_enlarged_on_axes_that_are_given():
    run = minimize(Wave(), {**START, "t": 3.0}, wrt="t", optimizer=Adam(lr=0.05), steps=20)
    figure = Figure()
    landscape(Wave(), "t", np.linspace(0, 6, 9), training=run, ax=figure.add_subplot())
    ax, bar = figure.axes
    assert len(ax.lines[0].get_xdata()) == 9
    assert (len(ax.collections), bar.get_ylabel()) == (1, "step")


def test_a_probability_is_not_in_radians():
    (ax,) = landscape(Wave(), "p", [0, 1], params=START).axes
    assert ax.get_xlabel() == "p"


def test_a_landscape_from_numbers(tmp_path):
    figure = plot_landscape(
        [0, 1, 2], [3, 2, 3], run=([0.5], [2.5]), xlabel="2t (radians)", path=tmp_path / "a.pdf"
    )
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("2t (radians)", "value")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_a_long_observable_is_no_label(trained):
    from qdiff.plot.figure import expectation_label

    assert expectation_label("Z[q]" * 20) == expectation_label("") == "value"


# --- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "params", "message"),
    [
        ("u", [0, 1], START, "`u` is not a single parameter. Parameters: t, p, w[0], w[1]."),
        ("w", [0, 1], START, "`w` is not a single parameter. Parameters: t, p, w[0], w[1]."),
        ("t", [0, 1], {"p": 0}, "Parameter values: no value for w[0], w[1]. Parameters: t, p, w[2]."),
        ("t", [0], START, "values must be a flat sequence of at least two finite numbers."),
        ("t", [0, math.nan], START, "values must be a flat sequence of at least two finite numbers."),
        ("t", [[0, 1]], START, "values must be a flat sequence of at least two finite numbers."),
        ("t", ["a", "b"], START, "values must be a flat sequence of at least two finite numbers."),
    ],
)
def test_a_landscape_of_what_is_not_there(name, values, params, message):
    with pytest.raises(ParameterError) as caught:
        landscape(Wave(), name, values, params=params)
    assert str(caught.value) == message


def test_a_run_that_trained_something_else(trained):
    with pytest.raises(ParameterError) as caught:
        landscape(Wave(), "p", [0, 1], training=trained)
    assert str(caught.value) == "The run did not train `p`. It trained t."


@pytest.mark.parametrize(
    ("x", "value", "run", "message"),
    [
        ([0, 1], [0, 1, 2], None, "x has 2 numbers and value has 3."),
        ([0, 1], [0, 1], ([1, 2], [1]), "run[0] has 2 numbers and run[1] has 1."),
        ([0, 1], [0, 1], ([], []), "run[0] must be a flat sequence of at least one finite number."),
    ],
)
def test_numbers_that_do_not_fit(x, value, run, message):
    with pytest.raises(ParameterError) as caught:
        plot_landscape(x, value, run)
    assert str(caught.value) == message


def test_a_picture_that_cannot_be_saved(trained, tmp_path):
    with pytest.raises(QdiffError) as caught:
        trained.plot(tmp_path / "no" / "a.png")
    assert str(caught.value) == (
        f"The picture `{tmp_path / 'no' / 'a.png'}` cannot be written: No such file or directory."
    )
    with pytest.raises(QdiffError) as caught:
        trained.plot(tmp_path / "a.word")
    assert str(caught.value).startswith(
        f"The picture `{tmp_path / 'a.word'}` cannot be written: Format 'word' is not supported"
    )
    assert not list(tmp_path.iterdir())


HEADLESS = """
import sys
from qdiff.train import minimize
import qdiff.plot
heavy = ("matplotlib", "scipy.optimize", "tqdm", "sympy", "qiskit")
print([name for name in heavy if name in sys.modules])
result = minimize(lambda x: (x @ x, 2 * x), [1.0], steps=3)
result.plot(sys.argv[1])
import matplotlib
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams == matplotlib.rcParamsDefault)
"""


def test_nothing_heavy_loads_early_and_nothing_global_changes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HEADLESS, str(tmp_path / "a.png")],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[]", "False True"]
