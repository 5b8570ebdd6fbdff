"""Programs that never measure: one pure state, one path (`engine`, `line`)."""
