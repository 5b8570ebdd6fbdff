"""Pictures of estimates: every number on them is one of the estimate's."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.estimators.contributions import Contribution

PNG = b"\x89PNG\r\n\x1a\n"
PROGRAM = qd.parse("qubit: q, r para: t, u Ry(t)[q]; Rx(u)[r]; while M[q] = 1 do Ry(t)[q]; Rx(u)[r] od")
AT = {"t": 1.0, "u": 0.5}


def made(size: int = 1, **changes: Any) -> qd.Estimate:
    value = np.arange(size) / 10
    fields: dict[str, Any] = {"shots": 1000, "seed": 7, "estimator": "stratified"}
    return qd.Estimate(value, 0.1 + value, **(fields | changes))


def part(k: list[int], place: int = 0, name: str = "t", shots: int = 10) -> Contribution:
    number = np.array(k)
    return Contribution(place, name, number, 1.0 / (1 + number), 0.01 * (1 + number), 0 * number + shots)


@pytest.fixture(scope="module")
def estimate() -> qd.Estimate:
    f = qd.expectation(PROGRAM, "Z[r]")
    return f.estimate_grad(AT, precision=1e-9, max_shots=12_000, seed=1)


def bars(ax: Any) -> list[ErrorbarContainer]:
    return [one for one in ax.containers if isinstance(one, ErrorbarContainer)]


def test_contributions_shots_and_errors(estimate: qd.Estimate) -> None:
    left, middle, right = estimate.plot().axes
    for (points, _, (reach,)), one in zip(bars(left), estimate.contributions, strict=True):
        np.testing.assert_allclose(points.get_ydata(), one.value)
        ends = np.array([segment[:, 1] for segment in reach.get_segments()])
        np.testing.assert_allclose(ends, np.stack([one.value - 2 * one.stderr, one.value + 2 * one.stderr]).T)
        listed = one.occurrence > 0
        np.testing.assert_allclose(points.get_xdata()[listed], one.occurrence[listed], rtol=0.02, atol=0.1)
    for (points, line), one in zip((middle.lines[:2], middle.lines[2:]), estimate.contributions, strict=True):
        spent = one.shots > 0
        assert points.get_ydata().tolist() == one.shots[spent].tolist()
        assert line.get_ydata().tolist() == one.shots[spent & (one.occurrence > 0)].tolist()
    assert middle.get_yscale() == "log"
    shots, errors = [n for n, _, _ in estimate.course], np.array([stderr for _, _, stderr in estimate.course])
    *curves, root = right.lines
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")
    for i, curve in enumerate(curves):
        assert curve.get_xdata().tolist() == shots
        assert curve.get_ydata().tolist() == errors[:, i].tolist()
    x, y = root.get_data()
    np.testing.assert_allclose(y * np.sqrt(x), max(estimate.stderr) * math.sqrt(estimate.shots))
    assert [text.get_text() for text in right.texts] == ["1/√n"]


def test_words(estimate: qd.Estimate) -> None:
    figure = estimate.plot()
    left, middle, right = figure.axes
    assert figure.get_suptitle() == '"stratified": 12000 shots, seed 1'
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["t", "u"]
    assert left.get_title() == "what each occurrence contributes"
    assert left.get_ylabel() == "contribution (± 2 standard errors)"
    pilots = 12_000 - sum(int(one.shots.sum()) for one in estimate.contributions)
    assert middle.get_title() == f"shots spent on it ({pilots} more in pilots)"
    assert [ax.get_xlabel() for ax in (left, middle, right)] == ["occurrence (rest: drawn at random)"] * 2 + [
        "shots"
    ]
    assert [tick.get_text() for tick in left.get_xticklabels()][-1] == "rest"
    doubted = replace(estimate, reason="too few")
    assert doubted.plot().get_suptitle().endswith(", seed 1, intervals not trusted")


def test_it_is_saved_and_shown(estimate: qd.Estimate, tmp_path: Path) -> None:
    figure = estimate.plot(tmp_path / "a.png")
    assert isinstance(figure, Figure)
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)
    assert figure._repr_png_().startswith(PNG)  # type: ignore[attr-defined]  # what a notebook shows
    same = qd.plot.plot_estimate(estimate, tmp_path / "b.pdf")
    assert len(same.axes) == 3
    assert (tmp_path / "b.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(QdiffError, match="needs a suffix that says its format"):
        estimate.plot(tmp_path / "a")


@pytest.mark.parametrize("many", [False, True])
def test_occurrences_are_where_the_axis_says(many: bool) -> None:
    """Logarithmic where there are many; the rest stands at the right end, within a shade."""
    k = [0, 1, 2, 3, 10, 300] if many else [0, 1, 2, 3, 10]
    left, middle, _ = made(contributions=(part(k),)).plot().axes
    x = np.asarray(bars(left)[0][0].get_xdata())
    assert x[1:].tolist() == k[1:]
    for ax in (left, middle):
        assert ax.get_xscale() == ("log" if many else "linear")
        (shade,) = ax.patches
        edge, end = shade.get_x(), shade.get_x() + shade.get_width()
        assert k[-1] < edge < x[0] < end == pytest.approx(ax.get_xlim()[1])
        labels = {tick.get_text(): at for tick, at in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)}
        assert labels["rest"] == x[0]
        assert all(float(label) == at for label, at in labels.items() if label != "rest")
        assert 4 < len(labels) < 13


def test_without_a_rest() -> None:
    left, middle, _ = made(contributions=(part([1, 2]),), shots=20).plot().axes
    assert not left.patches
    assert left.get_xlabel() == "occurrence"
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["1", "2"]
    assert middle.get_title() == "shots spent on it"


def test_values_and_trajectories_have_their_course_only() -> None:
    value = qd.expectation(PROGRAM, "Z[r]").estimate(AT, precision=0.005, seed=1)
    (ax,) = value.plot().axes
    assert [len(line.get_xdata()) for line in ax.lines] == [len(value.course), 2]
    assert ax.get_legend() is None
    slopes = qd.expectation(PROGRAM, "Z[r]").estimate_grad(AT, shots=500, seed=1, estimator="trajectory")
    (ax,) = slopes.plot().axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["value[0]", "value[1]"]


def test_jacobians_name_their_rows() -> None:
    f = qd.expectation(PROGRAM, ["Z[r]", "X[r]"])
    left, *_ = f.estimate_jacobian(AT, ["t", "u"], shots=2000, seed=1).plot().axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        f"{name}, value[{row}]" for row in (0, 1) for name in ("t", "u")
    ]


def test_of_many_numbers_those_with_the_largest_errors() -> None:
    (ax,) = made(9).plot().axes
    legend = ax.get_legend()
    assert legend.get_title().get_text() == "the largest errors of 9"
    assert [text.get_text() for text in legend.get_texts()] == [f"value[{i}]" for i in range(3, 9)]
    left, *_ = made(9, contributions=tuple(part([1], i, f"t{i}") for i in range(9))).plot().axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [f"t{i}" for i in range(3, 9)]


@pytest.mark.parametrize(("shots", "text"), [(0, "exact, without shots"), (50, "all runs gave the same")])
def test_nothing_to_draw(shots: int, text: str, tmp_path: Path) -> None:
    exact = qd.Estimate(np.zeros(2), np.zeros(2), shots, 7, "stratified")
    (ax,) = exact.plot(tmp_path / "a.png").axes
    assert [one.get_text() for one in ax.texts] == [text]


def test_some_errors_are_zero(tmp_path: Path) -> None:
    """Derivatives that are exactly zero have no place on a logarithmic axis."""
    mixed = qd.Estimate(
        np.zeros(2), np.array([0.0, 0.1]), 100, 7, "stratified", contributions=(part([1], 1),)
    )
    left, middle, right = mixed.plot(tmp_path / "a.png").axes
    assert len(bars(left)) == len(middle.lines) // 2 == 1
    assert [line.get_label() for line in right.lines[:-1]] == ["t"]
