"""How good is the instrument itself? Each study is a module, and its figures stand on a page beside it.

    python -m upbench.studies.layer_forms            how much faster one form of a layer is than another   SPEED.md
    python -m upbench.studies.layer_limits           how fast a form of a layer could be at best           SPEED.md
    python -m upbench.studies.overhead               what the harness costs, what a second worker gives    RUNNING.md
    python -m upbench.studies.statistics_simulation  how often intervals and comparisons err               STATISTICS.md
    python -m upbench.studies.gate_rates             how often the regression gate errs                    GATE.md

`--help` says what each of them takes. The other modules are parts of these studies.
"""
