"""The regression gate: `pytest bench/` records, `upbench compare` and `upbench regress` decide. How well: GATE.md."""

PAIRS = 10  # fresh processes of each side in a comparison
