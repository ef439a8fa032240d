"""The two convolutions that a PixelDCL schedule is made of: on the grid of the input, and on that of the output."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from upbench.layers.base import CONV, init_by_fan_in
from upbench.layers.padded import added_conv, adds_in_one_pass, padded_conv
from upbench.layers.phases import Phase
from upbench.layers.schedule import Step

Init = Literal["equal", "released"]
Terms = dict[Phase, list[Tensor]]  # the tensors whose sum a phase is; they are added only when it is written or read


class PhaseStep(nn.Module):
    """A convolution on the grid of the input, which makes its phases from all that it sees.

    Its weights have the shape (len(makes) * out, channels seen, *kernel), phases slowest. What it sees is concatenated:
    kernels split by source would have to write and add their shares of the output, which costs more than the copy (see
    SPEED.md).

    Args:
        step: The phases that are made and seen.
        in_channels: Channels of the layer's input.
        out_channels: Channels of each phase.
        dims: Spatial dimensions.
        scale_factor: Up-sampling factor of the layer, which makes no difference on the grid of the input.
        kernel_size: Side of the kernel in pixels of the input, odd.
    """

    def __init__(
        self, step: Step, in_channels: int, out_channels: int, *, dims: int, scale_factor: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.step = step
        self.conv = CONV[dims]
        self.kernel_size = kernel_size
        channels = len(step.sees) * out_channels
        if step.sees_input:
            channels += in_channels
        maps = len(step.makes) * out_channels
        self.weight = nn.Parameter(torch.empty(maps, channels, *[kernel_size] * dims))

    def reset_parameters(self, init: Init, seen_power: float) -> None:
        """Draw the weights anew.

        Args:
            init: The start, as the layers of the family have it.
            seen_power: The mean square of a phase as a later step sees it, after the activation; the input's is 1.
        """
        if init == "released":
            nn.init.xavier_uniform_(self.weight)
            return
        made = len(self.step.makes)
        maps = self.weight.shape[1]
        out_channels = len(self.weight) // made
        phase_maps = len(self.step.sees) * out_channels
        input_maps = maps - phase_maps
        # the input has a mean square of 1, the phases one of seen_power: together they must give 1
        power = input_maps + phase_maps * seen_power
        gain = (maps / power) ** 0.5
        for kernels in self.weight.data.chunk(made):
            init_by_fan_in(kernels, kernels[0].numel())
            kernels *= gain

    def forward(self, x: Tensor, seen: Mapping[Phase, Tensor]) -> Terms:
        """Make the phases of this step.

        Args:
            x: The layer's input (N, in, *S).
            seen: The earlier phases (N, out, *S), after the activation.

        Returns:
            For each phase made, one tensor (N, out, *S).
        """
        parts = [seen[phase] for phase in self.step.sees]
        if self.step.sees_input:
            parts.insert(0, x)
        padding = self.kernel_size // 2
        # no name for the concatenation, which would keep it alive
        y = self.conv(_concatenate(parts), self.weight, padding=padding)
        makes = self.step.makes
        # a lone phase is not taken as a chunk, whose backward would be a copy
        if len(makes) == 1:
            return {makes[0]: [y]}
        chunks = y.chunk(len(makes), 1)
        return {phase: [chunk] for phase, chunk in zip(makes, chunks, strict=True)}

    def multiply_adds(self) -> int:
        """Count one multiply-add for each weight."""
        return self.weight.numel()


class SharedStep(nn.Module):
    """A convolution on the grid of the output, done on the grid of the input with its real taps only.

    An output pixel of phase p reads, through tap t, a pixel of phase q where p + t = q modulo the scale factor. So the
    kernel falls apart into one small kernel for each residue q - p: `weights["1_0"]` holds the taps with an odd row
    and an even column offset, (out, out, *taps). All else of the masked kernel never meets a value.

    Args:
        step: The phases that are made and seen.
        in_channels: Channels of the layer's input, which the step does not see.
        out_channels: Channels of each phase.
        dims: Spatial dimensions.
        scale_factor: Up-sampling factor of the layer.
        kernel_size: Side of the kernel in pixels of the output, odd.

    Raises:
        ValueError: The kernel is so small that it has no tap between some phases.
    """

    def __init__(
        self, step: Step, in_channels: int, out_channels: int, *, dims: int, scale_factor: int, kernel_size: int
    ) -> None:
        super().__init__()
        self.step = step
        self.conv = CONV[dims]
        self.scale_factor = scale_factor
        self.kernel_size = kernel_size
        self.weights = nn.ParameterDict()
        for residue in self.residues():
            counts = [len(taps) for taps in self.taps(residue)]
            if not all(counts):
                raise ValueError(f"kernel_size {kernel_size} has no tap between some phases; it must be larger")
            self.weights[residue_key(residue)] = nn.Parameter(torch.empty(out_channels, out_channels, *counts))

    def pairs(self) -> Iterator[tuple[Phase, Phase, Phase]]:
        """Pair each phase that is made with each that is seen: (made, seen, residue of the taps between them)."""
        for made, seen in itertools.product(self.step.makes, self.step.sees):
            offsets = zip(made, seen, strict=True)
            residue = tuple((q - p) % self.scale_factor for p, q in offsets)
            yield made, seen, residue

    def residues(self) -> list[Phase]:
        """List the residues that occur, in ascending order."""
        return sorted({residue for _, _, residue in self.pairs()})

    def taps(self, residue: Phase) -> list[range]:
        """List the tap offsets of a residue, in pixels of the output, for each dimension."""
        half = self.kernel_size // 2
        offsets = []
        for r in residue:
            first = -half + (r + half) % self.scale_factor
            offsets.append(range(first, half + 1, self.scale_factor))
        return offsets

    def reset_parameters(self, init: Init, seen_power: float) -> None:
        """Draw the weights anew.

        Args:
            init: The start, as the layers of the family have it.
            seen_power: The mean square of a phase as a later step sees it, after the activation.
        """
        # all phases made read as many numbers: the mean over them is the fan-in of each
        read = 0
        for _, _, residue in self.pairs():
            read += self.weight(residue)[0].numel()
        fan_in = read // len(self.step.makes)
        for residue in self.residues():
            weight = self.weight(residue)
            if init == "released":
                nn.init.trunc_normal_(weight, std=1.0)
            else:
                init_by_fan_in(weight.data, fan_in)
                weight.data *= seen_power**-0.5

    def weight(self, residue: Phase) -> Tensor:
        """Give the small kernel of a residue (out, out, *taps)."""
        return self.weights[residue_key(residue)]

    def forward(self, x: Tensor, seen: Mapping[Phase, Tensor]) -> Terms:
        """Make the phases of this step.

        Args:
            x: The layer's input, which is not read.
            seen: The earlier phases (N, out, *S), after the activation.

        Returns:
            For each phase made, the tensors (N, out, *S) whose sum it is.
        """
        terms: Terms = {phase: [] for phase in self.step.makes}
        for made, source, residue in self.pairs():
            uneven, even = self.padding(made, source, residue)
            weight = self.weight(residue)
            self._add_term(terms[made], seen[source], weight, uneven, even)
        return terms

    def padding(self, made: Phase, source: Phase, residue: Phase) -> tuple[list[int], list[int]]:
        """Compute what a phase is padded by, so that a convolution of it is aligned with the phase that is made.

        Returns:
            The padding in the two parts of `padded_conv`: uneven and even.
        """
        uneven: list[int] = []
        even: list[int] = []
        for p, q, taps in zip(made, source, self.taps(residue), strict=True):
            # the first and the last input pixel that the taps fall on, counted from the one of the phase made
            distance = p - q
            first = (distance + taps[0]) // self.scale_factor
            last = (distance + taps[-1]) // self.scale_factor
            before = -first
            after = last
            # the even part costs nothing, so it is as large as can be
            both = max(0, min(before, after))
            even.append(both)
            # F.pad counts dimensions from the last
            uneven = [before - both, after - both, *uneven]
        return uneven, even

    def _add_term(self, terms: list[Tensor], x: Tensor, weight: Tensor, uneven: list[int], even: list[int]) -> None:
        """Give `terms` a convolution after padding: as a new term, or added to the last one where that is faster."""
        if terms and adds_in_one_pass(terms[-1], x):
            terms[-1] = added_conv(terms[-1], x, weight, uneven, even)
            return
        term = padded_conv(x, weight, uneven, even)
        terms.append(term)

    def masked_kernel(self) -> Tensor:
        """Give the kernel of the authors' code, on the grid of the output: (out, out, *kernel), zero where masked."""
        first = self.weight(self.residues()[0])
        channels = first.shape[:2]
        dims = first.ndim - 2
        kernel = first.new_zeros(*channels, *[self.kernel_size] * dims)
        for residue in self.residues():
            kernel[self.kernel_slices(residue)] = self.weight(residue)
        return kernel

    def kernel_slices(self, residue: Phase) -> tuple[slice, ...]:
        """Tell where in the masked kernel the taps of a residue lie."""
        half = self.kernel_size // 2
        slices = [slice(None), slice(None)]  # all channels
        for taps in self.taps(residue):
            first = taps[0] + half
            last = taps[-1] + half
            where = slice(first, last + 1, self.scale_factor)
            slices.append(where)
        return tuple(slices)

    def multiply_adds(self) -> int:
        """Count the small kernel of each pair of phases."""
        total = 0
        for _, _, residue in self.pairs():
            total += self.weight(residue).numel()
        return total


def _concatenate(parts: list[Tensor]) -> Tensor:
    """Concatenate the channels of `parts`; a lone part is given as it is."""
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts, 1)


def residue_key(residue: Phase) -> str:
    """Name the kernel of a residue in the state of a layer: (1, 0) is "1_0"."""
    return "_".join(map(str, residue))
