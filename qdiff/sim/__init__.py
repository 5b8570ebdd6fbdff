"""How to run a program: the backend protocol, the trajectory sampler, the exact engines."""
