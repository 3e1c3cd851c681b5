"""Random operations through both executors: `python -m tests.differential --documents 20000 --seed 7`."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from graphql import (
    FieldNode,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    parse,
    visit,
)

from db.pool import create_pool
from gql.definition import strawberry_field
from gql.limits import Limits
from gql.mapping import Every, Facets, Find, ToMany, mapping_of
from server.embedded_postgres import EmbeddedPostgres
from tests.generated_documents import Generator
from tests.postgres import have_template, new_database, template_name
from tests.reading_stage import WIDE, Answer, Case, Executor, Stage, executors, open_stage
from tests.rich_data import RichWorkspace
from tests.seen_values import look_around
from tests.smaller_document import smaller

# Of the documents, one in so many is asked in the workspace whose rows do not keep what the schema promises.
BROKEN_SHARE = 20
SHOWN = 3_000
# What is stored; other roots tell of settings, or work something out.
STORED_ROOTS = (Every, Facets, Find, ToMany)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An operation of a run, and who asks it."""

    seed: str
    number: int
    workspace: RichWorkspace
    case: Case


@dataclass(frozen=True, slots=True)
class Difference:
    """An operation with both answers: the smallest one that the executors answer differently."""

    attempt: Attempt
    planned: Answer
    alone: Answer

    def __str__(self) -> str:
        attempt, case = self.attempt, self.attempt.case
        return "\n".join(
            (
                f"seed {attempt.seed!r}, document {attempt.number}, in the workspace {attempt.workspace.name}",
                case.document,
                f"variables: {dict(case.variables)}, operationName: {case.operation_name}",
                f"with plans:        {_shown(self.planned)}",
                f"graphql-core only: {_shown(self.alone)}",
            )
        )


@dataclass(slots=True)
class Report:
    """What a run saw. Documents that any error came of are not `clean`; `with_rows` are the clean ones that asked
    for what is stored, each with its first variables, and `planned` those of them that were answered by a plan.

    `leaks` show another workspace's rows, and `failures` a fault of the server's: no document may bring one about.
    """

    documents: int = 0
    clean: int = 0
    with_rows: int = 0
    planned: int = 0
    wrong_refused: int = 0
    differences: list[Difference] = field(default_factory=list)
    leaks: list[Difference] = field(default_factory=list)
    failures: list[Difference] = field(default_factory=list)


class Comparison:
    """Both executors over one stage."""

    def __init__(self, stage: Stage, planning: Executor, alone: Executor, generator: Generator) -> None:
        self._stage, self._planning, self._alone, self._generator = stage, planning, alone, generator

    @classmethod
    async def over(cls, stage: Stage) -> "Comparison":
        """With the limits that a server has by default."""
        _, wide = executors(stage, WIDE)
        ours, theirs = [
            await look_around(wide.graphql_schema, lambda document, owner=owner: wide.data(document, owner), depth=2)  # type: ignore[misc]
            for owner in (stage.ours, stage.theirs)
        ]
        planning, alone = executors(stage, Limits())
        return cls(stage, planning, alone, Generator(alone.graphql_schema, Limits(), alone.keys, ours, theirs))

    async def run(self, seed: str, documents: int, *, differences: int = 1) -> Report:
        """Compare so many documents, some with several values of their variables. Stops at so many differences."""
        picker, report = random.Random(seed), Report()
        for number in range(documents):
            if len(report.differences) >= differences:
                break
            made = self._generator.generate(picker)
            workspace = self._stage.broken if number % BROKEN_SHARE == BROKEN_SHARE - 1 else self._stage.ours
            alone = await self._compare(report, Attempt(seed, number, workspace, made.case))
            report.wrong_refused += made.has_wrong_value and alone.is_refused
            if not alone.is_refused and asks_for_rows(self._alone.graphql_schema, made.case, alone):
                report.with_rows += 1
                report.planned += await self._planning.plans(made.case, workspace)
            for other in made.others:
                asker = picker.choice((workspace, self._stage.theirs))
                await self._compare(report, Attempt(seed, number, asker, other))
        return report

    async def _compare(self, report: Report, attempt: Attempt) -> Answer:
        """What graphql-core alone answers; the rest goes into the report."""
        case, workspace = attempt.case, attempt.workspace
        planned, alone = await self._both(case, workspace)
        report.documents += 1
        if not planned.agrees(alone):
            report.differences.append(await least_difference(self._planning, self._alone, attempt))
        report.clean += not alone.is_refused
        found = Difference(attempt, planned, alone)
        if self._stage.leaks(workspace, case, planned):
            report.leaks.append(found)
        if alone.is_failure and workspace is not self._stage.broken:
            report.failures.append(found)
        return alone

    async def _both(self, case: Case, workspace: RichWorkspace) -> tuple[Answer, Answer]:
        return await self._planning.answer(case, workspace), await self._alone.answer(case, workspace)


