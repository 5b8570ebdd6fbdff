"""Pure states as rows of arrays of any library: NumPy, PyTorch, JAX or CuPy, and the same in compiled loops.

primitives   the few operations that engines need, and what may be handed to them
standard     written against the Python array API standard; compiled: written in Numba; `loops`: its loops
libraries    opens one of them by name, device and dtype
operators    observables as windows, diagonals and flips
groups       neighbouring gates together: matrices, and derivatives from transition matrices
grouped_path the one path of a program without measurement, in groups; `curvature`: second derivatives
engine       exact values and derivatives: `qd.ArrayEngine`
control      where runs go on: the part of a plan that states have no part in, compiled
steps        instructions of a plan on many states at once
lockstep     many runs side by side
backend      the door: `qdiff.sim.registry` knows it as "arrays"; `qd.ArrayBackend`
"""
