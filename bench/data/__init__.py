"""Data sets by name. A new data set is one file in this folder and one line in `DATA`.

A data set is a frozen dataclass of its options with `check(folder)`, which raises UserError if something it needs is
missing, and `load(folder)`, which returns a `Dataset`. `folder` is where the user keeps data sets, or None.
"""

from __future__ import annotations

from bench.registry import Registry

DATA = Registry(
    "data set",
    {
        "earth": "bench.data.earth:Earth",
        "npz": "bench.data.npz:Npz",
    },
)
