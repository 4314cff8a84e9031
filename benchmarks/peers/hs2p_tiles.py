"""hs2p's tissue and coordinates of one slide, for `benchmarks/tissue_speed.py`; runs in an environment that has hs2p.

Prints the seconds of each repetition within this process and, last, the number of patches.
"""

import sys
import time
from pathlib import Path

from hs2p import SegmentationConfig, SlideSpec, TilingConfig, save_tiling_result, tile_slide

slide, folder, repeats = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
tiling = TilingConfig(
    requested_spacing_um=0.5, requested_tile_size_px=256, tolerance=0.07, overlap=0.0, backend="openslide"
)
for _ in range(repeats):
    start = time.perf_counter()
    result = tile_slide(
        SlideSpec(sample_id=slide.stem, image_path=slide),
        tiling=tiling,
        segmentation=SegmentationConfig(method="hsv", downsample=64),
    )
    save_tiling_result(result, folder)
    print(time.perf_counter() - start)
print(len(result.tiles.x) if hasattr(result, "tiles") else len(result.x))
