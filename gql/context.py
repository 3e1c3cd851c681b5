"""What every resolver function is handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
class Running:
    """An execution by graphql-core: how rows are read, the variables if plans may be used, what one has answered."""

    loader: Loader
    variables: VariableValues | None
    answered: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Context:
    """`predictions_url` is the address below which services are asked, without a slash at its end.

    `explain` lets a caller see the statements and plans of its operation. `running` is there while graphql-core is at
    work.
    """

    installation: Installation
    caller: Caller
    predictor: Predictor
    predictions_url: str
    limits: Limits
    explain: bool = False
    running: Running | None = None

    @property
    def execution(self) -> Running:
        """Raises RuntimeError outside of graphql-core."""
        if self.running is None:
            raise RuntimeError("nothing is being executed")
        return self.running

    @property
    def workspace_id(self) -> UUID:
        return self.caller.workspace.id


Info: TypeAlias = strawberry.Info[Context, None]
