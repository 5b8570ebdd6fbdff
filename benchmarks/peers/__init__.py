"""Other simulators of programs that measure and loop: one file each, one process each, none needed."""
