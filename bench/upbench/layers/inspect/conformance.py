"""Whether an up-sampling layer keeps the contract of `upbench.layers.base`: every demand checked, one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from upbench.errors import UserError
from upbench.layers import build
from upbench.layers.inspect import conformance_checks as behaviour
from upbench.layers.inspect import conformance_figures as figures
from upbench.layers.inspect.conformance_case import Case, Make, NotChecked, first_line
from upbench.layers.inspect.conformance_start import check_start

SCALE_FACTORS = (2, 3)
REQUIRED = (2, 2)  # the dims and the scale factor that every layer must support


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: the check's name.
        passed: True or False; None where there was nothing to check.
        message: what holds, what is wrong, or why there was nothing to check: one line.
    """

    check: str
    passed: bool | None
    message: str


@dataclass(frozen=True)
class Check:
    """One demand on a layer.

    Attributes:
        name: what the finding is called.
        find_fault: returns what is wrong with a case, or None; raises NotChecked where there is nothing to check.
        demand: what holds where no fault is found.
    """

    name: str
    find_fault: Callable[[Case], str | None]
    demand: str


CHECKS = (
    Check("shapes", behaviour.check_shapes, "(N, in, *S) becomes (N, out, *(scale_factor * s for s in S))"),
    Check("thin inputs", behaviour.check_thin_inputs, "sides of one pixel are taken"),
    Check("empty batch", behaviour.check_empty_batch, "a batch of no samples is taken, forward and backward"),
    Check("refusal", behaviour.check_refusal, "an input with a channel too few is refused"),
    Check("repr", behaviour.check_repr, "channels, dims and scale_factor are said"),
    Check("determinism", behaviour.check_determinism, "one seed and one input give the same bits"),
    Check("input kept", behaviour.check_input_kept, "the input is not changed in place"),
    Check("batch", behaviour.check_batch_independence, "a sample's output does not depend on the others"),
    Check("copies", behaviour.check_copies, "a deep copy and a loaded state_dict give the same bits"),
    Check("modes", behaviour.check_modes, "a call in eval mode changes no state"),
    Check("gradients", figures.check_gradients, "gradcheck agrees, and every parameter gets a gradient"),
    Check("memory formats", figures.check_memory_formats, "channels-last in, the same values channels-last out"),
    Check("dtypes", figures.check_dtypes, "bfloat16 and float64 run and agree with float32"),
    Check("FLOPs", figures.check_flops, "torch counts what multiply_adds() says"),
    Check("start", check_start, "all phases start with the same mean square"),
)


def check_layer(name: str, options: Mapping[str, Any] | None = None) -> list[Finding]:
    """Check a layer by its name.

    Args:
        name: a registered name, "package.module:Name" or "./file.py:Name".
        options: the layer's own options.

    Returns:
        The findings of `check_made`.

    Raises:
        UserError: for an unknown name or option, or values of options with which the layer cannot be built.
    """
    options = dict(options or {})

    def make(in_channels: int, out_channels: int, *, dims: int, scale_factor: int) -> nn.Module:
        """Build the named layer with its options."""
        return build(name, in_channels, out_channels, dims=dims, scale_factor=scale_factor, **options)

    if options:
        # without options a refusal is a fault of the layer; with them it is most likely one of the values
        try:
            Case(make, *REQUIRED).build()
        except ValueError as error:
            raise UserError(f"layer {name!r}: {error}") from None
    return check_made(make)


def check_made(make: Make) -> list[Finding]:
    """Check the layers that `make(in_channels, out_channels, dims=..., scale_factor=...)` builds.

    Each of its `dims_supported` is checked with scale factors 2 and 3; a module that does not say which it supports
    is checked in 2-D. The state of torch's generator is left as it was.

    Returns:
        A finding for each check, after one for each case that the layer refuses with ValueError. A layer that cannot
        be built in 2-D with a scale factor of 2 has that one finding.

    Raises:
        UserError: where `make` does.
    """
    with torch.random.fork_rng(devices=[]):
        required = Case(make, *REQUIRED)
        try:
            layer = required.build()
        except UserError:
            raise
        except Exception as error:
            return [Finding("build", False, f"{required}: {describe(error)}")]
        cases, findings = sort_cases(make, layer)
        for check in CHECKS:
            findings.append(run_check(check, cases))
    return findings


def sort_cases(make: Make, layer: nn.Module) -> tuple[list[Case], list[Finding]]:
    """The cases to check, the required one first, and a finding for each case that the layer refuses."""
    cases = [Case(make, *REQUIRED)]
    findings = []
    for dims in getattr(layer, "dims_supported", REQUIRED[:1]):
        for scale_factor in SCALE_FACTORS:
            case = Case(make, dims, scale_factor)
            if case in cases:
                continue
            try:
                case.build()
            except ValueError as error:
                findings.append(Finding(str(case), None, f"not supported: {first_line(error)}"))
                continue
            except Exception as error:
                findings.append(Finding(str(case), False, describe(error)))
                continue
            cases.append(case)
    return cases, findings


def run_check(check: Check, cases: list[Case]) -> Finding:
    """Run one check on all cases and say the first fault, the first reason why nothing was checked, or what holds."""
    faults = []
    reasons = []
    for case in cases:
        try:
            fault = check.find_fault(case)
        except NotChecked as reason:
            reasons.append(f"{case}: {reason}")
            continue
        except Exception as error:
            fault = describe(error)
        if fault is not None:
            faults.append(f"{case}: {fault}")
    if faults:
        more = f" (and {len(faults) - 1} more of {len(cases)} cases)" if len(faults) > 1 else ""
        return Finding(check.name, False, faults[0] + more)
    if len(reasons) == len(cases):
        return Finding(check.name, None, reasons[0])
    return Finding(check.name, True, check.demand)


def describe(error: Exception) -> str:
    """An exception as one line: its type and the first line of its message."""
    return f"{type(error).__name__}: {first_line(error)}"
