"""Forms of a layer are read from their text, and their times are compared by shape and by process."""

from __future__ import annotations

import pytest
from upbench.errors import UserError
from upbench.studies import layer_forms
from upbench.studies.layer_forms import Conditions, Form, parse_form

CONDITIONS = Conditions("cpu", threads=1, rounds=1)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("pixel_dcl", Form("pixel_dcl", {}, ())),
        ("pixel_dcl:published", Form("pixel_dcl", {"implementation": "published"}, ())),
        ("carafe:kernel_size=3/bf16/compile", Form("carafe", {"kernel_size": 3}, ("bf16", "compile"))),
        ("./a/layer.py:Mine", Form("./a/layer.py:Mine", {}, ())),
        ("package.module:Mine:published/bf16", Form("package.module:Mine", {"implementation": "published"}, ("bf16",))),
    ],
)
def test_a_form_is_a_layer_with_options_and_settings(text: str, form: Form) -> None:
    assert parse_form(text) == form


def test_an_unknown_setting_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown setting 'bf61' in pixel_dcl/bf61.*bf16"):
        parse_form("pixel_dcl/bf61")


def test_the_figure_is_the_geometric_mean_over_shapes_of_the_median_over_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two shapes, three processes: ratios (1, 4), (2, 4), (9, 4) make medians 2 and 4."""
    firsts = iter([[1.0, 8.0], [2.0, 8.0], [9.0, 8.0]])

    def take_time(form: str, conditions: Conditions) -> layer_forms.Times:
        seconds = next(firsts) if form == "one" else [1.0, 2.0]
        return {"forward": seconds, "training": seconds}

    monkeypatch.setattr(layer_forms, "time_in_fresh_process", take_time)
    layer_forms.print_comparison("one", "two", CONDITIONS, processes=3)
    lines = capsys.readouterr().out.splitlines()
    expected = "2.828 (processes 2.000 to 6.000; shapes 2.00, 4.00)"
    assert lines == [f"one over two, forward: {expected}", f"one over two, training: {expected}"]
