"""The pictures show what the analysis measures."""

from __future__ import annotations

import pytest
from upbench.layers import build
from upbench.layers.inspect.analysis import dependencies, receptive_fields
from upbench.layers.inspect.pictures import draw_dependencies, draw_impulse_response, draw_receptive_fields


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", ["pixel_dcl", "ipixel_dcl", "pixel_shuffle"])
def test_pictures(tmp_path, name, dims):
    layer = build(name, 4, 4, dims=dims)
    (graph,) = draw_dependencies(layer).axes
    seen = dependencies(layer)
    assert {text.get_text() for text in graph.texts} - {""} == {"input", *(f"phase\n{phase}" for phase in seen)}
    assert sum(text.get_text() == "" for text in graph.texts) == sum(map(len, seen.values()))
    titles = [axes.get_title() for axes in draw_receptive_fields(layer).axes]
    assert titles == [f"phase {phase}: {field.pixels} pixels" for phase, field in receptive_fields(layer).items()]
    draw_impulse_response(layer).savefig(tmp_path / "response.png")
    assert (tmp_path / "response.png").stat().st_size > 5000


@pytest.mark.parametrize("draw", [draw_dependencies, draw_impulse_response, draw_receptive_fields])
def test_a_3d_layer_is_refused(draw):
    with pytest.raises(ValueError, match="1-D and 2-D"):
        draw(build("pixel_dcl", 2, 2, dims=3))
