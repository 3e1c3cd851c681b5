"""The pages that are read: each as a GraphQL operation, and as the statement that a patient person writes for it."""

# Only names are put into statements here, never values.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from bench.reading_statements import LIST, NESTED, ONE, PAGE, SEARCH, VERSIONS

Variables: TypeAlias = Mapping[str, str]
Key: TypeAlias = tuple[UUID | int, ...]
VERSION = """version status revision
        source { ... on TrainingJobSource { trainingJobVersion { name trainingJob { name } } } }"""


@dataclass(frozen=True, slots=True)
class Page:
    """`statement` answers with the same `data`; its parameters are the workspace and what `key` reads of the variables.

    `keys` finds the keys of many such pages; `variables` makes an operation's variables of one.
    """

    document: str
    statement: str
    keys: str
    variables: Callable[[Key], Variables]
    key: Callable[[Variables], Key]


def after_id(key: Key) -> Variables:
    return {"after": f"id_{_hexadecimal(key[0])}"}


def id_after(variables: Variables) -> Key:
    return (UUID(variables["after"].removeprefix("id_")),)


def after_version(key: Key) -> Variables:
    return {"after": f"version_{key[0]}"}


def version_after(variables: Variables) -> Key:
    return (int(variables["after"].removeprefix("version_")),)


def after_size(key: Key) -> Variables:
    return {"after": f"size_{key[0]}_{_hexadecimal(key[1])}"}


def size_after(variables: Variables) -> Key:
    _, size, version = variables["after"].split("_")
    return int(size), UUID(version)


def of_version(key: Key) -> Variables:
    return {"id": f"ver_{_hexadecimal(key[0])}"}


def version_of(variables: Variables) -> Key:
    return (UUID(variables["id"].removeprefix("ver_")),)


def _hexadecimal(key: UUID | int) -> str:
    assert isinstance(key, UUID)
    return key.hex


def _some(table: str, columns: str = "id") -> str:
    return f"SELECT {columns} FROM {table} WHERE workspace_id = $1 ORDER BY md5(id::text) LIMIT 400"


PAGES: Mapping[str, Page] = {
    "page": Page(
        f"""query Page($after: String) {{ models(first: 20, after: $after) {{
            pageInfo {{ hasNextPage endCursor }}
            edges {{ node {{ id name versionCount createdAt
                versions(first: 3) {{ edges {{ node {{ {VERSION} }} }} }} }} }} }} }}""",
        PAGE,
        _some("model"),
        after_id,
        id_after,
    ),
    "one": Page(
        """query One($id: ID!) { modelVersion(by: {id: $id}) {
            id modelName version status description labels aiEngine algorithm runtime deploymentTypes sizeBytes digest
            createdAt createdBy metrics { f1 accuracy } model { id name versionCount }
            source { ... on TrainingJobSource { location { store key }
                trainingJobVersion { id name status trainingJob { name } } } } } }""",
        ONE,
        _some("model_version"),
        of_version,
        version_of,
    ),
    "list": Page(
        """query List($after: String) { models(first: 100, after: $after) {
            pageInfo { hasNextPage endCursor } nodes { id name versionCount revision createdAt createdBy } } }""",
        LIST,
        _some("model"),
        after_id,
        id_after,
    ),
    "nested": Page(
        """query Nested($after: String) { trainingJobs(first: 5, after: $after) {
            pageInfo { hasNextPage endCursor }
            edges { node { name versions(first: 3) { edges { node { name status
                importedAs(first: 2) { edges { node { version status
                    model { name latestVersion { version sizeBytes model { name } } } } } } } } } } } } }""",
        NESTED,
        _some("training_job"),
        after_id,
        id_after,
    ),
    "search": Page(
        """query Search($after: String) { modelVersions(first: 20, after: $after,
                filter: {status: [NORMAL], aiEngine: [PYTORCH]}, orderBy: {field: SIZE_BYTES, direction: DESC}) {
            pageInfo { hasNextPage endCursor }
            nodes { id modelName version status aiEngine labels sizeBytes createdAt } } }""",
        SEARCH,
        _some("model_version", "coalesce(size_bytes, 0), id"),
        after_size,
        size_after,
    ),
}
VERSIONS_OF_ONE_MODEL = Page(
    f"""query Versions($after: String) {{ model(by: {{name: "one-model"}}) {{ name versionCount
        versions(first: 20, after: $after) {{ pageInfo {{ hasNextPage endCursor }}
            edges {{ node {{ createdAt sizeBytes {VERSION} }} }} }} }} }}""",
    VERSIONS,
    _some("model_version", "version_number"),
    after_version,
    version_after,
)
