"""`upbench compare`: a verdict on each figure, the status, and the texts; bad input in one line."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from rich.console import Console
from upbench.cell import Spec
from upbench.gate import report
from upbench.gate.compare import Row, compare_sides, select_failing
from upbench.gate.decide import Rule
from upbench.gate.recording import read_recording
from upbench.gate.regress import Cells, confirm
from upbench.gate.sides import read_side
from upbench.gate.verdict import Verdict
from upbench.grid.expand import REGISTRIES

from tests.conftest import Command
from tests.gate import recordings
from tests.gate.recordings import ENVIRONMENT, LIKE, side, write

EXACT = {"pixel_dcl": {"parameters": 1000.0, "forward_peak": 4096.0, "output_checksum": 0.25}}


def verdicts(base: Path, head: Path) -> dict[tuple[str, str], str]:
    return {(row.name, row.metric): row.verdict for row in compare_sides(read_side(base), read_side(head), Rule())}


def test_a_slower_layer_is_found_and_the_other_is_the_same(tmp_path: Path) -> None:
    found = verdicts(side(tmp_path / "base", 1.5), side(tmp_path / "head", 1.8))
    assert found["pixel_dcl", "forward_time_anchor_ratio"] == "regressed"
    assert found["transposed_conv", "forward_time_anchor_ratio"] == "same"
    assert verdicts(tmp_path / "head", tmp_path / "base")["pixel_dcl", "forward_time_anchor_ratio"] == "improved"


def test_the_fastest_round_of_a_block_counts(tmp_path: Path) -> None:
    """Each block holds a round ten times as slow; the ratio does not see it."""
    recording = read_recording(write(tmp_path / "one.json", {"pixel_dcl": 1.5}))
    assert list(recording.ratios().values()) == pytest.approx([1.5])


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("parameters", 1001.0, "regressed"),
        ("parameters", 999.0, "improved"),
        ("forward_peak", 4096.0 + 1024, "regressed"),
        ("output_checksum", 0.25 + 5e-5, "same"),
        ("output_checksum", 0.26, "regressed"),
        ("output_checksum", 0.24, "regressed"),
    ],
)
def test_exact_figures_are_compared_exactly(tmp_path: Path, metric: str, value: float, expected: str) -> None:
    base = side(tmp_path / "base", 1.5, exact=EXACT)
    head = side(tmp_path / "head", 1.5, exact={"pixel_dcl": EXACT["pixel_dcl"] | {metric: value}})
    assert verdicts(base, head)["pixel_dcl", metric] == expected


@pytest.mark.parametrize(("key", "value"), [("unit", "B"), ("better", "higher"), ("varies", "seed")])
def test_only_like_is_held_against_like(tmp_path: Path, key: str, value: str) -> None:
    """A figure that got another unit, direction or kind of variation is neither better nor worse."""
    base = side(tmp_path / "base", 1.5, exact=EXACT)
    worse = {"pixel_dcl": EXACT["pixel_dcl"] | {"parameters": 2000.0}}
    head = side(tmp_path / "head", 1.5, exact=worse, like=LIKE | {key: value})
    rows = compare_sides(read_side(base), read_side(head), Rule())
    (row,) = [row for row in rows if row.metric == "parameters"]
    assert row.verdict is Verdict.NOT_COMPARABLE
    assert row.note == f"{key} {LIKE[key]} in base, {value} in head"
    assert not select_failing(rows)


def test_an_option_that_base_had_not_yet_makes_no_cell_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Base's cells state no options at all; head's state all of them, at their defaults."""
    base = side(tmp_path / "base", 1.5, exact=EXACT)
    today = {
        layer: dataclasses.replace(
            cell,
            layer=Spec(layer, REGISTRIES["layer"].complete(layer, {})),
            task=Spec("speed", REGISTRIES["task"].complete("speed", {})),
            model=Spec("single", REGISTRIES["model"].complete("single", {})),
        )
        for layer, cell in recordings.LAYERS.items()
    }
    monkeypatch.setattr(recordings, "LAYERS", today)
    assert set(verdicts(base, side(tmp_path / "head", 1.5, exact=EXACT)).values()) == {"same"}
    other = today["pixel_dcl"].layer.options | {"kernel_size": 5}
    today["pixel_dcl"] = dataclasses.replace(today["pixel_dcl"], layer=Spec("pixel_dcl", other))
    found = verdicts(base, side(tmp_path / "other", 1.5, exact=EXACT))
    parameters = {name: verdict for (name, metric), verdict in found.items() if metric == "parameters"}
    assert sorted(parameters.values()) == ["missing", "not comparable"], "two cells by two names"


