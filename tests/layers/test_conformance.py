"""What every registered up-sampling layer must do. A new layer is enrolled by its registration line."""

from __future__ import annotations

import inspect
import io
import itertools
import re
import typing

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from upbench.layers import LAYERS, build
from upbench.layers.base import UpsamplingLayer
from upbench.layers.phases import phases

IN, OUT = 8, 4
ANY_DIMS = [
    pytest.param(name, dims, id=f"{name}-{dims}d") for name in LAYERS for dims in LAYERS.get(name).dims_supported
]
any_layer = pytest.mark.parametrize("name", LAYERS)
any_dims = pytest.mark.parametrize(("name", "dims"), ANY_DIMS)
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


def example(name: str, dims: int, *, scale_factor: int = 2, **options: object) -> tuple[torch.nn.Module, torch.Tensor]:
    """A layer and an input with odd, unequal sides."""
    torch.manual_seed(0)
    layer = build(name, IN, OUT, dims=dims, scale_factor=scale_factor, **options)
    return layer, torch.randn(2, IN, *(5, 3, 4)[:dims])


def spread_parameters(layer: torch.nn.Module) -> None:
    """Move every parameter away from values at which a layer is blind to it, such as a bias of zero."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.05 * torch.randn_like(parameter)


def own_options(component: type) -> dict[str, inspect.Parameter]:
    """The parameters of a layer's class but the two channel counts."""
    return dict(list(inspect.signature(component).parameters.items())[2:])


def listed_values(component: type, option: str) -> tuple[object, ...]:
    """The allowed values of an option, where its type lists them."""
    return typing.get_args(typing.get_type_hints(component.__init__)[option])


@any_layer
def test_every_option_is_documented(name):
    """The class has one sentence to sum it up, and an entry with more than a few words in `Args` for each parameter."""
    component = LAYERS.get(name)
    text = inspect.cleandoc(component.__doc__)
    summary, _, _ = text.partition("\n\n")
    assert summary.endswith(".")
    assert len(summary.splitlines()) == 1
    _, _, arguments = text.partition("\nArgs:\n")
    arguments, _, _ = arguments.partition("\n\n")
    entries = dict(re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", arguments, re.MULTILINE))
    assert list(entries) == list(inspect.signature(component).parameters)
    assert all(len(entry.split()) >= 3 for entry in entries.values())
    for option, parameter in own_options(component).items():
        assert "default" in entries[option].lower()
        assert str(parameter.default) in entries[option]
        assert all(f'"{value}"' in entries[option] for value in listed_values(component, option))


@any_layer
def test_every_option_is_an_attribute(name):
    layer = build(name, IN, OUT)
    for option, parameter in own_options(type(layer)).items():
        value = getattr(layer, option)
        assert value == parameter.default or (option == "bias" and value is None)


@any_layer
def test_repr_shows_each_option_that_differs_from_its_default(name):
    plain = f"{IN}, {OUT}, dims=2, scale_factor=2"
    assert build(name, IN, OUT).extra_repr() == plain
    component = LAYERS.get(name)
    for option, parameter in own_options(component).items():
        if option in ("dims", "scale_factor"):
            continue
        default = parameter.default
        others = [value for value in listed_values(component, option) if value != default]
        if others:
            value = others[0]
        elif isinstance(default, str):
            value = "pixel_shuffle"
        elif isinstance(default, bool):
            value = not default
        else:
            value = default + 2 if default % 2 else default // 2
        layer = build(name, IN, OUT, **{option: value})
        assert layer.extra_repr() == f"{plain}, {option}={value!r}"


def test_repr_of_a_layer_of_the_users_own():
    """Options are shown without a line for it; one that has no attribute of its name is left out."""

    class Mine(UpsamplingLayer):
        def __init__(
            self,
            in_channels: int,
            out_channels: int,
            *,
            dims: int = 2,
            scale_factor: int = 2,
            smooth: float = 0.5,
            compile: bool = False,  # noqa: A002
            hidden: int = 1,
            scope: bool = True,
            bias: bool = True,
        ) -> None:
            super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
            self.smooth = smooth
            self.scope = torch.nn.Conv2d(1, 1, 1) if scope else None

    assert Mine(3, 4).extra_repr() == "3, 4, dims=2, scale_factor=2"
    changed = Mine(3, 4, scale_factor=3, smooth=0.25, hidden=2, scope=False, bias=False)
    assert changed.extra_repr() == "3, 4, dims=2, scale_factor=3, smooth=0.25, scope=False, bias=False"


def test_every_layer_says_which_dims_it_supports():
    for name, dims in itertools.product(LAYERS, (1, 2, 3)):
        if dims not in LAYERS.get(name).dims_supported:
            with pytest.raises(ValueError, match="dims"):
                build(name, IN, OUT, dims=dims)


@any_dims
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_shape(name, dims, data):
    batch = data.draw(st.integers(0, 2))
    size = data.draw(st.lists(st.integers(1, 6), min_size=dims, max_size=dims))
    scale_factor = data.draw(st.integers(2, 4))
    layer = build(name, IN, OUT, dims=dims, scale_factor=scale_factor)
    y = layer(torch.randn(batch, IN, *size))
    assert y.shape == (batch, OUT, *(scale_factor * side for side in size))
    assert y.isfinite().all()


@any_dims
def test_an_empty_batch_trains(name, dims):
    layer, x = example(name, dims)
    layer(x[:0]).sum().backward()
    assert all(not p.grad.any() for p in layer.parameters() if p.grad is not None)


@any_dims
@pytest.mark.parametrize("scale_factor", [2, 3])
def test_gradcheck(name, dims, scale_factor):
    layer, x = example(name, dims, scale_factor=scale_factor)
    layer.double()
    spread_parameters(layer)
    names, values = zip(*layer.named_parameters(), strict=True)

    def function(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))

    inputs = [value.detach().requires_grad_() for value in (x[:1].double(), *values)]
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


