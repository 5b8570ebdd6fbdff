"""The first line of a training log: which run it belongs to, and how two runs differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, TypeAlias

from qdiff.train.optimizers import Optimizer
from qdiff.train.variables import Variables

FORMAT = "qdiff-training-log"
VERSION = 1

Header: TypeAlias = dict[str, Any]

# `steps` and the version of qdiff may change between runs: replaying shows whether they matter.
IDENTITY = (
    *("program", "observable", "direction", "wrt", "x0", "fixed", "optimizer"),
    *("shots", "estimator", "backend", "common_random_numbers", "seed"),
)


def make_header(
    program: str | None,
    observable: str | None,
    variables: Variables,
    optimizer: Optimizer,
    direction: str,
    steps: int,
) -> Header:
    """Return what identifies a run; `program` and `observable` are None for a plain function.

    A run from shots adds what `shots.ShotOracle.header` says.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "qdiff": _version(),
        "program_sha256": None if program is None else hashlib.sha256(program.encode()).hexdigest(),
        "program": program,
        "observable": observable,
        "direction": direction,
        "wrt": list(variables.names),
        "x0": variables.start.tolist(),
        "fixed": dict(variables.fixed),
        "optimizer": {"name": optimizer.name, **optimizer.settings()},
        "steps": steps,
    }


def differences(here: Header, logged: Header) -> list[str]:
    """Return one line for each thing in which a run differs from a logged one."""
    # Through JSON and back, so that tuples are lists on both sides; floats survive bit for bit.
    here = json.loads(json.dumps(here))
    return [
        _difference(key, here.get(key), logged.get(key))
        for key in IDENTITY
        if json.dumps(here.get(key)) != json.dumps(logged.get(key))
    ]


def _difference(key: str, here: Any, logged: Any) -> str:
    match key, here, logged:
        case "program", str(), str():
            for number, (new, old) in enumerate(zip_longest(here.split("\n"), logged.split("\n")), 1):
                if new != old:
                    return f"program, line {number}: {_line(new)} here, {_line(old)} in the log"
        case _, dict(), dict():
            parts = [
                f"{name} {_value(here, name)} here, {_value(logged, name)} in the log"
                for name in {**here, **logged}
                if _value(here, name) != _value(logged, name)
            ]
            return f"{key}: {'; '.join(parts)}"
        case "x0", list(), list() if len(here) == len(logged):
            place = next(i for i, pair in enumerate(zip(here, logged, strict=True)) if _differ(*pair))
            return f"x0, entry {place}: {here[place]!r} here, {logged[place]!r} in the log"
    return f"{key}: {_shown(here)} here, {_shown(logged)} in the log"


def _differ(one: Any, other: Any) -> bool:
    return json.dumps(one) != json.dumps(other)


def _value(record: Mapping[str, Any], name: str) -> str:
    return json.dumps(record[name]) if name in record else "absent"


def _line(text: str | None) -> str:
    return "no such line" if text is None else f"`{text.strip()}`"


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("qdiff")
    except PackageNotFoundError:
        return "unknown"
