"""Names in figures: long ones cut, a legend below the panels with as many columns as fit."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure

CHARACTERS = 40
"""Of a name; what is longer is cut in its middle, since names of one kind often differ at their end."""
CHARACTERS_AN_INCH, KEY_CHARACTERS = 17, 6
"""Of a legend's letters, and what the key of an entry takes beside its name."""


def shorten(name: str, characters: int = CHARACTERS) -> str:
    """A name of at most so many characters; `(none)` for an empty one."""
    if len(name) > characters:
        end = (characters - 1) // 2
        name = f"{name[: characters - 1 - end]}…{name[len(name) - end :]}"
    return name or "(none)"


def place_legend(figure: Figure, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """Explain the marks of names below all panels.

    The names are given beside the handles, since Matplotlib passes over labels that begin with an underscore.
    """
    labels = [shorten(name) for name in names]
    widest = max(map(len, labels)) + KEY_CHARACTERS
    columns = max(1, int(figure.get_figwidth() * CHARACTERS_AN_INCH / widest))
    figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)))


def legend_height_in(width_in: float, names: Sequence[str]) -> float:
    """What `place_legend` takes of a figure's height, inches."""
    widest = max(len(shorten(name)) for name in names) + KEY_CHARACTERS
    columns = min(max(1, int(width_in * CHARACTERS_AN_INCH / widest)), len(names))
    return 0.1 + 0.16 * -(-len(names) // columns)
