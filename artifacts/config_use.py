"""What an import makes of a package's config.json."""

from enum import StrEnum


class ConfigUse(StrEnum):
    """REQUIRED for packages that say all themselves, OPTIONAL for the output of a built-in algorithm, LEFT_OUT for
    templates, which bring their own (modelarts_23_0205)."""

    REQUIRED = "REQUIRED"
    OPTIONAL = "OPTIONAL"
    LEFT_OUT = "LEFT_OUT"
