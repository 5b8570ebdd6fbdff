"""Sums over random events: against runs by hand, outcome by outcome, and of mean 0."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from reference.histories import Run, drawn
from sim.machine.sampled import ALL

from qdiff.lang import tree as qt
from qdiff.lang.observable import Observable, Term
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.machine.adjoint_events import KNOTS, MOST_LANES, MOST_SUMS, events_of
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.machine.lowering import lower
from qdiff.sim.protocol import Job, Readout, Surprises

NOTHING = Observable([Term(1.0)])


def surprises(
    program: Program, params: Mapping[str, float], shots: int, seed: int = 3, **options: int
) -> Surprises:
    """What the machine tells of runs."""
    backend = TrajectoryBackend(threads=1, **options)
    prepared = backend.prepare_gradient(program, [NOTHING], program.trainable)
    [found] = backend.run_gradients([Job(prepared, params, shots, seed)])
    assert found.surprises is not None
    return found.surprises


class Told(Run):
    """A run that notes at which statement which outcome was found, and with which probabilities."""

    def __init__(self, *given: object, **options: object) -> None:
        super().__init__(*given, **options)  # type: ignore[arg-type]
        self.events: list[tuple[object, int, list[float]]] = []
        self.place: object = None
        TOLD.append(self)

    def chosen(self, weights: Sequence[float]) -> int:
        outcome = super().chosen(weights)
        if self.place is not None:
            self.events.append((self.place, outcome, [weight / sum(weights) for weight in weights]))
        self.place = None
        return outcome

    def flip(self, probability: object) -> bool:
        self.place = ("flip", str(probability))
        return super().flip(probability)  # type: ignore[arg-type]

    def measure(self, qubits: tuple[str, ...]) -> int:
        self.place = ("measured", qubits)
        return super().measure(qubits)

    def channel(self, channel: qt.Channel) -> None:
        self.place = ("channel", channel.name)
        super().channel(channel)


TOLD: list[Told] = []


def hats(n: int, knots: np.ndarray) -> np.ndarray:
    """What each knot has of event n."""
    k = min(max(int(np.searchsorted(knots, n, side="right")) - 1, 0), len(knots) - 2)
    found = np.zeros(len(knots))
    found[k + 1] = (n - knots[k]) / (knots[k + 1] - knots[k])
    found[k] = 1 - found[k + 1]
    return found


def by_hand(
    program: Program, params: Mapping[str, float], shot: int, lanes: Sequence[tuple[object, int]]
) -> np.ndarray:
    """float (lanes, knots): the sums of a run for lanes (place, outcome)."""
    TOLD.clear()
    drawn(program, NOTHING, params, program.trainable, 3, shot, Told)
    [run] = TOLD
    found, visits = np.zeros((len(lanes), len(KNOTS))), defaultdict[object, int](int)
    for place, outcome, weights in run.events:
        if weights[outcome] > 1 - 1e-12:
            continue
        for lane, (where, told) in enumerate(lanes):
            if where == place:
                found[lane] += hats(visits[place], KNOTS) * ((outcome == told) - weights[told])
        visits[place] += 1
    return found


SUBJECTS = {
    "loop": ("qubit: q\npara: t\nRy(t)[q]; while M[q] = 1 do Ry(t)[q] od", {"t": 2.9}, [(("q",), 1)]),
    "flip": ("qubit: q\npara: p\nwhile not flip(p) do Rx(p)[q] od", {"p": 0.02}, []),
    "two loops": (
        "qubit: q, r\npara: t\nRy(t)[q]; Ry(t)[r]; while M[q] = 1 do while M[r] = 1 do Ry(t)[r] od; "
        "q := |0>; Ry(t)[q]; Rx(t)[r] od",
        {"t": 1.9},
        [(("q",), 1), (("r",), 1)],
    ),
    "case": (
        "qubit: q, r\npara: t\nRy(t)[q]; Rxx(t)[q, r]; H[r]; "
        "case M[q, r] of 0: skip | 3: X[q] | else: Ry(t)[q] esac",
        {"t": 0.9},
        [(("q", "r"), 0), (("q", "r"), 3)],
    ),
    "one of several outcomes": (
        "qubit: q, r\npara: t\nRy(t)[q]; Ry(t)[r]; while M[q, r] = 2 do Ry(t)[q]; Ry(t)[r] od",
        {"t": 1.4},
        [(("q", "r"), 2)],
    ),
    "stored": (
        "qubit: q, r\npara: t\ncount: c\nRy(t)[q]; Rxx(t)[q, r]; c := M[q, r]",
        {"t": 0.9},
        [(("q", "r"), 1), (("q", "r"), 2), (("q", "r"), 3)],
    ),
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_sums_are_those_of_runs_by_hand(name: str) -> None:
    text, params, outcomes = SUBJECTS[name]
    program = parse(text)
    lanes: list[tuple[object, int]] = [(("measured", qubits), v) for qubits, v in outcomes]
    found = surprises(program, params, 40)
    # A flip's first outcome is that it is true.
    lanes = lanes or [(("flip", "p"), 0)]
    for shot in range(40):
        expected = by_hand(program, params, shot, lanes)
        whole = np.zeros_like(expected)
        whole[found.kinds, np.searchsorted(KNOTS, found.knots)] = found.sums[shot]
        np.testing.assert_allclose(whole, expected, atol=1e-9)


def test_events_of_long_runs_go_on_in_a_line() -> None:
    """Some runs of the subject have more events than the last knot says."""
    text, params, _ = SUBJECTS["flip"]
    found = surprises(parse(text), params, 40)
    assert found.knots[-1] == KNOTS[-1]
    assert np.abs(found.sums[:, -1]).max() > 2  # far behind the last knot an event counts many times


def test_a_channel_tells_of_its_first_kraus_operator() -> None:
    found = surprises(parse("qubit: q\npara: p\nH[q]; dephase(p)[q]"), {"p": 0.2}, 500)
    assert found.sums.shape == (500, 1)
    np.testing.assert_allclose(np.unique(found.sums), [-0.8, 0.2])
    assert found.sums.mean() == pytest.approx(0, abs=4 * 0.4 / np.sqrt(500))


@pytest.mark.parametrize("name", ["nested loops", "and, or, not", "conditions", "channels", "flip_loop"])
def test_the_mean_is_zero(name: str) -> None:
    program, params = ALL[name]
    found = surprises(program, params, 20_000, 11)
    assert found.sums.shape[1]
    spread = found.sums.std(axis=0)
    often = np.count_nonzero(found.sums, axis=0) > 200
    assert np.all(np.abs(found.sums.mean(axis=0))[often] < 4.5 * spread[often] / np.sqrt(20_000))


def test_what_is_certain_is_no_event() -> None:
    program = parse("qubit: q\npara: t\nX[q]; if M[q] = 1 then Rx(t)[q] fi; if flip(1) then H[q] fi")
    assert surprises(program, {"t": 0.3}, 20).sums.shape == (20, 0)


def test_cut_runs_have_none() -> None:
    program = parse("qubit: q\npara: t\nwhile not flip(t) do Ry(t)[q]; if M[q] = 1 then X[q] fi od")
    backend = TrajectoryBackend(threads=1, step_limit=50)
    prepared = backend.prepare_gradient(program, [NOTHING], ["t"])
    [found] = backend.run_gradients([Job(prepared, {"t": 0.01}, 20, 3)])
    assert found.surprises is not None
    assert 0 < found.cut.sum() < 20
    assert not found.surprises.sums[found.cut].any()
    assert found.surprises.sums[~found.cut].any(axis=1).all()


def test_very_many_events_share_lanes() -> None:
    many = 30
    program = parse(f"qubit: q\npara: t\nfor i in 0..{many - 1} do if flip(t) then skip fi od")
    events = events_of(lower(program, Readout(expectations=(NOTHING,))))
    begins = events.told[:, 1]
    assert len(begins) == many
    assert len(np.unique(begins)) == MOST_LANES
    assert len(events.sums) <= MOST_SUMS
    assert len(events.sums) == MOST_LANES * len(events.knots)
    assert events.knots[0] == 0
    assert events.knots[-1] == KNOTS[-1]
    found = surprises(program, {"t": 0.3}, 5000)
    assert len(np.unique(found.kinds)) == MOST_LANES
    total = found.sums.sum(axis=1)  # all events, whatever their place: 30 flips of variance p (1 - p)
    assert total.var() == pytest.approx(many * 0.21, rel=0.1)
    assert abs(total.mean()) < 4.5 * np.sqrt(many * 0.21 / 5000)


def test_shots_are_the_same_in_any_job() -> None:
    program, params = ALL["nested loops"]
    backend = TrajectoryBackend(threads=1)
    prepared = backend.prepare_gradient(program, [NOTHING], program.trainable)
    whole, part = backend.run_gradients(
        [Job(prepared, params, 200, 5), Job(prepared, params, 64, 5, first=100)]
    )
    assert whole.surprises is not None
    assert part.surprises is not None
    columns, mine = _columns(whole.surprises), _columns(part.surprises)
    assert mine.keys() <= columns.keys()
    for column, sums in columns.items():
        np.testing.assert_allclose(mine.get(column, np.zeros(64)), sums[100:164], atol=1e-12)


def _columns(found: Surprises) -> dict[tuple[int, int], np.ndarray]:
    return dict(zip(zip(found.kinds.tolist(), found.knots.tolist(), strict=True), found.sums.T, strict=True))
