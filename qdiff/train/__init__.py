"""Training: optimisers, the loop around them, the log that is the checkpoint, and the result."""

from qdiff.train.lbfgsb import LBFGSB
from qdiff.train.minimize import maximize, minimize
from qdiff.train.optimizers import Adam, GradientDescent, Optimizer, make_optimizer
from qdiff.train.problem import StepRecord
from qdiff.train.result import History, Point, TrainingResult
from qdiff.train.shots import DEFAULT_ESTIMATOR

__all__ = [
    "DEFAULT_ESTIMATOR",
    "LBFGSB",
    "Adam",
    "GradientDescent",
    "History",
    "Optimizer",
    "Point",
    "StepRecord",
    "TrainingResult",
    "make_optimizer",
    "maximize",
    "minimize",
]