async def least_difference(planning: Executor, alone: Executor, attempt: Attempt) -> Difference:
    """The smallest part of the attempt's operation that the executors answer differently."""

    async def both(case: Case) -> tuple[Answer, Answer]:
        return await planning.answer(case, attempt.workspace), await alone.answer(case, attempt.workspace)

    async def differs(case: Case) -> bool:
        planned, core = await both(case)
        return not planned.agrees(core)

    least = await smaller(alone.graphql_schema, attempt.case, differs)
    return Difference(replace(attempt, case=least), *await both(least))


def asks_for_rows(schema: GraphQLSchema, case: Case, answer: Answer) -> bool:
    """Whether a list, or something by its id or name, is in the answer; what else a root tells is not stored."""
    document, types = parse(case.document), TypeInfo(schema)
    roots = _RowRoots(types)
    visit(document, TypeInfoVisitor(types, roots))
    return bool(roots.keys & json.loads(answer.data or "{}").keys())


class _RowRoots(Visitor):
    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.keys: set[str] = set()

    def enter_field(self, node: FieldNode, *_args: object) -> None:
        parent, field = self._types.get_parent_type(), self._types.get_field_def()
        if parent is None or parent.name != "Query" or field is None:
            return
        declared = strawberry_field(field)
        if declared is not None and isinstance(mapping_of(declared), STORED_ROOTS):
            self.keys.add((node.alias or node.name).value)


def _shown(answer: Answer) -> str:
    text = " ".join(filter(None, (answer.raised, answer.data, answer.errors, answer.logged)))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def main(arguments: Sequence[str]) -> int:
    """0 where nothing differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--seed", default="7")
    parser.add_argument("--differences", type=int, default=10, help="stop at so many")
    given = parser.parse_args(arguments)
    report = asyncio.run(_compare(given.seed, given.documents, given.differences))
    for found in (*report.differences, *report.leaks, *report.failures):
        sys.stdout.write(f"{found}\n\n")
    sys.stdout.write(
        f"{report.documents} documents, {report.clean} without error, {report.with_rows} of them for rows,"
        f" {report.planned} planned; {len(report.differences)} differences, {len(report.leaks)} leaks,"
        f" {len(report.failures)} failures\n"
    )
    return 1 if report.differences or report.leaks or report.failures else 0


async def _compare(seed: str, documents: int, differences: int) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        server = EmbeddedPostgres(root / "postgres", is_durable=False)
        address = await server.start()
        try:
            await asyncio.to_thread(_template, address, root)
            async with new_database(address, template_name()) as database_url:
                return await _compare_in(database_url, root, seed, documents, differences)
        finally:
            await server.stop()


def _template(address: str, root: Path) -> None:
    asyncio.run(have_template(address, root / "template.lock"))


async def _compare_in(database_url: str, root: Path, seed: str, documents: int, differences: int) -> Report:
    data_dir = root / "data"
    data_dir.mkdir()
    async with (
        await create_pool(database_url, size=5) as pool,
        open_stage(pool, database_url, data_dir) as stage,
    ):
        return await (await Comparison.over(stage)).run(seed, documents, differences=differences)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
