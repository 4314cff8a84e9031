"""Patches with features that tell something of their labels and targets."""

import h5py
import numpy as np
import pytest

from histossl.probes.patches import Patches

LABELS = ["muscle", "stroma", 'tumour, "a"']


def draw_patches(count):
    """`count` patches of nine features and of random classes; five that follow each other are a group."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 3, count)
    centres = 1.2 * rng.normal(size=(3, 9))
    return Patches(
        source="set",
        origin="set",
        features=(rng.normal(size=(count, 9)) + centres[drawn]).astype(np.float32),
        path=np.array([f"{row}.png" for row in range(count)]),
        label=np.array([LABELS[index] for index in drawn]),
        group=np.array([f"g{row // 5}" for row in range(count)]),
        target=drawn + rng.normal(size=count),
    )


@pytest.fixture
def train():
    return draw_patches(220).where(np.arange(220) < 160)


@pytest.fixture
def test():
    return draw_patches(220).where(np.arange(220) >= 160)


@pytest.fixture
def sheet():
    """Columns of a data set of sixty patches: forty for training in eight groups, twenty for test in four."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 60)
    return {
        "features": (rng.normal(size=(60, 9)) + 1.2 * classes[:, None]).astype(np.float32),
        "target": classes + rng.normal(size=60),
        "path": [f"{row}.png" for row in range(60)],
        "label": [LABELS[index] for index in classes],
        "split": ["train"] * 40 + ["test"] * 20,
        "group": [f"g{row // 5}" for row in range(60)],
    }


@pytest.fixture
def write(tmp_path):
    def write_features(sheet, name="set"):
        path = tmp_path / f"{name}.h5"
        with h5py.File(path, "w") as file:
            for column, values in sheet.items():
                file.create_dataset(
                    column, data=values, dtype=None if column in ("features", "target") else h5py.string_dtype()
                )
        return path

    return write_features