def test_both_sides_record_the_cells_that_are_flagged_by_the_id_that_head_has() -> None:
    layers = {layer: REGISTRIES["layer"].complete(layer, {}) for layer in recordings.LAYERS}
    task, model = (
        Spec(name, REGISTRIES[kind].complete(name, {})) for kind, name in (("task", "speed"), ("model", "single"))
    )
    head = [
        dataclasses.replace(recordings.cell(layer), layer=Spec(layer, options), task=task, model=model)
        for layer, options in layers.items()
    ]
    cells = Cells.of({cell.id: cell for cell in recordings.LAYERS.values()}, {cell.id: cell for cell in head})
    assert set(cells.base) == set(cells.head)
    chosen = cells.chosen({head[1].id})
    assert [cell.layer.name for cell in chosen.base.values()] == [head[1].layer.name]
    assert list(chosen.base.values()) == [recordings.LAYERS[head[1].layer.name]], "as base itself understands it"
    assert len(cells.chosen({"elsewhere"}).base) == 1, "a process has to record something"


def test_what_a_cell_raised_is_said(tmp_path: Path) -> None:
    base, head = side(tmp_path / "base", 1.5), tmp_path / "head"
    lost = recordings.LAYERS["pixel_dcl"].id
    write(head / "0.json", {"transposed_conv": 1.0}, failed={lost: "RuntimeError: too small"})
    rows = compare_sides(read_side(base), read_side(head), Rule())
    assert {row.note for row in rows if row.verdict == "missing"} == {"RuntimeError: too small"}


def test_a_cell_that_was_lost_once_is_missing_though_it_has_figures(tmp_path: Path) -> None:
    base, head = side(tmp_path / "base", 1.5), side(tmp_path / "head", 1.5)
    lost = recordings.LAYERS["pixel_dcl"].id
    write(head / "0.json", {"transposed_conv": 1.0}, failed={lost: "RuntimeError: at times"})
    found = verdicts(base, head)
    assert found["pixel_dcl", "outcome"] == "missing"
    assert found["pixel_dcl", "forward_time_anchor_ratio"] == "same"


def test_the_terminal_shows_brackets_as_they_are(tmp_path: Path) -> None:
    rows = [Row("id", "pixel_dcl", "iou[land]", Verdict.MISSING, note="no [/x]")]
    console = Console(width=120, file=io.StringIO())
    console.print(report.to_terminal(rows))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "iou[land]" in shown
    assert "no [/x]" in shown


def test_a_vanished_cell_is_missing_and_a_new_one_is_not_held_against_the_head(tmp_path: Path) -> None:
    base, head = side(tmp_path / "base", 1.5), tmp_path / "head"
    for index in range(8):
        write(head / f"{index}.json", {"transposed_conv": 1.0})
    assert verdicts(base, head)["pixel_dcl", "forward_time_anchor_ratio"] == "missing"
    assert verdicts(head, base)["pixel_dcl", "forward_time_anchor_ratio"] == "not comparable"


def test_times_of_another_machine_do_not_compare_but_parameters_do(tmp_path: Path) -> None:
    base = side(tmp_path / "base", 1.5, exact=EXACT)
    head = side(tmp_path / "head", 3.0, exact=EXACT, environment={**ENVIRONMENT, "processor": "another"})
    found = verdicts(base, head)
    assert found["pixel_dcl", "forward_time_anchor_ratio"] == "not comparable"
    assert found["pixel_dcl", "parameters"] == "same"


def test_results_folders_compare_too(finished: Path, tmp_path: Path) -> None:
    """The same run twice is the same; a changed figure, a failed cell and other data are told apart."""
    head = tmp_path / "head"
    shutil.copytree(finished, head)
    assert set(verdicts(finished, head).values()) == {"same"}
    worse, failed, other = sorted((head / "cells").glob("*.json"))[:3]
    _edit(worse, lambda record: record["measurements"][0].update(value=record["measurements"][0]["value"] / 2))
    _edit(failed, lambda record: record.update(outcome="failed", reason="no luck", measurements=[]))
    _edit(other, lambda record: record["raw"]["data"]["test"].update(sha256="0"))
    rows = compare_sides(read_side(finished), read_side(head), Rule())
    by_cell = {path.stem: {row.verdict for row in rows if row.cell == path.stem} for path in (worse, failed, other)}
    assert by_cell == {worse.stem: {"regressed", "same"}, failed.stem: {"missing"}, other.stem: {"not comparable"}}
    assert any(row.note == "failed: no luck" for row in rows)


