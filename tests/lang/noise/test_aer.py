"""Noise models of Qiskit Aer, from the dictionaries that it writes. Aer itself: `test_aer_itself`."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.interpreter import run
from reference.noisy import LETTERS
from reference.operators import embedded, unitary

from qdiff.errors import QdiffError
from qdiff.lang import noise
from qdiff.lang.gates import PAULI
from qdiff.lang.noise.aer_errors import THEN, channels_of_error
from qdiff.lang.noise.model import NoiseModel
from qdiff.lang.noise.one_qubit import transfer
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program

Circuit = list[dict[str, Any]]


def do(name: str, *qubits: int, params: list[Any] | None = None) -> dict[str, Any]:
    """An instruction as Aer writes it."""
    more = {} if params is None else {"params": params}
    return {"name": name, "qubits": list(qubits), **more}


def matrices(*found: Any) -> list[Any]:
    """Matrices as Aer writes them."""
    return [[[[complex(x).real, complex(x).imag] for x in row] for row in matrix] for matrix in found]


def damping(p: float, turned: float = 0.0, excited: float = 0.0) -> list[np.ndarray]:
    """Amplitude and phase damping as Aer defines them."""
    root = math.sqrt(1 - p - turned)
    down = [np.diag([1, root]), np.array([[0, math.sqrt(p)], [0, 0]]), np.diag([0, math.sqrt(turned)])]
    up = [np.diag([root, 1]), np.array([[0, 0], [math.sqrt(p), 0]]), np.diag([math.sqrt(turned), 0])]
    return [math.sqrt(1 - excited) * k for k in down] + [math.sqrt(excited) * k for k in up]


def kraus(q: int, p: float, turned: float = 0.0, excited: float = 0.0) -> dict[str, Any]:
    return do("kraus", q, params=matrices(*damping(p, turned, excited)))


def errors(*found: dict[str, Any]) -> dict[str, Any]:
    return {"errors": list(found)}


def qerror(
    operations: list[str], circuits: list[Circuit], probabilities: list[float], *qubits: list[int]
) -> dict[str, Any]:
    """A quantum error, of all qubits or of some."""
    where = {"gate_qubits": list(qubits)} if qubits else {}
    found = {"instructions": circuits, "probabilities": probabilities}
    return {"type": "qerror", "id": "0", "operations": operations, **found, **where}


def roerror(rows: list[list[float]], *qubits: list[int]) -> dict[str, Any]:
    where = {"gate_qubits": list(qubits)} if qubits else {}
    return {"type": "roerror", "operations": ["measure"], "probabilities": rows, **where}


def h_error(*circuits: Circuit, p: list[float]) -> object:
    """The noise of H in the model of an error of `h`, as JSON has it."""
    model = NoiseModel.from_aer(json.loads(json.dumps(errors(qerror(["h"], list(circuits), p)))))
    [channel] = model.to_dict()["gates"]["H"]
    return channel


# --- What becomes of single errors --------------------------------------------------------------


def test_pauli_errors() -> None:
    assert h_error([do("x", 0)], [do("z", 0)], [do("id", 0)], p=[0.1, 0.2, 0.7]) == {"X": 0.1, "Z": 0.2}
    assert h_error([do("pauli", 0, params=["Z"])], [], p=[0.2, 0.8]) == {"dephase": 0.2}
    assert h_error([do("x", 0)], [do("y", 0)], [do("z", 0)], [do("id", 0)], p=[0.3] * 3 + [0.1]) == {
        "X": 0.3,
        "Y": 0.3,
        "Z": 0.3,
    }  # more than a lost qubit


def test_pauli_labels_are_reversed() -> None:
    xz, ii = do("pauli", 0, 1, params=["XZ"]), do("pauli", 0, 1, params=["II"])
    model = NoiseModel.from_aer(errors(qerror(["cx"], [[xz], [ii]], [0.1, 0.9])))
    assert model == NoiseModel({"CNOT": {"ZX": 0.1}})


def test_depolarizing_errors() -> None:
    one = [[do(name, 0)] for name in ("id", "x", "y", "z")]
    assert h_error(*one, p=[0.925, 0.025, 0.025, 0.025]) == {"depolarize": 0.1}
    assert h_error(*one, p=[0.8, 0.05, 0.05, 0.1]) == {"X": 0.05, "Y": 0.05, "Z": 0.1}
    labels = [a + b for a in "IXYZ" for b in "IXYZ"]
    two = [[do("pauli", 0, 1, params=[label])] for label in labels]
    model = NoiseModel.from_aer(errors(qerror(["cx"], two, [0.85, *[0.01] * 15])))
    assert model == NoiseModel({"CNOT": noise.depolarize(0.16, 2)})


def test_damping_and_relaxation() -> None:
    assert h_error([kraus(0, 0.25)], p=[1.0]) == {"damp": 0.25}
    assert_program(h_error([kraus(0, 0.25, 0, 1)], p=[1.0]), noise.damp(0.25, 1))
    assert_program(h_error([kraus(0, 0.25, 0, 0.3)], p=[1.0]), noise.damp(0.25, 0.3))
    [p] = h_error([kraus(0, 0, 0.36)], p=[1.0]).values()  # type: ignore[attr-defined]
    assert_close(1 - 2 * p, 0.8)
    # thermal_relaxation_error(50, 40, 10), which Aer writes as a mixture
    weights = math.exp(-10 / 50), math.exp(-10 / 40)
    mixed = [[do("id", 0)], [do("z", 0)], [do("reset", 0)]]
    p = [(weights[0] + weights[1]) / 2, (weights[0] - weights[1]) / 2, 1 - weights[0]]
    assert_program(h_error(*mixed, p=p), noise.thermal_relaxation(50, 40, 10))


def assert_program(form: object, expected: noise.NoiseChannel) -> None:
    """The same program up to rounding in its numbers."""
    assert isinstance(form, str)
    found, wanted = form.split("("), str(expected.program).split("(")
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        first, second = a.partition(")"), b.partition(")")
        assert first[2] == second[2]
        if first[1]:
            assert_close(float(first[0]), float(second[0]), 1e-12)


def test_reset_errors() -> None:
    circuits = [[do("id", 0)], [do("reset", 0)], [do("reset", 0), do("x", 0)]]
    found = h_error(*circuits, p=[0.85, 0.1, 0.05])
    assert_close(found, {"0": 0.1, "1": 0.05}, 1e-12)
    assert_close(h_error(*circuits[:2], p=[0.9, 0.1]), {"0": 0.1}, 1e-12)


def test_independent_parts_become_channels_of_their_own() -> None:
    """What `NoiseModel.from_backend` makes of a gate on two qubits."""
    labels = [a + b for a in "IXYZ" for b in "IXYZ"]
    circuits, probabilities = [], []
    for label in labels:
        for name, p in (("id", 0.5), ("z", 0.2), ("reset", 0.3)):
            circuits.append([do("pauli", 0, 1, params=[label]), kraus(0, 0.1), do(name, 1)])
            probabilities.append((0.85 if label == "II" else 0.01) * p)
    depolarized, damped, relaxed = channels_of_error(circuits, probabilities, 2)
    assert depolarized == noise.depolarize(0.16, 2)
    assert damped.places == (0,)
    assert_program(str(damped.program), noise.damp(0.1))
    assert relaxed.places == (1,)
    assert str(relaxed.program).count("damp") == str(relaxed.program).count("dephase") == 1


def test_correlated_parts_stay_together() -> None:
    circuits = [[do(first, 0), do(second, 1)] for first in ("id", "x") for second in ("id", "x")]
    assert channels_of_error(circuits, [0.4, 0.1, 0.2, 0.3], 2) == (
        noise.pauli({"IX": 0.1, "XI": 0.2, "XX": 0.3}),
    )
    apart = channels_of_error(circuits, [0.72, 0.18, 0.08, 0.02], 2)
    assert [(channel.short[0][0], channel.places) for channel in apart] == [("X", (0,)), ("X", (1,))]
    assert_close([channel.short[0][1] for channel in apart], [0.1, 0.2])


# --- The map of any error -----------------------------------------------------------------------


def operators(instruction: dict[str, Any], n: int) -> list[np.ndarray]:
    """Kraus operators of an instruction on n qubits."""
    places = tuple(instruction["qubits"])
    match instruction["name"]:
        case "pauli":
            full = np.eye(1 << n)
            for letter, q in zip(reversed(instruction["params"][0]), places, strict=True):
                full = embedded(PAULI[letter], (q,), (), n, 1) @ full
            return [full]
        case "kraus" | "unitary":
            found = [np.array(m)[..., 0] + 1j * np.array(m)[..., 1] for m in instruction["params"]]
            return [embedded(m, places, (), n, 1) for m in found]
        case "reset":
            return [embedded(k + 0j, places, (), n, 1) for k in (np.diag([1, 0]), np.array([[0, 1], [0, 0]]))]
        case "cx":
            return [unitary("X", (), places[1:], places[:1], n)]
        case name:
            gate = {"id": "I", "x": "X", "y": "Y", "z": "Z", "h": "H", "rx": "Rx"}[name]
            return [unitary(gate, tuple(instruction.get("params", ())), places, (), n)]


def by_hand(circuits: list[Circuit], probabilities: list[float], n: int, rho: np.ndarray) -> np.ndarray:
    total = np.zeros_like(rho)
    for p, circuit in zip(probabilities, circuits, strict=True):
        state = rho
        for one in circuit:
            state = sum(k @ state @ k.conj().T for k in operators(one, n))
        total = total + p * state
    return total


def converted(circuits: list[Circuit], probabilities: list[float], width: int, n: int) -> tuple[Any, Any]:
    """A state of all qubits entangled with others, and what the channels make of it."""
    lower = ", ".join(f"q[{i}]" for i in range(n))
    pairs = parse(
        f"qubit: q[{n}], r[{n}] "
        + "; ".join(f"Ry({0.7 + i})[r[{i}]]; CNOT[r[{i}], q[{i}]]; H[q[{i}]]" for i in range(n))
    )
    start = run(pairs, {})[()]
    qubits = tuple(lower.split(", "))
    channels = channels_of_error(json.loads(json.dumps(circuits)), probabilities, width)
    body = [*pairs.body, *(s for channel in channels for s in channel.block(qubits, ""))]
    return start, run(Program(pairs.qubit_registers, (), (), tuple(body)), {})[()]


UNLIKE = {"I": 0.8, "X": 0.05, "Y": 0.05, "Z": 0.1}
SINGLE = [
    *[do(name, 0) for name in ("id", "x", "y", "z", "h", "reset")],
    do("pauli", 0, params=["Y"]),
    do("rx", 0, params=[0.3]),
    kraus(0, 0.3),
    kraus(0, 0.2, 0.3, 0.4),
    do("kraus", 0, params=matrices(math.sqrt(0.7) * PAULI["X"], math.sqrt(0.3) * PAULI["Y"])),
    do("kraus", 0, params=matrices(*(w**0.5 * PAULI[P] for P, w in UNLIKE.items()))),
    do("unitary", 0, params=matrices(PAULI["Z"] * 1j)),
    do("unitary", 0, params=matrices(np.array([[0.8, 0.6j], [0.6j, 0.8]]) * np.exp(0.3j))),
    do("unitary", 0, params=matrices(np.array([[0, 1j], [1, 0]]))),
    do("unitary", 0, params=matrices(np.array([[0.6, 0.8j], [0.8j, 0.6]]) * np.exp(0.3j))),
    do("unitary", 0, params=matrices(np.array([[0.28, -0.96j], [0.96, 0.28j]]))),
]
DOUBLE = [do("pauli", 0, 1, params=["XZ"]), do("pauli", 1, 0, params=["YI"]), do("cx", 1, 0)]


def test_words_one_after_the_other() -> None:
    """Every pair of letters, as maps."""
    maps = {letter: transfer([k + 0j for k in kraus]) for letter, kraus in LETTERS.items()}
    assert set(THEN) == {(first, then) for first in LETTERS for then in LETTERS}
    for (first, then), both in THEN.items():
        assert_close(maps[then] @ maps[first], maps[both])


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_errors_do_what_their_circuits_do(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 2))
    on_second = [one | {"qubits": [1]} for one in SINGLE]
    offered = SINGLE if width == 1 else [*SINGLE, *on_second, *DOUBLE]
    some = st.lists(st.sampled_from(offered), max_size=3)
    circuits = data.draw(st.lists(some, min_size=1, max_size=4))
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(circuits), max_size=len(circuits)))
    probabilities = [w / sum(weights) for w in weights]
    start, found = converted(circuits, probabilities, width, width)
    assert_close(found, by_hand(circuits, probabilities, 2 * width, start))


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_independent_instructions_do_what_their_circuits_do(data: st.DataObject) -> None:
    on_second = [one | {"qubits": [1]} for one in SINGLE]
    positions = [
        data.draw(st.lists(st.sampled_from(offered), min_size=1, max_size=2, unique_by=str))
        for offered in (DOUBLE[:1], SINGLE, on_second)
    ]
    circuits: list[Circuit] = [[]]
    probabilities = [1.0]
    for offered in positions:
        shares = [0.25, 0.75] if len(offered) == 2 else [1.0]
        probabilities = [p * share for p in probabilities for share in shares]
        circuits = [[*circuit, one] for circuit in circuits for one in offered]
    start, found = converted(circuits, probabilities, 2, 2)
    assert_close(found, by_hand(circuits, probabilities, 4, start))


# --- Whole models -------------------------------------------------------------------------------

X = [[do("x", 0)], [do("id", 0)]]


def test_names_and_places() -> None:
    model = NoiseModel.from_aer(
        errors(
            qerror(["h", "sx", "u3", "reset"], X, [0.1, 0.9]),
            qerror(["x"], X, [0.2, 0.8], [0], [1], [2]),
            qerror(["crx"], [[do("x", 1)], []], [0.3, 0.7], [1, 0], [0, 2]),
            qerror(["ecr"], X, [0.3, 0.7]),
            qerror(["mine"], X, [0.4, 0.6]),
            qerror(["sx"], X, [0.0, 1.0], [1]),
            roerror([[0.9, 0.1], [0.2, 0.8]]),
            roerror([[0.95, 0.05], [0.3, 0.7]], [1]),
            roerror([[0.95, 0.05], [0.3, 0.7]], [5]),
        ),
        qubits=["q", "d[0]"],
        gates={"ecr": None, "mine": "G"},
    )
    flip = {"X": 0.1}
    assert model == NoiseModel(
        {
            "H": flip,
            "SX": flip,
            "SX[d[0]]": [],
            "U": flip,
            "reset": flip,
            "X[q]": {"X": 0.2},
            "X[d[0]]": {"X": 0.2},
            "C_Rx[d[0], q]": {"X": 0.3, "on": 1},
            "G": {"X": 0.4, "on": 0},
        },
        {"*": (0.1, 0.2), "d[0]": (0.05, 0.3)},
    )


def test_passes_that_act_on_delays_are_without_effect() -> None:
    assert NoiseModel.from_aer(Like("Delay")) == NoiseModel()
    for others in ((), ("Delay", "Gate")):
        with pytest.raises(QdiffError, match=r"^Aer's noise pass `Pass` cannot be expressed\.$"):
            NoiseModel.from_aer(Like(*others))


class Like:
    """What of Aer's noise model is looked at."""

    def __init__(self, *kinds: str) -> None:
        rule = type("Pass", (), {"_ops": tuple(type(kind, (), {}) for kind in kinds)})()
        self._custom_noise_passes = [rule]

    def to_dict(self, serializable: bool) -> dict[str, Any]:
        assert serializable
        return errors()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            3,
            "Expected a noise model of Qiskit Aer, or what its to_dict(serializable=True) returns; got int.",
        ),
        (
            {"gates": []},
            "Expected a noise model of Qiskit Aer, or what its to_dict(serializable=True) returns; got dict.",
        ),
        (
            errors(qerror(["ecr"], X, [0.1, 0.9])),
            "The noise model has an error of Aer's `ecr`, which is no gate of the language. Say its name "
            "here, or "
            "leave it out: gates={'ecr': None}.",
        ),
        (
            errors(qerror(["measure"], X, [0.1, 0.9])),
            "The noise model has an error of Aer's `measure`, which is no gate of the language. Say its name "
            "here, or leave it out: gates={'measure': None}.",
        ),
        (
            errors(qerror(["h"], X, [0.1, 0.9], [0])),
            "The noise model has errors of `h` on single qubits: give their names, that of qubit 0 "
            "first, as "
            "in qubits=program.qubits.",
        ),
        (
            errors(roerror([[0.9, 0.1], [0.2, 0.8]], [0])),
            "The noise model has errors of `measure` on single qubits: give their names, that of qubit 0 "
            "first, as in qubits=program.qubits.",
        ),
        (
            errors(roerror(np.eye(4).tolist())),
            "A read-out error of 2 qubits together cannot be expressed: here each qubit is misread on its "
            "own.",
        ),
        (
            errors(
                qerror(
                    ["h"],
                    [[do("kraus", 0, params=matrices(*np.eye(2)[:, None] * np.ones((1, 2, 1)) / 2**0.5))]],
                    [1.0],
                )
            ),
            "The error of Aer's `h` cannot be expressed: the Kraus map of one qubit is no mixture of Pauli "
            "operators and no damping. Leave it out with gates={'h': None}.",
        ),
        (
            errors(qerror(["cx"], [[do("kraus", 0, 1, params=matrices(np.eye(4)))]], [1.0])),
            "The error of Aer's `cx` cannot be expressed: it holds `kraus` on 2 qubits. Leave it out with "
            "gates={'cx': None}.",
        ),
        (
            errors(qerror(["h"], [[do("roerror", 0)]], [1.0])),
            "The error of Aer's `h` cannot be expressed: it holds `roerror` on 1 qubit. Leave it out with "
            "gates={'h': None}.",
        ),
    ],
)
def test_what_cannot_be_expressed(model: object, message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        NoiseModel.from_aer(model)
    assert str(caught.value) == message


def test_more_coherence_than_damping_leaves_is_not_expressed() -> None:
    """Populations move with 0.1 and 0.3, and the coherence is √(0.9·0.7), more than √(1 - 0.1 - 0.3)."""
    kept = np.diag([0.9**0.5, 0.7**0.5])
    up, down = np.array([[0, 0], [0.1**0.5, 0]]), np.array([[0, 0.3**0.5], [0, 0]])
    with pytest.raises(QdiffError, match="is no mixture of Pauli operators and no damping"):
        h_error([do("kraus", 0, params=matrices(kept, up, down))], p=[1.0])


def test_pauli_operators_given_as_kraus_operators() -> None:
    unlike = do("kraus", 0, params=matrices(*(w**0.5 * PAULI[P] for P, w in UNLIKE.items())))
    assert_close(h_error([unlike], p=[1.0]), {"X": 0.05, "Y": 0.05, "Z": 0.1}, 1e-12)
