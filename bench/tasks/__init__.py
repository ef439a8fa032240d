"""What is done with a network and measured, by name. A new task is one file in this folder and one line in `TASKS`.

A task is a frozen dataclass of its options. `roles`: the networks it can use; `needs_data`; `exclusive`: its figures
are wrong if another cell runs beside it; `measures()`: the columns it fills; `run(cell, folder)`: does one cell.
"""

from __future__ import annotations

from bench.registry import Registry

TASKS = Registry(
    "task",
    {
        "segmentation": "bench.tasks.segmentation:Segmentation",
        "generation": "bench.tasks.generation:Generation",
        "adversarial": "bench.tasks.adversarial:Adversarial",
        "speed": "bench.tasks.speed:Speed",
    },
)
