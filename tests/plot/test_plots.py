"""Pictures: what is on them, that they are saved, and that they touch nothing global."""

from __future__ import annotations

import errno
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import qdiff.errors
from qdiff.errors import ParameterError, QdiffError
from qdiff.estimators.estimate import with_error
from qdiff.lang.expr import Parameter, number
from qdiff.lang.tree import Flip, Gate, If, Program, Register, Skip
from qdiff.plot import plot_curve, plot_run, plot_surface
from qdiff.plot.figure import value_label
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
    figure = plot_run(trained)
    (ax,) = figure.axes
    curve, end = ax.lines
    assert curve.get_xdata().tolist() == list(range(21))
    assert curve.get_ydata().tolist() == trained.history.value.tolist()
    assert (end.get_xdata()[0], end.get_ydata()[0]) == (20, trained.value)
    assert [text.get_text() for text in ax.texts] == [f"{trained.value:.6g}"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "⟨Z[q]⟩")
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_errors_are_a_band(trained):
    (ax,) = plot_run(trained).axes
    assert not ax.collections
    assert ax.get_legend() is None
    stderr = np.linspace(0, 0.1, 21)
    stderr[5] = math.inf
    history = replace(trained.history, value_stderr=stderr)
    (ax,) = plot_run(replace(trained, history=history)).axes
    (band,) = ax.collections
    corners = np.concatenate([path.vertices for path in band.get_paths()])
    for step, (value, error) in enumerate(zip(history.value, stderr, strict=True)):
        heights = corners[corners[:, 0] == step][:, 1]
        if step == 5:
            assert not len(heights)
        else:
            assert (heights.min(), heights.max()) == pytest.approx((value - 2 * error, value + 2 * error))
    assert [text.get_text() for text in ax.texts] == [with_error(trained.value, 0.1)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["± 2 standard errors"]


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


def test_a_run_on_a_curve(trained, tmp_path):
    values = np.linspace(0, 2 * math.pi, 50)
    points = (trained.history.x[:, 0], trained.history.value)
    figure = plot_curve(values, np.cos(values), points, "t (radians)", "⟨Z[q]⟩", tmp_path / "a.png")
    ax, bar = figure.axes
    curve, start, end = ax.lines
    assert curve.get_xdata().tolist() == values.tolist()
    assert start.get_xydata().tolist() == [[1.0, trained.history.value[0]]]
    assert end.get_xydata().tolist() == [[trained.x[0], trained.value]]
    (drawn,) = ax.collections
    assert drawn.get_offsets().tolist() == np.column_stack(points).tolist()
    assert drawn.get_array().tolist() == list(range(21))
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("t (radians)", "⟨Z[q]⟩", "step")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        f"start (1, {trained.history.value[0]:.6g})",
        f"end ({trained.x[0]:.5g}, {trained.value:.6g})",
    ]
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def test_a_run_that_covers_little_of_a_curve_is_enlarged_beside_it():
    values, run = np.linspace(0, 6, 60), ([1.0, 1.2, 1.1], [0.5, 0.3, 0.2])
    whole, close, bar = plot_curve(values, np.cos(values), run, "t (radians)").axes
    assert whole.get_title() == "the landscape"
    (shaded,) = whole.patches
    low, high = shaded.get_x(), shaded.get_x() + shaded.get_width()
    assert (low, high) == pytest.approx((1.0 - 0.15 * 0.2, 1.2 + 0.15 * 0.2))
    assert not whole.collections
    (points,) = close.collections
    assert points.get_offsets()[:, 0].tolist() == run[0]
    assert close.get_title() == "the training run (shaded on the left)"
    assert close.get_xlabel() == whole.get_xlabel() == "t (radians)"
    assert bar.get_ylabel() == "step"


def test_nothing_is_enlarged_on_axes_that_are_given():
    figure = Figure()
    plot_curve(np.linspace(0, 6, 9), np.zeros(9), ([1.0, 1.1], [0, 0]), ax=figure.add_subplot())
    ax, bar = figure.axes
    assert (len(ax.collections), bar.get_ylabel()) == (1, "step")


def test_a_curve_from_numbers(tmp_path):
    figure = plot_curve(
        [0, 1, 2], [3, 2, 3], run=([0.5], [2.5]), xlabel="2t (radians)", path=tmp_path / "a.pdf"
    )
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("2t (radians)", "value")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_a_surface_with_a_run_on_it(tmp_path):
    x, y = np.linspace(0, 1, 4), np.linspace(2, 3, 5)
    value = np.add.outer(x, y)
    run = ([0.1, 0.2, 0.4], [2.1, 2.5, 2.9])
    figure = plot_surface(x, y, value, run, "t (radians)", "p", "⟨c⟩", tmp_path / "a.png")
    ax, bar = figure.axes
    assert ax.collections[0].get_array().reshape(5, 4).tolist() == value.T.tolist()
    assert len(ax.collections) > 1  # the level lines
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("t (radians)", "p", "⟨c⟩")
    path, start, end = ax.lines
    assert path.get_xydata().tolist() == np.column_stack(run).tolist()
    assert (start.get_xydata().tolist(), end.get_xydata().tolist()) == ([[0.1, 2.1]], [[0.4, 2.9]])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["start (0.1, 2.1)", "end (0.4, 2.9)"]
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def test_a_flat_surface_has_no_level_lines():
    ax, _ = plot_surface([0, 1], [0, 1], np.ones((2, 2))).axes
    assert len(ax.collections) == 1


def test_what_a_value_is_called():
    assert value_label("Z[q]" * 20) == value_label("") == "value"
    assert value_label("c/4") == "⟨c/4⟩"
    assert value_label("Var(c)") == "Var(c)"
    assert value_label("E(c | end)") == "E(c | end)"


# --- Refusals -----------------------------------------------------------------------------------


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
        plot_curve(x, value, run)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "run", "message"),
    [
        ([[1, 2, 3]], None, "value must be 2 × 2 finite numbers, got shape (1, 3)."),
        ([[1, 2], [3, math.nan]], None, "value must be 2 × 2 finite numbers, got shape (2, 2)."),
        (np.ones((2, 2)), ([1, 2], [1]), "run[0] has 2 numbers and run[1] has 1."),
    ],
)
def test_surfaces_that_do_not_fit(value, run, message):
    with pytest.raises(ParameterError) as caught:
        plot_surface([0, 1], [0, 1], value, run)
    assert str(caught.value) == message


def test_a_picture_is_there_whole_or_not_at_all(trained, tmp_path, monkeypatch):
    old = tmp_path / "a.png"
    old.write_bytes(b"old")
    monkeypatch.setattr("pathlib.Path.replace", _fails)
    with pytest.raises(QdiffError, match="cannot be written: No space left on device"):
        trained.plot(old)
    assert old.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def _fails(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_picture_without_a_format(trained, tmp_path):
    with pytest.raises(QdiffError) as caught:
        trained.plot(tmp_path / "picture")
    assert str(caught.value) == (
        f"The picture `{tmp_path / 'picture'}` needs a suffix that says its format, such as .png."
    )


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
