"""Fast tiles beside OpenSlide: used only where both give the same pixels."""

from pathlib import Path
from threading import Lock

import numpy as np

from histossl.errors import UserError
from histossl.slides.openslide_source import OpenSlideSource
from histossl.slides.tiff_layout import LayoutError, TiledDirectory, TileTableError, read_tiled_directories
from histossl.slides.tiled_jpeg import DecodeError, TiledJpeg, is_suitable

VENDORS = ("aperio", "generic-tiff")
"""Formats whose levels are tiled pictures of one TIFF, no overlaps between tiles."""
COMPARED_FROM_TILES = 4
"""A level of which less is read, as for a look at its size, is left to OpenSlide: comparing reads two tiles twice."""
MAX_SHIFTED_DIFFERENCE = 3
"""Grey values by which pixels may differ where OpenSlide interpolates and the comparison has to as well."""


class CheckedJpeg:
    """Tiles decoded here as long as they equal OpenSlide's; see `histossl.slides.source.PixelSource`.

    A level is compared once more than a few tiles of it are read: on its largest tile, which has the most texture, and
    on its last, which reaches over the edge. Any difference, or a tile that cannot be decoded, and OpenSlide takes
    over.
    """

    def __init__(self, beside: OpenSlideSource, tiles: TiledJpeg) -> None:
        self._openslide, self._tiles = beside, tiles
        self.level_sizes = beside.level_sizes
        self.level_downsamples = beside.level_downsamples
        self.properties = beside.properties
        self._trusted: dict[int, bool] = dict.fromkeys(set(range(len(self.level_sizes))) - set(tiles.levels), False)
        self._read_px = dict.fromkeys(tiles.levels, 0)
        self._lock = Lock()

    def read_level(self, level: int, x: int, y: int, out: np.ndarray) -> None:
        """Fill `out`; see `PixelSource`."""
        if self._pays(level, out.shape[0] * out.shape[1]) and self.is_fast(level):
            try:
                self._tiles.read_level(level, x, y, out)
            except (DecodeError, OSError):
                pass  # OpenSlide reads it after all, or says what is wrong
            else:
                return
        self._openslide.read_level(level, x, y, out)

    def _pays(self, level: int, pixels: int) -> bool:
        """Whether a level has been read enough for the comparison to be worth its time."""
        if level not in self._read_px:
            return False
        self._read_px[level] += pixels
        directory = self._tiles.levels[level]
        return self._read_px[level] > COMPARED_FROM_TILES * directory.tile_width * directory.tile_height

    def is_fast(self, level: int) -> bool:
        """Whether a level is decoded here; compares it with OpenSlide when first asked.

        Raises:
            UserError: OpenSlide cannot decode the tiles that are compared.
        """
        trusted = self._trusted.get(level)
        if trusted is None:
            with self._lock:
                trusted = self._trusted.get(level)
                if trusted is None:
                    trusted = self._trusted[level] = self._equals_openslide(level)
        return trusted

    def close(self) -> None:
        """Free both."""
        self._tiles.close()
        self._openslide.close()

    def _equals_openslide(self, level: int) -> bool:
        directory = self._tiles.levels[level]
        for index in {int(directory.counts.argmax()), len(directory.counts) - 1}:
            row, column = divmod(index, directory.tiles_across)
            x, y = column * directory.tile_width, row * directory.tile_height
            own = np.empty((directory.tile_height, directory.tile_width, 3), np.uint8)
            other = np.empty_like(own)
            try:
                self._tiles.read_level(level, x, y, own)
            except (DecodeError, OSError):
                return False
            self._openslide.read_level(level, x, y, other)
            width, height = min(own.shape[1], directory.width - x), min(own.shape[0], directory.height - y)
            if not _agree(own, other, (width, height), (x, y), self.level_downsamples[level]):
                return False
        return True


def open_checked(beside: OpenSlideSource) -> CheckedJpeg | None:
    """A fast source for a slide that OpenSlide has open; None where the format does not allow one.

    Raises:
        UserError: the file ends before its tiles do, or lists fewer than it should.
    """
    if beside.properties.get("openslide.vendor") not in VENDORS:
        return None
    try:
        directories = read_tiled_directories(beside.path)
    except TileTableError as error:
        # OpenSlide opens such a file and fills what is not there, for as long as the claimed size takes.
        raise UserError(f"{beside.path}: is damaged ({error}); replace the file") from error
    except (LayoutError, OSError):
        return None
    levels = _match(beside.level_sizes, directories)
    refuse_truncated(beside.path, list(levels.values()))
    suitable = {level: directory for level, directory in levels.items() if is_suitable(directory)}
    return CheckedJpeg(beside, TiledJpeg(beside.path, suitable)) if suitable else None


def refuse_truncated(path: Path, directories: list[TiledDirectory]) -> None:
    """Raise for a file that is shorter than its tiles say.

    Raises:
        UserError: with both lengths.
    """
    length = path.stat().st_size
    end = max((directory.end for directory in directories), default=0)
    if end > length:
        raise UserError(
            f"{path}: is truncated or damaged, its tiles end at byte {end} and the file at {length}; copy it again"
        )


def _match(sizes: tuple[tuple[int, int], ...], directories: list[TiledDirectory]) -> dict[int, TiledDirectory]:
    """The tiled picture of each level, found by its size; levels whose size is not unique are left out."""
    found = {}
    for level, size in enumerate(sizes):
        same = [directory for directory in directories if (directory.width, directory.height) == size]
        if len(same) == 1 and sizes.count(size) == 1:
            found[level] = same[0]
    return found


def _agree(
    own: np.ndarray, other: np.ndarray, inside: tuple[int, int], place: tuple[int, int], downsample: float
) -> bool:
    """Whether two readings of a tile at `place` (level pixels) agree within the slide, `inside` px from its corner.

    OpenSlide takes the place in level-0 pixels and interpolates (bilinearly) where that is not a whole level pixel;
    then our pixels are shifted the same way, and the outermost, which need those beyond the tile, are not compared.
    """
    shift_x, shift_y = (round(at * downsample) / downsample - at for at in place)
    width, height = inside
    if abs(shift_x) < 1e-6 and abs(shift_y) < 1e-6:
        return np.array_equal(own, other)
    if width < 3 or height < 3:
        return True
    shifted = own[:height, :width].astype(np.float32)
    for axis, shift in ((0, shift_y), (1, shift_x)):
        neighbour = np.roll(shifted, -1 if shift > 0 else 1, axis)
        shifted += abs(shift) * (neighbour - shifted)
    difference = np.abs(shifted - other[:height, :width])[1:-1, 1:-1]
    return bool(difference.max() <= MAX_SHIFTED_DIFFERENCE)
