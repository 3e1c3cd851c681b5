"""What is known of a name that a pickle would import: harmless, harmful, or nothing."""

from enum import StrEnum
from typing import Final

from artifacts.pickle_name_list import allow_list, block_list
from artifacts.pickle_symbol import GlobalName


class NameVerdict(StrEnum):
    HARMLESS = "HARMLESS"
    UNKNOWN = "UNKNOWN"
    HARMFUL = "HARMFUL"


# An attribute of this form leads from any object to the interpreter.
_DUNDER_LENGTH: Final = 5


def judge(name: GlobalName) -> NameVerdict:
    """Harmless is only what is listed, letter by letter. A dotted name is harmful where any of its tails is."""
    if name in allow_list():
        return NameVerdict.HARMLESS
    if _is_harmful(name.module, name.name) or _leads_away(name):
        return NameVerdict.HARMFUL
    return NameVerdict.UNKNOWN


def _is_harmful(module: str, name: str) -> bool:
    """Wherever the path is split in two: `numpy` and `lib.npyio.load` reach what the module `numpy.lib.npyio` has."""
    path = f"{module}.{name}"
    if path in block_list():
        return True
    parts = path.split(".")
    return any(f"{'.'.join(parts[:count])}.*" in block_list() for count in range(1, len(parts)))


def _leads_away(name: GlobalName) -> bool:
    """`os.system` at the end of a dotted name, or a dunder on the way: attributes of attributes reach everything."""
    parts = name.name.split(".")
    if len(parts) > 1 and any(_is_dunder(part) for part in parts):
        return True
    return any(
        _is_harmful(".".join(parts[start:stop]), ".".join(parts[stop:]))
        for start in range(len(parts) - 1)
        for stop in range(start + 1, len(parts))
    )


def _is_dunder(part: str) -> bool:
    return len(part) >= _DUNDER_LENGTH and part.startswith("__") and part.endswith("__")
