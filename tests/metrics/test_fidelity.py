"""Metrics by the features of a network: those of their formulas, and features extracted once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import efficientnet_lite_pytorch.model
import numpy as np
import pytest
import torch
from upbench.errors import UserError
from upbench.metrics import METRICS, by_features_of, effnet, effnet_network, features, inception, library

from tests.metrics.conftest import checkered


@pytest.fixture(scope="module")
def layers(tiles):
    """Features (48, 1280) and logits (48, 1000) of both halves of the tiles, straight from the network."""
    network = effnet.build([effnet.FEATURES, effnet.LOGITS], effnet.find_weights()).eval()
    with torch.inference_mode():
        return [[part.double() for part in network(torch.from_numpy(images).movedim(-1, 1))] for images in tiles]


def test_kid_sees_a_checkerboard(tiles) -> None:
    generated, real = tiles
    clean = effnet.KID(generated, real)
    assert effnet.KID(checkered(generated, 16), real) > clean + 20
    assert effnet.KID(generated, real) == clean, "drawn with a fixed seed"


@pytest.mark.slow
def test_fd_sees_a_checkerboard(tiles) -> None:
    generated, real = tiles
    assert effnet.FD(checkered(generated, 16), real) > effnet.FD(generated, real) > effnet.FD(real, real)


def test_kid_is_that_of_its_formula(tiles, layers) -> None:
    """The unbiased estimator, computed here from the features of two sets as large as the subsets."""
    (x, _), (y, _) = layers
    n = len(x)
    kernel = lambda a, b: (a @ b.T / 1280 + 1) ** 3  # noqa: E731
    off_diagonal = lambda k: (k.sum() - k.diagonal().sum()) / (n * (n - 1))  # noqa: E731
    expected = off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean()
    assert effnet.KID(*tiles) == pytest.approx(1000 * float(expected), rel=1e-2, abs=0.5)


def test_precision_and_recall_are_those_of_their_formula(tiles, layers) -> None:
    (x, _), (y, _) = layers

    def covered(points, centres) -> float:
        """Share of the points within any centre's distance to its third nearest other centre."""
        radius = torch.cdist(centres, centres).sort().values[:, 3]
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    assert effnet.PRECISION(*tiles) == pytest.approx(covered(x, y))
    assert effnet.RECALL(*tiles) == pytest.approx(covered(y, x))
    assert effnet.PRECISION(tiles[1][:8], tiles[1]) == 1, "its own subset lies within a set"


def test_the_inception_score_is_that_of_its_formula(tiles, layers) -> None:
    p = layers[0][1].softmax(1)
    expected = (p * (p.log() - p.mean(0).log())).sum(1).mean().exp()
    assert effnet.IS(*tiles) == pytest.approx(float(expected), rel=1e-4)
    assert effnet.IS(tiles[0][:1], tiles[1]) == pytest.approx(1), "one sample tells nothing of its class"


