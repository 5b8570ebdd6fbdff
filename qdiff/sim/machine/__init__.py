"""The trajectory machine: a program lowered to a flat plan, and a small compiled machine that runs shots.

code, lowering, plans, fusion, bytecode   a program as tables; `verify` checks them, `listing` prints them
binding, tables            numbers for one set of parameters; all that compiled code reads and writes
compiled, on_disk, parts   how functions are compiled, kept on disk, and which of them a plan needs
streams, arithmetic, matrices, states, tree   what compiled code is made of
shots, running, wide       the loop over shots; on threads; one state shared by threads
adjoint_*, lanes           shots with derivatives: begin with `adjoint_shots`
backend                    the door: `qdiff.sim.registry` knows it as "trajectory"
"""
