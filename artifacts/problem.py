"""What is wrong with a model package, and what is only doubtful."""

from dataclasses import dataclass, field
from enum import StrEnum

FINDING_LIMIT = 100


class ProblemCode(StrEnum):
    """A stable name for each thing a package can have wrong; the catalogue of causes is modelarts.md 7.3."""

    MODEL_DIRECTORY_MISSING = "MODEL_DIRECTORY_MISSING"
    CONFIG_MISSING = "CONFIG_MISSING"
    CONFIG_NOT_UNIQUE = "CONFIG_NOT_UNIQUE"
    CONFIG_NOT_JSON = "CONFIG_NOT_JSON"
    CONFIG_INVALID = "CONFIG_INVALID"
    MODEL_FILE_MISSING = "MODEL_FILE_MISSING"
    MODEL_FILE_NOT_UNIQUE = "MODEL_FILE_NOT_UNIQUE"
    MODEL_FILE_EMPTY = "MODEL_FILE_EMPTY"
    MODEL_FILE_MISPLACED = "MODEL_FILE_MISPLACED"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    FILE_PATH_INVALID = "FILE_PATH_INVALID"
    INFERENCE_CODE_MISSING = "INFERENCE_CODE_MISSING"
    INFERENCE_CODE_NOT_UNIQUE = "INFERENCE_CODE_NOT_UNIQUE"
    INFERENCE_CODE_INVALID = "INFERENCE_CODE_INVALID"
    INFERENCE_CODE_DOUBTFUL = "INFERENCE_CODE_DOUBTFUL"
    WHEEL_MISSING = "WHEEL_MISSING"
    DOCKERFILE_PRESENT = "DOCKERFILE_PRESENT"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
    UNSAFE_PICKLE = "UNSAFE_PICKLE"
    CONFIG_UNKNOWN_KEY = "CONFIG_UNKNOWN_KEY"
    CONFIG_DOUBTFUL_VALUE = "CONFIG_DOUBTFUL_VALUE"
    CONFIG_LEFT_OUT = "CONFIG_LEFT_OUT"
    UNKNOWN_PICKLE = "UNKNOWN_PICKLE"
    NOT_SCANNED = "NOT_SCANNED"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    SIGNATURE_UNTRUSTED = "SIGNATURE_UNTRUSTED"
    SIGNATURE_MISSING = "SIGNATURE_MISSING"
    SIGNED_CONFIG_REPLACED = "SIGNED_CONFIG_REPLACED"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `message` is one sentence; `pointer` is a JSON pointer into `file`; `hint` says what to do."""

    code: ProblemCode
    message: str
    file: str | None = None
    pointer: str | None = None
    expected: str | None = None
    actual: str | None = None
    hint: str | None = None


@dataclass(slots=True)
class Findings:
    """Collects what a reading finds, the first FINDING_LIMIT of each kind: a hostile file has a million."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def takes_problems(self) -> bool:
        return len(self.problems) < FINDING_LIMIT

    @property
    def takes_warnings(self) -> bool:
        return len(self.warnings) < FINDING_LIMIT

    def refuse(self, problem: Problem) -> None:
        if self.takes_problems:
            self.problems.append(problem)

    def warn(self, problem: Problem) -> None:
        if self.takes_warnings:
            self.warnings.append(problem)
