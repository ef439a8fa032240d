"""The regression gate: `pytest bench/` records, `upbench compare` and `upbench regress` decide. How well: GATE.md."""
