"""Whether an encoder had seen the slides of those whom it is tested on."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from histossl.errors import UserError


def read_seen_patients(cards: Sequence[Path], patients: Mapping[str, str]) -> dict[str, frozenset[str] | None]:
    """The patients whose slides each encoder was trained on.

    Args:
        cards: `encoder.json` in a folder that is called like the encoder.
        patients: the patient of each slide.

    Returns:
        None for weights that were not trained here: nothing is known of their patients. A network that was not
        trained at all has seen nobody.

    Raises:
        UserError: a card is damaged, or names a slide that is not among `patients`.
    """
    seen: dict[str, frozenset[str] | None] = {}
    for path in cards:
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            elsewhere = card["method"] in ("timm", "imported")
            seen[path.parent.name] = None if elsewhere else frozenset(patients[slide] for slide in card["slides"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not the card of an encoder of these slides ({error!r}); delete it and rerun"
            ) from error
    return seen


def count_seen(tested: Collection[str], seen: frozenset[str] | None) -> tuple[int, int] | None:
    """How many of the tested patients an encoder had seen, and how many there are; None where it is not known.

    `tested` may be groups of patches, which are compared by name; blanks are no names.
    """
    named = set(tested) - {""}
    return (len(named & seen), len(named)) if named and seen is not None else None
