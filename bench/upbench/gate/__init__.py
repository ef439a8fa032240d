"""The regression gate: `pytest bench/` records, `upbench compare` and `upbench regress` decide.

How often it errs is measured in studies/GATE.md.
"""

PAIRS = 20  # fresh processes of each side in a comparison
