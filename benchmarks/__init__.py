"""How fast: seeded workloads, and one command that measures them (`python -m benchmarks`)."""
