"""What every resolver function is handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import strawberry
from graphql.execution.values import VariableValues

from gql.limits import Limits
from resolvers.caller import Caller
from resolvers.installation import Installation
from resolvers.prediction import Predictor

if TYPE_CHECKING:
    from gql.loader import Loader


@dataclass(frozen=True, slots=True)
class Context:
    """`predictions_url` is the address below which services are asked, without a slash at its end.

    `explain` lets a caller see the statements and plans of its operation. The last three are of one execution by
    graphql-core: how it reads rows, the operation's variables where plans may be used, and what a plan has answered.
    """

    installation: Installation
    caller: Caller
    predictor: Predictor
    predictions_url: str
    limits: Limits
    explain: bool = False
    loader: Loader | None = None
    variables: VariableValues | None = None
    answered: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reader(self) -> Loader:
        """How a resolver reads rows; only within an execution."""
        assert self.loader is not None
        return self.loader

    @property
    def workspace_id(self) -> UUID:
        return self.caller.workspace.id


Info: TypeAlias = strawberry.Info[Context, None]
