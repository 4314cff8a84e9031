"""A finished run in small, as heatmaps and the viewer read it: slides, tissue, patches, predictions, attention."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histossl.hdf5 import create_hdf5, write_array
from histossl.slides.metadata import inspect_slide, write_metadata
from histossl.tiles.coords_file import Tiling, write_coords
from histossl.tiles.tissue_file import write_tissue

TILING = Tiling(32, 1.0, 0, 0.5)
"""64 level-0 pixels of the slide of `drawn_slide`."""
COORDS = np.array([[x, y] for y in range(128, 384, 64) for x in range(128, 512, 64)])
RING = [[128.0, 128.0], [512.0, 128.0], [512.0, 384.0], [128.0, 384.0], [128.0, 128.0]]
SEED = 3


@dataclass(frozen=True)
class Judgement:
    """A slide, its label, the fold that tests it, the probability of class `b`; attention falls along the patches."""

    slide: str
    label: str
    fold: int
    p_b: float
    attention: np.ndarray | None = None


def falling(patches: int = len(COORDS)) -> np.ndarray:
    weights = np.arange(patches, 0, -1, dtype=np.float32) ** 2
    return weights / weights.sum()


def write_run(folder: Path, slide_file: Path, judgements: list[Judgement], head: str = "task/enc/abmil/1.0") -> Path:
    """Write `slides.csv` and `results/`; return the folder of the head."""
    results = folder / "results"
    lines = ["slide,patient,path"]
    for number, one in enumerate(judgements):
        lines.append(f'"{one.slide.replace(chr(34), chr(34) * 2)}",p{number},{slide_file}')
        metadata = inspect_slide(one.slide, slide_file, None, None)
        write_metadata(_made(results / "slides" / one.slide / "metadata.json"), metadata)
        write_tissue(results / "slides" / one.slide / "tissue.geojson", [[RING]], {"slide": one.slide})
        count = len(COORDS) if one.attention is None else len(one.attention)
        tiles = _made(results / "tiles/p32" / f"{one.slide}.h5")
        write_coords(tiles, COORDS[:count], np.ones(count), TILING, metadata, "")
    (folder / "slides.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    own = results / "slide_eval" / head
    columns = "task,encoder,model,fraction,repeat,fold,seed,slide,patient,label,leaked,p_a,p_b"
    predictions = [columns]
    for number, one in enumerate(judgements):
        quoted = '"' + one.slide.replace('"', '""') + '"'
        for repeat, seed, p_b in ((0, SEED, one.p_b), (0, SEED + 1, 1 - one.p_b), (1, SEED, 1 - one.p_b)):
            told = f"{repeat},{one.fold},{seed},{quoted},p{number},{one.label},0,{1 - p_b:.6f},{p_b:.6f}"
            predictions.append(f"task,enc,abmil,1.0,{told}")
    _made(own / "predictions.csv").write_text("\n".join(predictions) + "\n", encoding="utf-8")
    with create_hdf5(own / "attention.h5") as file:
        file.attrs.update(task="task", encoder="enc", model="abmil", fraction=1.0, seed=SEED)
        for one in judgements:
            attention = falling() if one.attention is None else one.attention
            group = file.create_group(one.slide)
            group.attrs["fold"] = one.fold
            write_array(group, "attention", np.asarray(attention, np.float32))
            write_array(group, "coords", COORDS[: len(attention)])
    return own


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
