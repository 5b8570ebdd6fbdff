"""The simulators that qdiff is compared with where nothing is measured: one module each, run as a process."""
