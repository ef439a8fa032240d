"""The regression gate: `pytest bench/` records, `upbench compare` and `upbench regress` decide. How well: GATE.md."""

PAIRS = 20  # fresh processes of each side in a comparison
