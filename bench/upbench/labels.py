"""How cells and components are called where a person reads them: the one home of labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from upbench.cell import Cell, flatten
from upbench.measurement import VALIDATION


def label_component(name: str) -> str:
    """A registered name as it is; of a user's own part, "./my_layer.py:MyLayer", what it is called: "MyLayer"."""
    return name.rpartition(":")[2]


def label_components(names: Iterable[str]) -> dict[str, str]:
    """The label of each name: `label_component`, or the whole name where two of them would be called the same."""
    names_by_label: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        names_by_label[label_component(name)].add(name)
    labels = {}
    for label, called_so in names_by_label.items():
        for name in called_so:
            labels[name] = label if len(called_so) == 1 else name
    return labels


def split_column(name: str) -> tuple[str, str]:
    """The experiment and the metric of "experiment.metric". A metric may have dots of its own."""
    # the first dot, since the name of an experiment has none
    experiment, _, metric = name.partition(".")
    return experiment, metric


def label_columns(names: Iterable[str]) -> dict[str, str]:
    """The label of each column: "coast mean_iou" for "coast.mean_iou", "coast MINE" for "coast../mine.py:MINE"."""
    split = {name: split_column(name) for name in names}
    short = label_metrics(metric for _, metric in split.values())
    return {name: f"{experiment} {short[metric]}" for name, (experiment, metric) in split.items()}


def label_metrics(metrics: Iterable[str]) -> dict[str, str]:
    """`label_components` of metrics, of which a prefix "val_" and a member in brackets stay: "val_MY_METRIC[sky]"."""
    names = {metric: _name_of_metric(metric) for metric in metrics}
    short = label_components(names.values())
    return {metric: metric.replace(name, short[name], 1) for metric, name in names.items()}


def _name_of_metric(metric: str) -> str:
    """The name in "val_NAME[member]". The member, the name of a class, may have colons of its own."""
    named = metric.partition("[")[0]
    return named.removeprefix(VALIDATION)


def label_cells(cells: Mapping[str, Cell]) -> dict[str, str]:
    """What tells each cell from the others, by its id.

    The layer comes first, then task and network where the cells have several, then each setting in which cells of the
    same task and network differ; an option of a layer counts among cells of the same layer.
    """
    settings_by_id = {cell_id: flatten(cell.to_json()) for cell_id, cell in cells.items()}
    layers = label_components(settings["layer"] for settings in settings_by_id.values())
    values = _values_by_group(settings_by_id.values())
    several_networks = len({_group("task", settings) for settings in settings_by_id.values()}) > 1
    labels = {}
    for cell_id, settings in settings_by_id.items():
        words = [layers[settings["layer"]]]
        if several_networks:
            words += [label_component(settings["task"]), label_component(settings["model"])]
        for key in sorted(settings):
            if key != "layer" and len(values[_group(key, settings), key]) > 1:
                words.append(f"{key}={settings[key]}")
        labels[cell_id] = " ".join(words)
    return labels


def _group(key: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells among which a setting may differ."""
    if key.startswith("layer."):
        return settings["task"], settings["model"], settings["layer"]
    return settings["task"], settings["model"]


def _values_by_group(all_settings: Iterable[Mapping[str, Any]]) -> Mapping[tuple[tuple[str, ...], str], set[str]]:
    """The values that each setting takes within each group; a cell that lacks a setting counts as None."""
    members: defaultdict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    keys: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for settings in all_settings:
        for key in settings:
            keys[_group(key, settings)].add(key)
        # each cell is in two groups: that of its network, and within it that of its layer
        for group in {_group("layer.", settings), _group("task", settings)}:
            members[group].append(settings)
    found: dict[tuple[tuple[str, ...], str], set[str]] = {}
    for group, its_keys in keys.items():
        for key in its_keys:
            found[group, key] = {str(settings.get(key)) for settings in members[group]}
    return found
