"""A training run in a process of its own, to be killed: python toy_run.py LOG OPTIMIZER SEED RESULT."""

import json
import random
import sys
import time

import numpy as np

from qdiff.train import minimize

STEPS = 60
START = [2.0, -1.0, 0.5, 3.0, -2.5, 1.0, 0.1, -0.3, 4.0, 2.2]


def value_and_grad(x):
    """Σ a_i (1 − cos(x_i − b_i)) + 0.2 Σ sin(x_i) sin(x_{i+1}), steep and flat directions together."""
    weights, centres = np.logspace(-3, 0.7, len(x)), np.arange(len(x)) / 3
    sine, cosine, following = np.sin(x), np.cos(x), np.sin(np.roll(x, -1))
    value = np.sum(weights * (1 - np.cos(x - centres))) + 0.2 * np.sum(sine * following)
    return value, weights * np.sin(x - centres) + 0.2 * cosine * (following + np.roll(sine, 1))


def fingerprint(result):
    """Everything a result says, floats as their bits."""
    arrays = (result.x, result.history.x, result.history.value, result.history.grad, result.best.x)
    return [
        *(array.tobytes().hex() for array in arrays),
        *(float(number).hex() for number in (result.value, result.best.value)),
        result.steps,
        result.evaluations,
        result.converged,
        result.message,
    ]


if __name__ == "__main__":
    log, optimizer, seed, target = sys.argv[1:]
    moments = random.Random(seed)

    def slowly(x):
        """The same, taking a random time, so that a kill hits every part of the loop."""
        time.sleep(moments.uniform(0, 0.01))
        return value_and_grad(x)

    result = minimize(slowly, START, optimizer=optimizer, steps=STEPS, log=log, resume=True)
    with open(target, "w") as file:
        json.dump(fingerprint(result), file)