def _edit(path: Path, change: Callable[[dict], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_what_is_not_repeated_is_only_ambiguous() -> None:
    first = [Row(name, name, "time", Verdict.REGRESSED) for name in "abd"] + [Row("c", "c", "time", Verdict.SAME)]
    verdicts_again = {"a": Verdict.REGRESSED, "b": Verdict.SAME, "d": Verdict.MISSING}
    again = [Row(name, name, "time", verdict) for name, verdict in verdicts_again.items()]
    settled = confirm(first, again)
    assert [row.verdict for row in settled] == ["regressed", "ambiguous", "regressed", "same"]
    assert select_failing(settled) == [first[0], first[2]], "what is gone the second time has not got better"


def test_the_command_says_it_in_four_ways(upbench: Command, tmp_path: Path) -> None:
    base, head = side(tmp_path / "base", 1.5, exact=EXACT), side(tmp_path / "head", 1.8, exact=EXACT)
    files = ["--markdown", "comment.md", "--json", "verdict.json", "--junit", "junit.xml"]
    done = upbench("compare", base, head, *files)
    assert done.returncode == 1, done.stderr
    assert "1 regressed, 4 same" in done.stdout
    assert "+20.0 %" in done.stdout
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["failed"]
    assert len(verdict["rows"]) == 5
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")
    assert "Regression found" in (tmp_path / "comment.md").read_text()
    assert upbench("compare", base, base).returncode == 0


def test_a_verdict_is_its_word_and_knows_whether_it_fails() -> None:
    rows = [Row("id", "pixel_dcl", verdict, verdict) for verdict in Verdict]
    assert [row.metric for row in select_failing(rows)] == ["regressed", "missing"]
    assert report.count_verdicts(rows) == ", ".join(f"1 {verdict}" for verdict in Verdict)
    assert all(Verdict(str(verdict)) is verdict for verdict in Verdict)
    comment = report.to_markdown(rows, Rule())
    for verdict in Verdict:
        assert f"{verdict.sign} {verdict}" in comment
        assert (f"{verdict.capitalize()}: the figure {verdict.meaning}." in comment) == (verdict != "same")


def test_recordings_become_a_frame_and_a_table(upbench: Command, tmp_path: Path) -> None:
    folder = side(tmp_path / "recorded", 1.5, processes=4)
    lost = recordings.LAYERS["pixel_dcl"].id
    write(folder / "9.json", {"transposed_conv": 1.004}, failed={lost: "RuntimeError: at times"})
    write(folder / "8.json", {"transposed_conv": 1.004, "pixel_dcl": 4.0})
    done = upbench("tables", folder)
    assert done.returncode == 0, done.stderr
    assert "| pixel_dcl | 2.0 ± 1.4 |" in done.stdout
    assert "Spread wide, more processes would tell: recorded forward_time_anchor_ratio of pixel_dcl." in done.stdout
    frame = pd.read_csv(folder / "frame.csv")
    assert frame.groupby("layer")["value"].count().to_dict() == {"pixel_dcl": 5, "transposed_conv": 6}
    assert (folder / "tables" / "times-differences.md").exists()
    assert upbench("compare", folder, folder).returncode == 0, "what was written is no recording"


def test_bad_input_is_refused_in_one_line(upbench: Command, tmp_path: Path) -> None:
    good = side(tmp_path / "good", 1.5, processes=2)
    text = (good / "0.json").read_text()
    document = json.loads(text)
    (tmp_path / "empty").mkdir()
    made = {
        "truncated": text[: len(text) // 2],
        "foreign": json.dumps({"benchmarks": []}),
        "version": text.replace('"format": 1', '"format": 7'),
        "nan": text.replace("0.001,", "NaN,", 1),
        "negative": text.replace("0.001,", "-0.001,", 1),
        "anchorless": json.dumps(document | {"benchmarks": document["benchmarks"][1:]}),
        "unknown cell": text.replace('"cells": {"', '"cells": {"x'),
        "list": "[]",
    }
    for name, content in made.items():
        (tmp_path / f"{name}.json").write_text(content)
    for wrong in (*(f"{name}.json" for name in made), "empty", "absent"):
        done = upbench("compare", good, tmp_path / wrong)
        assert (done.returncode, done.stdout) == (2, ""), wrong
        assert done.stderr.count("\n") == 1, done.stderr
        assert wrong in done.stderr
        assert "Traceback" not in done.stderr