def test_features_are_extracted_once_for_all_metrics(tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPBENCH_CACHE", str(tmp_path))
    calls = []
    monkeypatch.setattr(library, "get_featuresdict_from_dataset", lambda *a, **_: calls.append(a) or stub(len(a[0])))
    features._extract.cache_clear()
    generated, real = tiles
    for metric in (effnet.KID, effnet.IS, effnet.PRECISION, effnet.RECALL):
        metric(generated.copy(), real.copy())
    assert len(calls) == 2
    effnet.KID(generated, checkered(real, 1))
    assert len(calls) == 3, "other images have other features"
    features._extract.cache_clear()
    effnet.KID(generated, real)
    assert len(calls) == 4, "those of the real images are kept for the next process"
    features._extract.cache_clear()


def stub(count: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return {name: torch.rand(count, 5, generator=generator) for name in (effnet.FEATURES, effnet.LOGITS)}


@pytest.mark.parametrize(("metric", "least"), [("KID", 2), ("FD", 2), ("PRECISION", 4), ("RECALL", 4)])
def test_too_few_images_are_refused(tiles, metric: str, least: int) -> None:
    with pytest.raises(ValueError, match=f"need {least} images a side"):
        getattr(effnet, metric)(tiles[0][: least - 1], tiles[1])


def test_images_of_two_channels_are_refused(tiles) -> None:
    with pytest.raises(ValueError, match="1 or 3 channels"):
        effnet.KID(*(images[..., :2] for images in tiles))


def test_a_line_names_the_metrics_of_an_extractor() -> None:
    line = by_features_of("mine", "kid", "precision")
    assert line == {"kid_mine": "upbench.metrics.mine:KID", "precision_mine": "upbench.metrics.mine:PRECISION"}
    for extractor, module in (("effnet", effnet), ("inception", inception)):
        named = [name for name in METRICS if name.endswith(extractor)]
        assert len(named) == 5
        for name in named:
            assert METRICS.get(name).fixed["extractor"] is module.EXTRACTOR


@pytest.mark.parametrize("content", [b"no archive", None])
def test_a_file_without_the_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content) if content else torch.save({"weight": torch.zeros(1)}, path)
    monkeypatch.setenv(inception.VARIABLE, str(path) + "0")
    with pytest.raises(UserError, match=r"weights\.pth0' is not a file"):
        inception.FID.check()
    monkeypatch.setenv(inception.VARIABLE, str(path))
    inception.FID.check()
    with pytest.raises(UserError, match=r"UPBENCH_INCEPTION = .*weights\.pth"):
        inception.FID(*(np.zeros((4, 8, 8, 3), np.uint8) for _ in range(2)))


@pytest.mark.slow
def test_metrics_by_inception_read_the_users_weights(tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With untrained weights of the right shapes: the way to the figures, not the figures."""
    path = tmp_path / "weights.pth"
    write_inception_weights(path)
    monkeypatch.setenv(inception.VARIABLE, str(path))
    generated, real = (images[:6] for images in tiles)
    for name in METRICS:
        if name.endswith("_inception"):
            assert np.isfinite(METRICS.get(name)(generated, real)), name
    assert inception.KID(real, real) != inception.KID(generated, real)


def write_inception_weights(path: Path) -> None:
    """Write untrained weights of the right shapes to the file."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Network

    torch.save({}, path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Network, "load_state_dict", lambda *_: None)
        network = Network("inception-v3-compat", ["2048"], str(path))
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.ndim == 4:  # or the features of so deep a network would all but vanish
            torch.nn.init.kaiming_normal_(parameter)
    torch.save(network.state_dict(), path)


@pytest.fixture
def extractions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of images that went through a network, one entry for each time, with an empty cache folder."""
    counts = []

    def count(images, *args, **options):
        counts.append(len(images))
        return extract(images, *args, **options)

    extract = library.get_featuresdict_from_dataset
    monkeypatch.setattr(library, "get_featuresdict_from_dataset", count)
    monkeypatch.setenv("UPBENCH_CACHE", str(tmp_path / "cache"))
    features._extract.cache_clear()
    return counts


def features_in_a_new_process(extractor: features.Extractor, images) -> torch.Tensor:
    """The features of real images when nothing is left in memory of what was extracted before."""
    for cached in (features._hash_file, features._build, features._extract):
        cached.cache_clear()
    return features.extract_and_keep(extractor, images)[extractor.features]


def replace_weights(path: Path) -> None:
    """Write other weights under the same name."""
    tensors = torch.load(path, weights_only=True)
    first = next(iter(tensors.values()))
    first *= 1.5
    torch.save(tensors, path)


def test_kept_features_follow_the_content_of_the_weights(tiles, tmp_path: Path, extractions: list[int]) -> None:
    path, copy = tmp_path / "weights.pth", tmp_path / "copy.pth"
    shutil.copy(effnet.find_weights(), path)
    shutil.copy(effnet.find_weights(), copy)
    extractor = replace(effnet.EXTRACTOR, find_weights=lambda: path)
    images = tiles[1][:8]

    before = features_in_a_new_process(extractor, images)
    replace_weights(path)
    after = features_in_a_new_process(extractor, images)
    assert extractions == [8, 8], "other weights under the same name: made anew"
    assert not torch.equal(before, after)

    of_copy = features_in_a_new_process(replace(extractor, find_weights=lambda: copy), images)
    assert extractions == [8, 8], "the same weights under another name: those that are kept"
    assert torch.equal(before, of_copy)


def test_weights_that_are_replaced_within_a_process_are_noticed(tiles, tmp_path: Path, extractions: list[int]) -> None:
    path = tmp_path / "weights.pth"
    shutil.copy(effnet.find_weights(), path)
    metric = replace(effnet.EXTRACTOR, find_weights=lambda: path).metric(effnet.KID.compute, "1e-3", "lower")
    generated, real = (images[:8] for images in tiles)
    before = metric(generated, real)
    assert metric(generated, real) == before
    assert extractions == [8, 8]
    replace_weights(path)
    assert metric(generated, real) != before
    assert extractions == [8, 8, 8, 8]


@pytest.mark.slow
def test_kept_features_follow_the_content_of_the_users_weights(
    tiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extractions: list[int]
) -> None:
    path, copy = tmp_path / "weights.pth", tmp_path / "copy.pth"
    write_inception_weights(path)
    shutil.copy(path, copy)
    images = tiles[1][:4]

    monkeypatch.setenv(inception.VARIABLE, str(path))
    before = features_in_a_new_process(inception.EXTRACTOR, images)
    replace_weights(path)
    after = features_in_a_new_process(inception.EXTRACTOR, images)
    assert extractions == [4, 4], "other weights under the same name: made anew"
    assert not torch.equal(before, after)

    monkeypatch.setenv(inception.VARIABLE, str(copy))
    of_copy = features_in_a_new_process(inception.EXTRACTOR, images)
    assert extractions == [4, 4], "the same weights under another name: those that are kept"
    assert torch.equal(before, of_copy)


def test_kept_features_follow_the_code_that_extracts() -> None:
    network = features._build(effnet.EXTRACTOR, features.hash_weights(effnet.EXTRACTOR))
    sources = features._sources(effnet.EXTRACTOR, network)
    for module in (features, effnet, effnet_network, efficientnet_lite_pytorch.model):
        assert Path(module.__file__).read_bytes() in sources