@any_layer
def test_autocast(name):
    layer, x = example(name, 2, **({"bias": True} if "bias" in LAYERS.options(name) else {}))
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    assert torch.linalg.norm(y.float() - layer(x)) < 0.02 * torch.linalg.norm(y.float())
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in layer.parameters())


@any_layer
def test_bf16_throughout(name):
    layer, x = example(name, 2)
    exact = layer(x)
    y = layer.bfloat16()(x.bfloat16())
    assert y.dtype == torch.bfloat16
    assert torch.linalg.norm(y.float() - exact) < 0.03 * torch.linalg.norm(exact)


@pytest.mark.parametrize(("name", "dims"), [case for case in ANY_DIMS if case.values[1] in CHANNELS_LAST])
def test_channels_last(name, dims):
    """Same values and gradients, and the output stays channels-last, so that no network pays for a conversion."""
    layer, x = example(name, dims)
    plain, last = x.clone().requires_grad_(), x.to(memory_format=CHANNELS_LAST[dims]).requires_grad_()
    expected = layer(plain)
    direction = torch.randn_like(expected)
    (expected * direction).sum().backward()
    weights = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    y = layer.to(memory_format=CHANNELS_LAST[dims])(last)
    (y * direction).sum().backward()
    assert y.is_contiguous(memory_format=CHANNELS_LAST[dims])
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(last.grad, plain.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close([p.grad for p in layer.parameters()], weights, atol=1e-4, rtol=1e-4)


@any_layer
def test_an_input_that_is_a_view(name):
    layer, x = example(name, 2)
    torch.testing.assert_close(layer(x.repeat(1, 1, 1, 2)[..., ::2]), layer(x.repeat(1, 1, 1, 2)[..., ::2].clone()))


@any_dims
def test_state_round_trip(name, dims):
    layer, x = example(name, dims)
    spread_parameters(layer)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    torch.manual_seed(1)
    other = build(name, IN, OUT, dims=dims)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(x), layer(x))


@any_dims
def test_determinism(name, dims):
    def run() -> list[torch.Tensor]:
        layer, x = example(name, dims)
        y = layer(x)
        y.square().sum().backward()
        return [y, *(p.grad for p in layer.parameters())]

    assert all(map(torch.equal, run(), run()))


@any_dims
def test_meta_device(name, dims):
    with torch.device("meta"):
        layer = build(name, IN, OUT, dims=dims)
        y = layer(torch.empty(2, IN, *(5, 3, 4)[:dims]))
    assert y.is_meta
    assert y.shape == (2, OUT, *(10, 6, 8)[:dims])


