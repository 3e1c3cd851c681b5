"""Why a batch run, or one of its inputs, came to no result."""

from resolvers.errors import ErrorCode
from resolvers.operation_attempt import problem_row


class RunFailed(Exception):
    """A run that cannot go on: `problem` says why."""

    def __init__(self, code: ErrorCode, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.problem = problem_row(code, message, hint=hint)


class InputFailed(Exception):
    """One input has no result; the others go on."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def problem(self) -> dict[str, object]:
        return problem_row(self.code, self.message)
