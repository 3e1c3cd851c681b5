"""The two executors of the schema over workspaces full of rows, and their answers in a form to compare."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from graphql import FieldNode, GraphQLError, GraphQLSchema, Visitor, parse, print_ast, visit
from pydantic import SecretStr
from strawberry.types import ExecutionResult
from structlog.testing import capture_logs

from db.connection import Pool
from gql.context import Context
from gql.federation import Keys
from gql.limits import Limits
from gql.schema import Schema
from resolvers.installation import Installation
from resolvers.prediction import Predictor
from server.build import installation
from server.database import reading_pool
from server.settings import Settings
from tests.api import shared_schema
from tests.rich_data import RichWorkspace, fill

POSITION = re.compile(r"(?<=\"), \d+(?=[,\]])")
PUBLIC_URL = "http://modelyard.test:8080"
REPEATING = frozenset({"previewImport", "planDeployment"})
WIDE = Limits(
    depth=60,
    aliases=100_000,
    selections=100_000,
    root_fields=100,
    cost=10**8,
    tokens=10**6,
    source_characters=10**7,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an executor made of an operation: JSON texts, or what it raised. The log's errors are not compared."""

    data: str | None
    errors: str
    raised: str | None = None
    logged: str = field(default="", compare=False)

    @property
    def is_refused(self) -> bool:
        return self.raised is not None or self.errors != "[]"

    def agrees(self, other: "Answer") -> bool:
        """Which of a list's nodes fails first is chance, with graphql-core too: the positions in paths may differ."""
        return self == other or (self.data, self.raised, POSITION.sub("", self.errors)) == (
            other.data,
            other.raised,
            POSITION.sub("", other.errors),
        )

    @property
    def is_failure(self) -> bool:
        """Whether the server was at fault."""
        return "INTERNAL_SERVER_ERROR" in self.errors or "Internal server error" in (self.raised or "")


@dataclass(frozen=True, slots=True)
class Case:
    """An operation as a client sends it."""

    document: str
    variables: Mapping[str, Any]
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """`ours` is who asks; `theirs` and `broken` are other workspaces, where everything has the same name."""

    installation: Installation
    ours: RichWorkspace
    theirs: RichWorkspace
    broken: RichWorkspace

    def leaks(self, workspace: RichWorkspace, case: Case, answer: Answer) -> bool:
        """Whether an answer to one workspace holds a text or an id of another.

        Its errors may repeat what was asked, and so may what a preview or a plan says of its input.
        """
        others = [other for other in (self.ours, self.theirs, self.broken) if other is not workspace]
        secrets = [secret for other in others for secret in other.secrets if secret in (answer.data or "")]
        return bool(secrets) and any(secret not in _repeated(case) for secret in secrets)

    def context(self, workspace: RichWorkspace, limits: Limits) -> Context:
        return Context(self.installation, workspace.caller, _no_predictor(), f"{PUBLIC_URL}/v1/infers", limits)


def _repeated(case: Case) -> str:
    """The inputs of those roots of an operation that tell what is wrong with them."""
    found: list[str] = []

    class Inputs(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> None:
            if node.name.value in REPEATING:
                found.extend(map(print_ast, node.arguments or ()))

    visit(parse(case.document), Inputs())
    return "".join([*found, *map(str, case.variables.values())] if found else found)


@dataclass(frozen=True, slots=True)
class Executor:
    """One of the two ways to answer: with plans, or with graphql-core alone."""

    schema: Schema
    stage: Stage
    limits: Limits

    @property
    def graphql_schema(self) -> GraphQLSchema:
        return self.schema._schema  # noqa: SLF001  Strawberry has no other name for the graphql-core schema

    @property
    def keys(self) -> Keys:
        """By which federation asks for objects."""
        return self.schema.execution.keys

    async def plans(self, case: Case, workspace: RichWorkspace) -> bool:
        """Whether the operation is answered by a plan: only then is there one to explain."""
        with capture_logs():
            result = await self._execute(case, replace(self.stage.context(workspace, self.limits), explain=True))
        return "explain" in (result.extensions or {})

    async def answer(self, case: Case, workspace: RichWorkspace) -> Answer:
        with capture_logs() as log:
            try:
                result = await self._execute(case, self.stage.context(workspace, self.limits))
            except Exception as error:
                return Answer(None, "[]", f"{type(error).__name__}: {error}")
        errors = sorted(json.dumps(_told(error)) for error in result.errors or ())
        logged = " ".join(repr(entry["exc_info"]) for entry in log if "exc_info" in entry)
        return Answer(_canonical(orjson.loads(orjson.dumps(result.data))), f"[{', '.join(errors)}]", logged=logged)

    async def _execute(self, case: Case, context: Context) -> ExecutionResult:
        return await self.schema.execute(
            case.document,
            variable_values=dict(case.variables),
            context_value=context,
            operation_name=case.operation_name,
        )

    async def data(self, document: str, workspace: RichWorkspace, **variables: Any) -> Any:
        """The data of an operation that must have no error."""
        found = await self.answer(Case(document, variables), workspace)
        assert found.errors == "[]", (found.errors[:1000], variables, document[:200])
        assert found.raised is None, (document, found.raised)
        return json.loads(found.data or "null")


@asynccontextmanager
async def open_stage(pool: Pool, database_url: str, data_dir: Path) -> AsyncIterator[Stage]:
    """Three workspaces; the token of the first is good for the second, too."""
    settings = Settings(
        token=SecretStr("unused"), data_dir=data_dir, database_url=SecretStr(database_url), public_url=PUBLIC_URL
    )
    async with (
        reading_pool(settings, database_url) as reading,
        installation(settings, pool, reading, dies_with_server=False) as made,
    ):
        region = made.rules.region
        broken = await fill(pool, "broken", marker="STRANGE-", region=region, is_broken=True)
        theirs = await fill(pool, "theirs", marker="FOREIGN-", region=region)
        ours = await fill(pool, "ours", region=region, beside=[broken.caller.workspace])
        yield Stage(made, ours, theirs, broken)


def executors(stage: Stage, limits: Limits) -> tuple[Executor, Executor]:
    """With plans, and without."""
    return (
        Executor(shared_schema(limits), stage, limits),
        Executor(shared_schema(limits, plans=False), stage, limits),
    )


def _told(error: GraphQLError) -> list[Any]:
    locations = [[location.line, location.column] for location in error.locations or ()]
    return [error.message, error.path, locations, (error.extensions or {}).get("code")]


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    """The value with its numbers as JSON has them, where 1 is 1.0, and signed addresses without their signature."""
    match value:
        case dict():
            return {name: _plain(entry) for name, entry in value.items()}
        case list():
            return [_plain(entry) for entry in value]
        case float() if value.is_integer():
            return int(value)
        case str() if value.startswith(f"{PUBLIC_URL}/storage/"):
            # When it expires depends on the second in which it was signed.
            return value.partition("?")[0]
    return value


def _no_predictor() -> Predictor:
    class Unasked:
        async def predict(self, *_given: object) -> Any:
            raise AssertionError("no query predicts")

    return Unasked()
