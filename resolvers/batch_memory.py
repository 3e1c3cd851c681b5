"""What runs of batch services hold in memory at once, all of them together."""

from dataclasses import dataclass

from resolvers.batch_file import ByteBudget

REQUESTS_BYTES = 128 * 2**20
ANSWERS_BYTES = 96 * 2**20


@dataclass(frozen=True, slots=True)
class BatchMemory:
    """Inputs with their small answers, and apart from them large answers: who holds one of those waits for no input."""

    requests: ByteBudget
    answers: ByteBudget

    @classmethod
    def of(cls, max_body_bytes: int) -> "BatchMemory":
        least = 4 * max_body_bytes
        return cls(ByteBudget(max(REQUESTS_BYTES, least)), ByteBudget(max(ANSWERS_BYTES, least)))
