"""The benchmarks' workloads are what they say, and the table can be printed. Nothing is timed here."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers import assert_close

import qdiff as qd
from benchmarks import __main__ as command
from benchmarks import workloads


@pytest.mark.parametrize("radius", [0.9, 0.99])
def test_the_seeded_loop_has_its_radius(radius: float) -> None:
    workload = workloads.seeded_loop(qubits=3, gates=8, parameters=4, radius=radius)
    assert len(workload.program.trainable) == 4
    found = workload.objective().analyze(workload.params)
    # Every guard is passed with probability `radius`, whatever the body does.
    assert_close(found.expected_visits[0].evaluations, 1 / (1 - radius))


def test_a_loop_measures_as_many_qubits_as_asked() -> None:
    workload = workloads.seeded_loop(qubits=4, gates=8, parameters=4, radius=0.9, fresh=2, measured=2)
    assert "while M[q[0], q[1]] = 0 do" in str(workload.program)
    found = workload.objective().analyze(workload.params)
    assert_close(found.expected_visits[0].evaluations, 1 / (1 - 0.9))


def test_workloads_are_seeded() -> None:
    first, again = workloads.seeded_loop(seed=3), workloads.seeded_loop(seed=3)
    assert first.program == again.program
    assert np.array_equal(first.params["w"], again.params["w"])
    assert first.program != workloads.seeded_loop(seed=4).program


def test_the_published_programs_have_their_values() -> None:
    for workload, value in (
        (workloads.amplitude_amplification(), 0.645357505658967),
        (workloads.quantum_walk(), 0.827205327750873),
        (workloads.repeat_until_success(), 0.7736405373056663),
    ):
        assert_close(workload.objective()(workload.params), value)


def test_the_seeded_loop_is_the_same_circuit_for_fewer_parameters() -> None:
    many, few = (workloads.seeded_loop(qubits=3, parameters=n) for n in (20, 1))
    assert many.program.trainable[0] == few.program.trainable[0] == "w[0]"
    assert len(many.program.body) == len(few.program.body)
    assert len(few.program.trainable) == 1


def test_the_counted_walk_counts_what_the_other_does() -> None:
    counted, plain = (workloads.counted_walk(counted=c) for c in (True, False))
    (loop,) = plain.objective().analyze(plain.params).expected_visits
    assert_close(4 * counted.objective()(counted.params), loop.passes)
    assert "as moments" in counted.objective().analyze(counted.params).reason


def test_the_circuits_are_for_the_engines_they_show() -> None:
    ansatz, branching = workloads.static_ansatz(12, 2), workloads.branching_circuit(12, 3, 10)
    assert len(ansatz.program.trainable) == 24
    assert len(branching.program.trainable) == 10
    assert ansatz.objective().engines.chosen.name == "pure-state"
    assert branching.objective().engines.chosen.name == "branching"


def test_the_flat_program_has_its_length() -> None:
    assert len(qd.parse(workloads.flat_text(500)).body) == 500


def test_applications_are_those_of_the_larger_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = workloads.seeded_loop(qubits=4, gates=10, parameters=5)
    monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", 0)
    assert 2 <= command.applications(workload) <= 200


def test_the_command_prints_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--repeat", "1", "--only", "success: value"])
    command.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == ["| what | goal | measured | |", "|---|---|---|---|"]
    assert len(lines) == 6
