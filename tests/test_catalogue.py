"""What is read of the components' source is what the components are."""

from __future__ import annotations

import json

import pytest
from upbench.catalogue import describe, read_entries, read_literal
from upbench.data import DATA
from upbench.layers import LAYERS
from upbench.metrics import METRICS
from upbench.models import MODELS
from upbench.registry import Registry
from upbench.tasks import TASKS

OPEN_ROOMS = (LAYERS, MODELS, DATA, TASKS)
COMPONENTS = [(registry, name) for registry in OPEN_ROOMS for name in registry]


@pytest.mark.parametrize(("registry", "name"), COMPONENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_options_are_those_that_the_component_takes(registry: Registry, name: str) -> None:
    described = describe(registry.locate(name), registry.given)
    real = registry.options(name)
    assert [option.name for option in described.options] == list(real)
    for option in described.options:
        default = real[option.name]
        try:
            assert json.dumps(eval(option.default, {})) == json.dumps(default)
        except NameError:
            continue  # the default is a constant of its module


@pytest.mark.parametrize(("registry", "name"), COMPONENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_option_is_documented_by_itself(registry: Registry, name: str) -> None:
    described = describe(registry.locate(name), registry.given)
    assert described.summary
    for option in described.options:
        assert option.text, f"{name} does not say what {option.name} is"


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_described_by_its_function(name: str) -> None:
    text = METRICS.get(name).compute.__doc__
    assert describe(METRICS.locate(name)).summary == " ".join(text.split("\n\n")[0].split())


@pytest.mark.parametrize("name", TASKS)
def test_what_a_task_evaluates_besides_is_read_without_importing_it(name: str) -> None:
    assert read_literal(TASKS.locate(name), "also_evaluates") == TASKS.get(name).also_evaluates


def test_listed_values_are_found_wherever_they_are_written() -> None:
    options = {option.name: option.choices for option in describe(LAYERS.locate("pixel_dcl")).options}
    assert "sequential" in options["schedule"], "an alias of another module"
    assert "gelu" in options["activation"], "an alias of its own"


def test_entries_of_a_docstring() -> None:
    text = """Summary.

    Args:
        first: what it is,
            on two lines.
        second (int): another.

    Returns:
        third: not an option.
    """
    assert read_entries(text) == {"first": "what it is, on two lines.", "second": "another."}
