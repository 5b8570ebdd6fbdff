"""Qiskit circuits as programs: `circuit` (statements), `gates`, `memory` (classical values), `angles`,
`declared` (parameters, measurements at the end)."""
