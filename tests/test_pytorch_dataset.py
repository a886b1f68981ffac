"""`TwoBodyDataset`: images and targets, fast and slow the same."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from shipped import ROOT

torch = pytest.importorskip("torch")

from torch.utils.data import ConcatDataset, DataLoader, Subset, default_collate, random_split  # noqa: E402

from pytorch_dataset import TwoBodyDataset  # noqa: E402

FORK_WARNS = "ignore:.*multi-threaded.*fork:DeprecationWarning"  # Python 3.12; workers stay simple


@pytest.fixture(scope="module")
def dataset(archive):
    return TwoBodyDataset(archive)


@pytest.fixture(scope="module")
def stored(archive):
    with np.load(archive, allow_pickle=True) as plain:
        return plain["images"], plain["labels"]


def one_by_one(dataset, indices):
    """The general path: samples taken alone, stacked by PyTorch."""
    return default_collate([dataset[int(i)] for i in indices])


def assert_same(fast, slow):
    assert type(fast) is type(slow) is list
    for a, b in zip(fast, slow, strict=True):
        assert (a.dtype, a.shape, a.stride()) == (b.dtype, b.shape, b.stride())
        assert torch.equal(a, b) or torch.equal(a.isnan(), b.isnan())


def test_the_snippet_of_the_readme_gives_images_and_targets(archive, monkeypatch):
    monkeypatch.chdir(archive.parent)
    dataset = TwoBodyDataset("dataset_combined.npz", target_label="e_g_ev")
    loader = DataLoader(dataset, batch_size=32, shuffle=True)
    for images, targets in loader:
        assert (images.shape[1:], images.dtype) == ((10, 32, 32), torch.float32)
        assert (targets.shape, targets.dtype) == ((len(images),), torch.float32)
    assert len(loader) == 89


def test_samples_are_what_numpy_reads(dataset, stored):
    images, labels = stored
    kept = [i for i, label in enumerate(labels) if label["e_g_ev"] is not None]
    assert len(dataset) == len(kept)
    for i in (0, 7, -1):
        image, target = dataset[i]
        np.testing.assert_array_equal(image.numpy(), images[kept[i]], strict=True)
        assert target.item() == np.float32(labels[kept[i]]["e_g_ev"])


def test_a_list_of_labels_gives_vectors(archive, stored):
    dataset = TwoBodyDataset(archive, ["e_homo_ev", "metal_like"])
    _, labels = stored
    expected = [[label["e_homo_ev"], label["metal_like"]] for label in labels]
    np.testing.assert_array_equal(dataset.targets, np.array(expected, np.float32), strict=True)
    assert dataset[0][1].shape == (2,)
    assert next(iter(DataLoader(dataset, batch_size=5)))[1].shape == (5, 2)
    assert TwoBodyDataset(archive, ["e_homo_ev"])[0][1].shape == (1,)


@pytest.mark.parametrize("target", ["e_g_ev", ["e_g_ev", "e_homo_ev"]], ids=["one", "two"])
@pytest.mark.parametrize("missing", ["drop", "nan"])
def test_a_batch_is_its_samples_stacked_bit_for_bit(target, missing, archive):
    dataset = TwoBodyDataset(archive, target, missing=missing)
    for indices in ([3, 1, 3], [-1, 0], list(range(100, 132))):
        assert_same(default_collate(dataset.__getitems__(indices)), one_by_one(dataset, indices))


def test_every_way_to_split_gives_the_same_batches(dataset):
    subset = Subset(dataset, np.arange(50, 90))
    for part in (subset, Subset(subset, [4, 2, 39]), *random_split(dataset, [0.99, 0.01])):
        batch = next(iter(DataLoader(part, batch_size=16)))
        assert_same(batch, one_by_one(part, range(min(16, len(part)))))


def test_datasets_joined_to_one_give_the_same_batches(dataset):
    joined = ConcatDataset([dataset, dataset])
    assert_same(next(iter(DataLoader(joined, batch_size=8))), one_by_one(dataset, range(8)))


def test_a_transform_sees_every_sample_alone(archive):
    shapes = []

    def transform(image):
        shapes.append(tuple(image.shape))
        return image[:3] * 2

    dataset = TwoBodyDataset(archive, transform=transform, target_transform=lambda y: y > 0)
    images, targets = next(iter(DataLoader(dataset, batch_size=4)))
    assert shapes == [(10, 32, 32)] * 4
    assert (images.shape, targets.dtype) == ((4, 3, 32, 32), torch.bool)
    assert_same([images, targets], one_by_one(dataset, range(4)))


class Doubled(TwoBodyDataset):
    def __getitem__(self, index):
        image, target = super().__getitem__(index)
        return 2 * image, target


def test_a_subclass_may_make_samples_in_its_own_way(archive, dataset):
    images, _ = next(iter(DataLoader(Doubled(archive), batch_size=4)))
    assert torch.equal(images, 2 * one_by_one(dataset, range(4))[0])


def test_a_collate_function_of_ones_own_gets_a_list_of_samples(dataset):
    seen = []
    loader = DataLoader(dataset, batch_size=4, collate_fn=lambda batch: seen.append(batch) or batch)
    batch = next(iter(loader))
    assert isinstance(seen[0], Sequence)
    for i, sample in enumerate(batch):
        assert isinstance(sample, tuple)
        image, target = sample
        assert torch.equal(image, dataset[i][0])
        assert torch.equal(target, dataset[i][1])


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: batch.pop(),
        lambda batch: batch.reverse(),
        lambda batch: batch.append(batch[0]),
        lambda batch: batch.__setitem__(0, batch[1]),
        lambda batch: batch[1][0].zero_(),
    ],
    ids=["shorter", "reversed", "longer", "replaced", "pixels"],
)
def test_what_a_collate_function_changes_before_the_default_one_is_not_lost(change, dataset):
    batch = dataset.__getitems__([5, 6, 7])
    change(batch)
    assert_same(default_collate(batch), default_collate([tuple(sample) for sample in batch]))


def test_where_no_archive_is_the_message_says_what_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`python -m twobody build` makes"):
        TwoBodyDataset(tmp_path / "dataset_combined.npz")


@pytest.mark.parametrize(
    ("lacking", "module"),
    [
        ("torch", "pytorch_dataset"),
        ("torch", "pytorch_geometric_dataset"),
        ("torch_geometric", "pytorch_geometric_dataset"),
    ],
)
def test_where_pytorch_is_missing_the_message_says_what_installs_it(lacking, module):
    program = f"import sys; sys.modules[{lacking!r}] = None; import {module}"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    message = result.stderr.splitlines()[-1]
    assert message.startswith("ImportError: ")
    assert message.endswith(': python -m pip install "twobody-dataset[torch]"')


def test_other_datasets_are_collated_as_ever():
    batch = default_collate([(torch.ones(2), 1), (torch.zeros(2), 2)])
    assert_same(batch, [torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.tensor([1, 2])])


def test_changing_a_batch_does_not_change_the_dataset(dataset):
    before = dataset[0][0].clone()
    images, targets = next(iter(DataLoader(dataset, batch_size=4)))
    images.fill_(-1)
    targets.fill_(-1)
    dataset[0][0].fill_(-1)
    assert torch.equal(dataset[0][0], before)
    assert dataset.targets[0] != -1


@pytest.mark.filterwarnings(FORK_WARNS)
@pytest.mark.parametrize(
    "method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]
)
def test_workers_give_the_same_batches_epoch_after_epoch(method, dataset):
    loader = DataLoader(
        Subset(dataset, range(40)),
        batch_size=16,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=method,
    )
    for _ in range(2):
        for start, batch in zip((0, 16, 32), loader, strict=True):
            assert_same(batch, one_by_one(dataset, range(start, min(start + 16, 40))))


@pytest.mark.filterwarnings(FORK_WARNS)
def test_workers_hand_a_list_of_samples_through_whole(dataset):
    loader = DataLoader(dataset, batch_size=4, num_workers=1, collate_fn=list)
    batch = next(iter(loader))
    assert_same(default_collate([tuple(s) for s in batch]), one_by_one(dataset, range(4)))


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_gives_the_same_samples(copied, dataset):
    assert_same(default_collate(copied(dataset).__getitems__([1, 2])), one_by_one(dataset, [1, 2]))


def test_a_pickle_is_small_even_when_images_have_been_made(dataset):
    for _ in DataLoader(dataset, batch_size=500):
        pass
    assert len(pickle.dumps(dataset)) < 4_000_000


def test_an_index_beyond_the_end_is_refused(dataset):
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_a_sample_is_found_by_the_name_of_its_pair(dataset):
    place = dataset.pair_names.tolist().index("Ag_Al")
    for name in ("Ag_Al", "Al_Ag"):
        assert_same([*dataset[name]], [*dataset[place]])
    with pytest.raises(KeyError, match=r"'Ag_Xx' \(did you mean Ag_.e"):
        dataset["Ag_Xx"]
    with pytest.raises(KeyError, match="did you mean Ag_Al"):
        dataset["al_ag"]
    with pytest.raises(KeyError, match="'He_He' is in another part, or in `dropped`"):
        dataset["He_He"]


def test_it_says_what_it_holds(archive, dataset):
    assert repr(dataset) == "TwoBodyDataset(2847 pairs, targets e_g_ev [eV], encoding published)"
    several = TwoBodyDataset(archive, ["softness_evinv", "n_levels"], encoding="field")
    described = "735 pairs, targets softness_evinv [1/eV], n_levels [1], encoding field"
    assert repr(several) == f"TwoBodyDataset({described})"


def test_labels_may_be_given_under_either_name(archive):
    homo = TwoBodyDataset(archive, target_label="e_homo_ev")
    assert torch.equal(TwoBodyDataset(archive, target_labels="e_homo_ev").targets, homo.targets)
    assert TwoBodyDataset(archive, target_labels=["e_homo_ev"]).targets.shape == (2850, 1)
    with pytest.raises(TypeError, match="two names of one argument"):
        TwoBodyDataset(archive, "e_g_ev", target_labels=["e_homo_ev"])
    with pytest.raises(ValueError, match="at least one target label"):
        TwoBodyDataset(archive, target_labels=[])


def test_an_index_that_is_not_whole_is_refused_one_by_one_and_in_batches(dataset):
    with pytest.raises(TypeError):
        dataset[1.5]
    with pytest.raises(TypeError):
        dataset.__getitems__([0, 1.5])


def test_an_index_may_be_any_integer(dataset):
    for index in (3, np.int64(3), torch.tensor(3), 3 - len(dataset)):
        assert torch.equal(dataset[index][0], dataset[3][0])


def test_statistics_are_those_of_the_indices_given_only(dataset):
    train = np.arange(100)
    targets = dataset.targets[:100].double()
    statistics = dataset.statistics(train)
    assert statistics.mean == pytest.approx(targets.mean().item(), rel=1e-6)
    assert statistics.std == pytest.approx(targets.std(correction=0).item(), rel=1e-6)
    assert (statistics.min, statistics.max) == (targets.min(), targets.max())
    assert all(value.dtype == torch.float32 and value.shape == () for value in statistics)
    assert dataset.statistics(range(100, 200)) != statistics
    assert dataset.statistics(np.arange(len(dataset)) < 100) == statistics


def test_statistics_of_several_targets_are_one_number_each(archive):
    dataset = TwoBodyDataset(archive, ["e_g_ev", "e_homo_ev"], missing="nan")
    assert dataset.statistics(range(len(dataset))).mean.shape == (2,)
    assert torch.isfinite(dataset.statistics(range(len(dataset))).std).all()


def test_statistics_take_a_part_of_the_dataset_as_it_is(dataset):
    training, _ = random_split(dataset, [0.8, 0.2], torch.Generator().manual_seed(0))
    assert dataset.statistics(training) == dataset.statistics(training.indices)
    assert dataset.statistics(Subset(training, [3, 1])) == dataset.statistics(
        [training.indices[3], training.indices[1]]
    )
    assert dataset.statistics(dataset) == dataset.statistics(range(len(dataset)))


def test_statistics_of_a_part_of_something_else_are_refused(archive, dataset):
    other = TwoBodyDataset(archive, "e_homo_ev")
    for part in (other, Subset(other, [1, 2])):
        with pytest.raises(ValueError, match=r"a part of this dataset .*, not TwoBodyDataset\("):
            dataset.statistics(part)


@pytest.mark.parametrize("indices", [5, [[1, 2], [3, 4]]])
def test_statistics_of_what_is_no_list_of_indices_are_refused(dataset, indices):
    with pytest.raises(ValueError, match=r"indices \[n\] are needed"):
        dataset.statistics(indices)


def test_statistics_of_nothing_are_refused(archive, dataset):
    with pytest.raises(ValueError, match="no value among these samples"):
        dataset.statistics([])
    with pytest.raises(TypeError):
        dataset.statistics()
    absent = TwoBodyDataset(archive, missing="nan")
    with pytest.raises(ValueError, match="no value among these samples"):
        absent.statistics(np.flatnonzero(absent.targets.isnan()))


def test_the_attributes_describe_the_samples_in_order(dataset):
    n = len(dataset)
    assert dataset.pair_names.shape == (n,)
    assert dataset.elements.tolist() == [name.split("_") for name in dataset.pair_names]
    assert (dataset.atomic_numbers.shape, dataset.atomic_numbers.dtype) == ((n, 2), np.int64)
    assert (dataset.geometries.shape, dataset.geometries.dtype) == ((n, 2, 4), np.float32)
    assert (len(dataset.channels), dataset.channels[0]) == (10, "o_map_radial")
    assert dataset.label_units == {"e_g_ev": "eV"}
    assert dataset.targets.shape == (n,)


def test_no_lists_or_dicts_of_samples_are_held(dataset):
    def long_containers(value):
        if isinstance(value, list | dict | tuple | set):
            return len(value) > 100
        return False

    held = [vars(dataset), vars(dataset._pairs), vars(dataset._images)]
    assert [key for part in held for key in part if long_containers(part[key])] == []


def test_a_small_cnn_and_a_vit_learn_from_the_batches(dataset):
    cnn = torch.nn.Sequential(
        torch.nn.Conv2d(10, 8, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.LazyLinear(1),
    )

    class ViT(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = torch.nn.Conv2d(10, 16, kernel_size=8, stride=8)
            self.positions = torch.nn.Parameter(torch.zeros(16, 16))
            layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.encoder = torch.nn.TransformerEncoder(layer, 1)
            self.head = torch.nn.Linear(16, 1)

        def forward(self, images):
            tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
            return self.head(self.encoder(tokens).mean(dim=1))

    images, targets = next(iter(DataLoader(dataset, batch_size=8, shuffle=True)))
    for model in (cnn, ViT()):
        loss = torch.nn.functional.mse_loss(model(images).squeeze(1), targets)
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_archives_of_the_original_project_give_the_same_samples(archive, tmp_path, dataset):
    with np.load(archive, allow_pickle=True) as plain:
        n = 40
        old = {
            name: plain[name][:n]
            for name in ("images", "geometries", "elements", "pair_names", "labels", "metadata")
        }
    np.savez_compressed(tmp_path / "old.npz", allow_pickle=True, **old)
    original = TwoBodyDataset(tmp_path / "old.npz")
    assert len(original) == n
    indices = list(range(n))
    assert_same(default_collate(original.__getitems__(indices)), one_by_one(dataset, indices))
