"""What is done with a network and measured, by name. A new task is one file in this folder and one line in `TASKS`.

A task is a frozen dataclass of its options that has what `upbench.tasks.base.Task` says.
"""

from __future__ import annotations

from upbench.registry import Registry

TASKS = Registry(
    "task",
    {
        "segmentation": "upbench.tasks.segmentation:Segmentation",
        "generation": "upbench.tasks.generation:Generation",
        "adversarial": "upbench.tasks.adversarial:Adversarial",
        "speed": "upbench.tasks.speed:Speed",
    },
    needs=("roles", "needs_data", "exclusive", "also_evaluates", "measures", "check", "run"),
)
