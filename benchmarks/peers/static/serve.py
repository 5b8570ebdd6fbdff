"""A peer's side: set up one way to compute, answer at some points, then repeat as often as asked.

Lines of JSON. The parent sends {"circuit", "points", "way"}, points being float (K, d) or, for sets of
parameters in one call, (K, W, d). The peer answers {"version", "compile_s", "seconds", "values",
"gradients"}, seconds of one warm call. Then {"calls"} is answered by {"seconds", "point", "value",
"gradient", "memory_mib"} of so many calls, the last of them at that point. {"missing"} and {"fails"} say
why there is no answer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.serve import peak_mib
from benchmarks.peers.static.circuit import Circuit

Floats = NDArray[np.float64]


def same(w: Floats) -> Floats:
    """Parameters as they are."""
    return w


@dataclass(frozen=True)
class Ready:
    """A compiled way.

    Attributes:
        call: parameters in the peer's own arrays, to value and gradient in its own arrays, finished.
        take: to the peer's own arrays; not timed.
    """

    call: Callable[[Any], tuple[Any, Any]]
    take: Callable[[Floats], Any] = same


Way = Callable[[Circuit], Ready]


def looped(way: Way) -> Way:
    """Sets of parameters one after the other, for what has no better way."""

    def many(circuit: Circuit) -> Ready:
        one = way(circuit)

        def call(rows: list[Any]) -> tuple[Any, Any]:
            values, gradients = zip(*map(one.call, rows), strict=True)
            return np.array(values), np.array(gradients)

        return Ready(call, lambda rows: [one.take(row) for row in rows])

    return many


@dataclass(frozen=True)
class Server:
    """A way that is compiled, with the points in its own arrays."""

    ready: Ready
    inputs: list[Any]

    def first(self) -> dict[str, object]:
        """The answers at all points and the time of a warm call."""
        begun = time.perf_counter()
        answers = [listed(self.ready.call(w)) for w in self.inputs]
        seconds = (time.perf_counter() - begun) / len(self.inputs)
        values, gradients = zip(*answers, strict=True)
        return {"seconds": seconds, "values": values, "gradients": gradients}

    def again(self, calls: int) -> dict[str, object]:
        """The time of so many calls, and the last answer."""
        call, inputs, count = self.ready.call, self.inputs, len(self.inputs)
        begun = time.perf_counter()
        for i in range(calls):
            answer = call(inputs[i % count])
        seconds = time.perf_counter() - begun
        value, gradient = listed(answer)
        point = (calls - 1) % count
        found = {"seconds": seconds, "point": point, "value": value, "gradient": gradient}
        return {**found, "memory_mib": peak_mib()}


def listed(answer: tuple[Any, Any]) -> tuple[Any, Any]:
    """Value and gradient as plain numbers and lists."""
    value, gradient = (np.asarray(part, dtype=float) for part in answer)
    return value.tolist(), gradient.tolist()


def serve(version: Callable[[], str], ways: Mapping[str, Way]) -> None:
    """Answer until the input ends.

    Args:
        version: of the peer; imports it.
        ways: by name.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr, not between the answers

    def answer(content: Mapping[str, object]) -> None:
        print(json.dumps(content), file=out, flush=True)

    first = json.loads(sys.stdin.readline())
    try:
        found = version()
    except ModuleNotFoundError as error:
        return answer({"missing": error.name})
    points = np.array(first["points"], dtype=float)
    try:
        begun = time.perf_counter()
        ready = ways[first["way"]](Circuit.from_json(first["circuit"]))
        server = Server(ready, [ready.take(point) for point in points])
        server.ready.call(server.inputs[0])
        compiled = time.perf_counter() - begun
        answer({"version": found, "compile_s": compiled, **server.first()})
    except Exception as error:  # whatever a foreign library raises
        return answer({"fails": f"{type(error).__name__}: {error}"})
    for line in sys.stdin:
        answer(server.again(json.loads(line)["calls"]))
