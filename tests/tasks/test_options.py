"""What can be said of every task and network by its class alone: its options are documented, its metrics are known."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import pytest
from upbench.metrics import METRICS
from upbench.models import MODELS
from upbench.registry import Registry
from upbench.tasks import TASKS
from upbench.tasks.base import VALIDATION, find_metric

OPTIONS = [
    (registry, name, option) for registry in (TASKS, MODELS) for name in registry for option in registry.options(name)
]


def read_entry(component: Any, option: str) -> str:
    """What the docstring of a class says of an option, in one line; nothing if it has no entry."""
    lines = inspect.getdoc(component).splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith(f"    {option}: ")]
    if not starts:
        return ""
    entry = [lines[starts[0]]]
    for line in lines[starts[0] + 1 :]:
        if not line.startswith(" " * 8):
            break
        entry.append(line)
    return " ".join(" ".join(entry).split())


@pytest.mark.parametrize(("registry", "name", "option"), OPTIONS)
def test_every_option_is_documented_with_its_default(registry: Registry, name: str, option: str) -> None:
    entry = read_entry(registry.get(name), option)
    assert entry, f"no entry for {option}"
    described, _, default = entry.partition("Default: ")
    assert len(described) > len(f"{option}: "), "it says what the option means"
    value = registry.options(name)[option]
    for each in value if isinstance(value, tuple | list) else [value]:
        assert (f'"{each}"' if isinstance(each, str) else str(each)) in default


@pytest.mark.parametrize("registry", [TASKS, MODELS])
def test_every_component_is_named_by_one_short_sentence(registry: Registry) -> None:
    for name in registry:
        first, _, _ = inspect.getdoc(registry.get(name)).partition("\n\n")
        assert first.endswith("."), name
        assert not re.search(r"[.;:] ", first), name
        assert len(first) <= 120, name


@pytest.mark.parametrize("name", TASKS)
def test_the_metrics_that_a_task_also_evaluates_can_be_read_from_its_source(name: str) -> None:
    """Provenance reads them there, so that a stored cell is known as stale without importing torch."""
    task = TASKS.get(name)
    (body,) = ast.parse(inspect.getsource(task)).body
    assert isinstance(body, ast.ClassDef)
    (written,) = [
        node.value
        for node in body.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "also_evaluates"
    ]
    assert written is not None
    assert ast.literal_eval(written) == task.also_evaluates


@pytest.mark.parametrize("name", TASKS)
def test_a_task_measures_what_it_evaluates(name: str) -> None:
    task = TASKS.build(name)
    for metric in (*getattr(task, "metrics", ()), *task.also_evaluates):
        assert metric.removeprefix(VALIDATION) in METRICS
        assert set(find_metric(metric).measures(metric)) <= set(task.measures())