@any_dims
@pytest.mark.parametrize("scale_factor", [2, 3])
def test_flops_equal_the_hand_formula(name, dims, scale_factor):
    layer, x = example(name, dims, scale_factor=scale_factor)
    by_hand = 2 * x[:, 0].numel() * (layer.multiply_adds() - layer.uncounted_multiply_adds())
    for layout in (torch.contiguous_format, CHANNELS_LAST.get(dims, torch.contiguous_format)):
        with FlopCounterMode(display=False) as counter:
            layer.to(memory_format=layout)(x.contiguous(memory_format=layout))
        assert counter.get_total_flops() == by_hand
    assert 0 <= layer.uncounted_multiply_adds() <= layer.multiply_adds()


@any_layer
def test_compiles_without_graph_breaks(name):
    layer, x = example(name, 2)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    check_compiled(layer, compiled, [x, torch.randn(3, IN, 4, 7)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@any_dims
@pytest.mark.parametrize("last", [False, True])
def test_compiles_with_inductor(name, dims, last):
    layer, x = example(name, dims)
    if last and dims in CHANNELS_LAST:
        x = x.to(memory_format=CHANNELS_LAST[dims])
    torch.compiler.reset()
    check_compiled(layer, torch.compile(layer, fullgraph=True), [x])


def check_compiled(layer: torch.nn.Module, compiled: torch.nn.Module, inputs: list[torch.Tensor]) -> None:
    for x in inputs:
        results = []
        for module in (layer, compiled):
            layer.zero_grad()
            y = module(x)
            y.square().sum().backward()
            results.append([y, *(p.grad for p in layer.parameters())])
        torch.testing.assert_close(results[1], results[0], atol=1e-4, rtol=1e-4)


def dynamic_shapes(dims: int) -> tuple[dict[int, object]]:
    return (dict.fromkeys((0, *range(2, 2 + dims)), torch.export.Dim.DYNAMIC),)


@any_dims
def test_export(name, dims):
    layer, x = example(name, dims)
    program = torch.export.export(layer, (x,), dynamic_shapes=dynamic_shapes(dims))
    other = torch.randn(3, IN, *(4, 7, 2)[:dims])
    torch.testing.assert_close(program.module()(other), layer(other))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@any_dims
def test_onnx(name, dims):
    """The exporter and the runtime are not ours: their deprecations are no failure of a layer."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    layer, x = example(name, dims)
    program = torch.onnx.export(layer.eval(), (x,), dynamic_shapes=dynamic_shapes(dims), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for value in (x, torch.randn(3, IN, *(4, 7, 2)[:dims])):
        (y,) = session.run(None, {session.get_inputs()[0].name: value.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), layer(value).detach(), atol=1e-4, rtol=1e-4)


@any_dims
@pytest.mark.parametrize("seed", [0, 1])
def test_phases_start_with_equal_variance(name, dims, seed):
    """White input, 64 channels, borders left out."""
    torch.manual_seed(seed)
    layer = build(name, 64, 64, dims=dims)
    side = {1: 512, 2: 40, 3: 16}[dims]
    with torch.no_grad():
        y = layer(torch.randn(4, 64, *[side] * dims))
    inner = y[..., *[slice(6, -6)] * dims]
    variances = [inner[..., *(slice(p, None, 2) for p in phase)].var().item() for phase in phases(dims, 2)]
    assert max(variances) < 1.05 * min(variances)


@any_layer
def test_factor_one_is_refused(name):
    with pytest.raises(ValueError, match="scale_factor must be at least 2, got 1"):
        build(name, IN, OUT, scale_factor=1)


@any_layer
@pytest.mark.parametrize(("fewer", "channels"), [("in", (0, OUT)), ("out", (IN, 0))])
def test_zero_channels_are_refused(name, fewer, channels):
    with pytest.raises(ValueError, match=f"channels must be at least 1, got .*0 {fewer}"):
        build(name, *channels)


def takes_odd_kernels(name: str) -> bool:
    component = LAYERS.get(name)
    return "kernel_size" in inspect.signature(component).parameters and not component.even_kernels


@pytest.mark.parametrize("name", [name for name in LAYERS if takes_odd_kernels(name)])
@pytest.mark.parametrize("kernel_size", [0, 2, 4])
def test_even_kernels_are_refused(name, kernel_size):
    with pytest.raises(ValueError, match=f"kernel_size must be odd and positive, got {kernel_size}"):
        build(name, IN, OUT, kernel_size=kernel_size)


@any_dims
def test_a_wrong_input_is_refused(name, dims):
    layer, x = example(name, dims)
    for wrong in (x[:, 1:], x[0]):
        with pytest.raises(ValueError, match="takes"):
            layer(wrong)
