import cv2
import numpy as np
import pytest

import draw_cohort
from histossl.cohort.contact_sheet import COLUMNS, ROWS
from histossl.slides.metadata import inspect_slide, write_metadata
from histossl.tiles.coords_file import Tiling, write_coords


@pytest.fixture
def draw(tmp_path, drawn_slide):
    def draw(count):
        lines = ["slide,patient,path"]
        for i in range(count):
            metadata = inspect_slide(f"ü {i}", drawn_slide.path, None, None)
            lines.append(f"{metadata.slide},p{i},{drawn_slide.path}")
            write_metadata(tmp_path / "slides" / metadata.slide / "metadata.json", metadata)
            cv2.imwrite(str(tmp_path / "slides" / metadata.slide / "overlay.jpg"), np.full((64, 80, 3), 255, np.uint8))
            coords = np.array([[0, 0]] * (i % 2))
            path = tmp_path / "tiles" / f"{metadata.slide}.h5"
            write_coords(path, coords, np.ones(i % 2), Tiling(32, 1.0, 0, 0.5), metadata, "" if i % 2 else "no tissue")
        (tmp_path / "slides.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        folders = [f"--slides={tmp_path / 'slides'}", f"--tiles={tmp_path / 'tiles'}", f"--output={tmp_path / 'pages'}"]
        draw_cohort.main([f"--sheet={tmp_path / 'slides.csv'}", *folders])
        return [cv2.imread(str(page)) for page in sorted((tmp_path / "pages").iterdir())]

    return draw


def test_every_slide_has_its_cell(draw):
    (page,) = draw(3)
    blue_over_red = cv2.subtract(page[..., 0], page[..., 2])[: page.shape[0] // 2]
    tints = [bool((third > 20).any()) for third in np.array_split(blue_over_red, 3, axis=1)]
    assert tints == [False, True, False]


def test_a_large_cohort_has_several_pages(draw):
    first, second = draw(COLUMNS * ROWS + 1)
    assert first.shape[0] > 4 * second.shape[0]
