"""What a service asks of the gateway: who may call it, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit that is None is the installation's, which is also the upper bound of the others."""

    is_public: bool = False
    max_body_bytes: int | None = None
    timeout_seconds: float | None = None
    requests_per_second: float | None = None
    request_burst: int | None = None
    checks_inputs: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """`timeout_seconds` bounds each wait: for more of the caller's body, for the answer to begin, for its next part."""

    timeout_seconds: float
    max_body_bytes: int

    def within(self, policy: Policy) -> Limits:
        """The limits of one service."""
        if policy.timeout_seconds is None and policy.max_body_bytes is None:
            return self
        return Limits(
            min(self.timeout_seconds, policy.timeout_seconds or self.timeout_seconds),
            min(self.max_body_bytes, policy.max_body_bytes or self.max_body_bytes),
        )
