"""The attention file: how much each patch of a slide counted for the head that had not seen its patient."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from histossl.files import whole_file
from histossl.hdf5 import create_hdf5, write_array
from histossl.mil.bags import Bag
from histossl.mil.training import TestedSlide


def write_attention(
    path: Path, tested: Sequence[TestedSlide], bags: Mapping[str, Bag], attributes: Mapping[str, str]
) -> None:
    """Write the attention of the heads whose attention was kept, whole or not at all.

    They have the same fraction and seed. One group a slide, with `attention` (N,) float32, which sums to one, `coords`
    (N, 2), and the attribute `fold`, which is the first that tests the slide: imported folds may overlap.
    """
    shown = [slide for slide in tested if slide.attention is not None]
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        file.attrs.update({**attributes, "fraction": shown[0].member.fraction, "seed": shown[0].seed})
        for slide in shown:
            if slide.member.slide in file:
                continue
            group = file.create_group(slide.member.slide)
            group.attrs["fold"] = slide.member.fold
            write_array(group, "attention", slide.attention)
            write_array(group, "coords", bags[slide.member.slide].coords)
