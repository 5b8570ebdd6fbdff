"""The trajectory machine: a program lowered to a flat plan, and a small compiled machine that runs shots.

code       a program as tables (`lowering` makes it, `verify` checks it, `listing` prints it)
bytecode   its expressions; `fusion` its gates
binding    numbers for one set of parameters
kernels    what runs, compiled; `running` splits the shots over threads
backend    the door: `qdiff.sim.registry` knows it as "trajectory"
"""
