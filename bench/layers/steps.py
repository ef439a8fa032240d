"""The two kinds of convolution a PixelDCL schedule is made of: on the grid of the input, and on that of the output."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from bench.layers.base import CONV, init_by_fan_in
from bench.layers.padded import added_conv, adds_in_one_pass, padded_conv
from bench.layers.phases import Phase
from bench.layers.schedule import Step

Init = Literal["equal", "released"]
Terms = dict[Phase, list[Tensor]]  # the tensors whose sum a phase is; they are added only when it is written or read


class PhaseStep(nn.Module):
    """A convolution on the grid of the input: weights (len(makes) * out, channels seen, *kernel), phases slowest.

    What it sees is concatenated: kernels split by source would have to write and add their shares of the output, which
    costs more than the copy (see SPEED.md).
    """

    def __init__(self, step: Step, in_channels: int, out_channels: int, *, dims: int, factor: int, kernel: int) -> None:
        super().__init__()
        self.step, self.conv, self.kernel = step, CONV[dims], kernel
        seen = step.sees_input * in_channels + len(step.sees) * out_channels
        self.weight = nn.Parameter(torch.empty(len(step.makes) * out_channels, seen, *[kernel] * dims))

    def reset_parameters(self, init: Init, seen_power: float) -> None:
        """seen_power: the mean square of a phase as a later step sees it, after the activation; the input's is 1."""
        if init == "released":
            nn.init.xavier_uniform_(self.weight)
            return
        maps = self.weight.shape[1]
        seen = len(self.step.sees) * len(self.weight) // len(self.step.makes)  # of them, those that are phases
        for kernels in self.weight.data.chunk(len(self.step.makes)):
            init_by_fan_in(kernels, kernels[0].numel())
            kernels *= (maps / (maps - seen + seen * seen_power)) ** 0.5

    def forward(self, x: Tensor, seen: Mapping[Phase, Tensor]) -> Terms:
        parts = [x] * self.step.sees_input + [seen[phase] for phase in self.step.sees]
        y = self.conv(torch.cat(parts, 1) if len(parts) > 1 else parts[0], self.weight, padding=self.kernel // 2)
        made = y.chunk(len(self.step.makes), 1) if len(self.step.makes) > 1 else [y]  # a chunk's backward is a copy
        return {phase: [part] for phase, part in zip(self.step.makes, made, strict=True)}

    def multiply_adds(self) -> int:
        return self.weight.numel()


class SharedStep(nn.Module):
    """A convolution on the grid of the output, done on the grid of the input with its real taps only.

    An output pixel of phase p reads, through tap t, a pixel of phase q where p + t = q modulo the factor. So the
    kernel falls apart into one small kernel for each residue q - p: `weights["1_0"]` holds the taps with an odd row
    and an even column offset, (out_channels, out_channels, *taps). All else of the masked kernel never meets a value.
    """

    def __init__(self, step: Step, in_channels: int, out_channels: int, *, dims: int, factor: int, kernel: int) -> None:
        super().__init__()
        self.step, self.conv, self.factor, self.kernel = step, CONV[dims], factor, kernel
        if not all(all(self.taps(residue)) for residue in self.residues()):
            raise ValueError(f"kernel {kernel} has no tap between some phases; it must be larger")
        self.weights = nn.ParameterDict(
            {
                residue_key(residue): nn.Parameter(
                    torch.empty(out_channels, out_channels, *map(len, self.taps(residue)))
                )
                for residue in self.residues()
            }
        )

    def pairs(self) -> Iterator[tuple[Phase, Phase, Phase]]:
        """(phase made, phase seen, residue of the taps between them)."""
        for made, seen in itertools.product(self.step.makes, self.step.sees):
            yield made, seen, tuple((q - p) % self.factor for p, q in zip(made, seen, strict=True))

    def residues(self) -> list[Phase]:
        """The residues that occur, in ascending order."""
        return sorted({residue for _, _, residue in self.pairs()})

    def taps(self, residue: Phase) -> list[range]:
        """The tap offsets of a residue, in pixels of the output, for each dimension."""
        half = self.kernel // 2
        return [range(-half + (r + half) % self.factor, half + 1, self.factor) for r in residue]

    def reset_parameters(self, init: Init, seen_power: float) -> None:
        """seen_power: as in `PhaseStep`."""
        fan_in = sum(self.weight(residue)[0].numel() for _, _, residue in self.pairs()) // len(self.step.makes)
        for residue in self.residues():
            if init == "released":
                nn.init.trunc_normal_(self.weight(residue), std=1.0)
            else:
                init_by_fan_in(self.weight(residue).data, fan_in)
                self.weight(residue).data *= seen_power**-0.5

    def weight(self, residue: Phase) -> Tensor:
        return self.weights[residue_key(residue)]

    def forward(self, x: Tensor, seen: Mapping[Phase, Tensor]) -> Terms:
        terms: Terms = {phase: [] for phase in self.step.makes}
        for made, source, residue in self.pairs():
            border = [
                (-((p + taps[0] - q) // self.factor), (p + taps[-1] - q) // self.factor)
                for p, q, taps in zip(made, source, self.taps(residue), strict=True)
            ]
            self._correlate(terms[made], seen[source], self.weight(residue), border)
        return terms

    def _correlate(self, terms: list[Tensor], x: Tensor, weight: Tensor, border: list[tuple[int, int]]) -> None:
        """Give `terms` a convolution after padding each dimension by (before, after): a new one, or added to the last.

        What is even of the padding is left to the convolution.
        """
        even = [max(0, min(sides)) for sides in border]
        odd = [side - both for sides, both in zip(border, even, strict=True) for side in reversed(sides)][::-1]
        if terms and adds_in_one_pass(terms[-1], x):
            terms[-1] = added_conv(terms[-1], x, weight, odd, even)
        else:
            terms.append(padded_conv(x, weight, odd, even))

    def masked_kernel(self) -> Tensor:
        """The kernel on the grid of the output as the authors' code has it: (out, out, *kernel), zero where masked."""
        first = self.weight(self.residues()[0])
        kernel = first.new_zeros(*first.shape[:2], *[self.kernel] * (first.ndim - 2))
        for residue in self.residues():
            kernel[self.kernel_slices(residue)] = self.weight(residue)
        return kernel

    def kernel_slices(self, residue: Phase) -> tuple[slice, ...]:
        """Where in the masked kernel the taps of a residue lie."""
        half = self.kernel // 2
        where = [slice(taps[0] + half, taps[-1] + half + 1, self.factor) for taps in self.taps(residue)]
        return (slice(None), slice(None), *where)

    def multiply_adds(self) -> int:
        return sum(self.weight(residue).numel() for _, _, residue in self.pairs())


def residue_key(residue: Phase) -> str:
    return "_".join(map(str, residue))
