"""The store: what is written is read back whole, and what is damaged is refused in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upbench.cell import Cell, Spec
from upbench.errors import UserError
from upbench.files import write_atomically
from upbench.measurement import Measurement
from upbench.store.record import Record
from upbench.store.store import Store

CELL = Cell(Spec("speed", {"batch": 4}), Spec("single"), Spec("pixel_dcl", {"kernel_size": 3}), None)


def record(**changes: object) -> Record:
    fields = {
        "id": CELL.id, "cell": CELL.to_json(), "outcome": "ok", "duration": 1.5, "fingerprint": "f", "environment": {},
    }  # fmt: skip
    return Record(**{**fields, **changes})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "out")
    with store.opened():
        assert store.scratch.is_dir()
    return store


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5),
    reason=st.text(max_size=50),
    raw=st.dictionaries(st.text(max_size=5), st.lists(st.floats(allow_nan=False, allow_infinity=False)), max_size=3),
)
def test_records_come_back_as_they_went(
    store: Store, values: list[float], reason: str, raw: dict[str, list[float]]
) -> None:
    measured = [
        Measurement(metric=f"m{i}", value=value, unit="1", better="lower", varies="seed")
        for i, value in enumerate(values)
    ]
    written = record(measurements=measured, reason=reason, raw=raw)
    store.write(written)
    assert store.read(CELL.id) == written
    assert sorted(path.name for path in store.cells.iterdir()) == [f"{CELL.id}.json"], "no temporary file stays"


def test_a_cell_without_a_result_is_none(store: Store) -> None:
    assert store.read(CELL.id) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: json.dumps({**json.loads(text), "format": 99}),
        lambda text: json.dumps({**json.loads(text), "surprise": 1}),
        lambda text: text.replace("1.5", "NaN"),
        lambda text: json.dumps({**json.loads(text), "cell": {**json.loads(text)["cell"], "seed": 7}}),
        lambda text: json.dumps({**json.loads(text), "cell": {"seed": 7}}),
        lambda text: json.dumps({**json.loads(text), "cell": {**json.loads(text)["cell"], "surprise": 1}}),
        lambda text: json.dumps({**json.loads(text), "cell": {**json.loads(text)["cell"], "model": 5}}),
    ],
    ids=[
        "truncated",
        "empty",
        "another shape",
        "another format",
        "unknown field",
        "not a number",
        "another cell",
        "no cell",
        "a cell with an unknown field",
        "a cell with a wrong type",
    ],
)
def test_a_damaged_record_is_refused_by_name(store: Store, damage) -> None:
    store.write(record())
    path = store.path(CELL.id)
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=path.name):
        store.read(CELL.id)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_runs_cannot_share_a_folder(store: Store) -> None:
    with store.opened(), pytest.raises(UserError, match="in use"), Store(store.root).opened():
        pytest.fail("two runs hold one folder")
    with store.opened():
        assert not list(store.scratch.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs a device file that is always full")
def test_a_full_disk_is_one_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "path", lambda self, cell_id: Path("/dev/full") / cell_id)
    with pytest.raises(UserError, match="cannot be written"):
        store.write(record())
