"""A package whose copy is complete and whose build failed: described again, with what its importer chose meanwhile."""

from dataclasses import asdict

import orjson
from asyncpg import Record

from artifacts.config import Config
from artifacts.layout import check_wheels
from artifacts.package_file import PackageFile
from db import model_version
from resolvers.dependency_choice import read_dependency_choices
from resolvers.errors import ErrorCode
from resolvers.model_provenance import replaced_config
from resolvers.operation_attempt import Attempt, ImportFailed, stored_problem
from resolvers.package_description import config_text, environment_requirements
from resolvers.runtime_choice import choose_runtime

FOLLOWING_FROM_CHOICES = (ErrorCode.RUNTIME_SUBSTITUTED, ErrorCode.SIGNED_CONFIG_REPLACED)


async def describe_again(attempt: Attempt, version: Record) -> None:
    """Store the config in force, runtime and requirements by the importer's newest choices; the files stay.

    Raises ImportFailed where the choices do not fit the package, and Superseded.
    """
    config = Config.from_json(orjson.loads(version["config"])).with_choices(
        dependencies=read_dependency_choices(version["chosen_dependencies"]), runtime=version["chosen_runtime"]
    )
    rules = attempt.installation.rules
    choice = choose_runtime(rules, config, version["requested_runtime"], template=version["template"])
    problems = [*choice.problems, *await _missing_wheels(attempt, version, config)]
    if problems:
        raise ImportFailed("BUILD_FAILED", problems)
    kept = [
        warning
        for warning in version["warnings"]
        if warning["code"] not in FOLLOWING_FROM_CHOICES and warning not in choice.warnings
    ]
    state = version["provenance"] and version["provenance"]["state"]
    replaced = [stored_problem(problem) for problem in replaced_config(version, state)]
    async with attempt.transaction() as unit:
        await attempt.hold(unit)
        await model_version.describe_again(
            unit.connection,
            version["workspace_id"],
            version["id"],
            runtime=choice.runtime.name if choice.runtime else None,
            requirements=environment_requirements(choice.runtime, config),
            config=config_text(config),
            dependencies=[asdict(dependency) for dependency in config.dependencies],
            warnings=[*kept, *choice.warnings, *replaced],
        )


async def _missing_wheels(attempt: Attempt, version: Record, config: Config) -> list[dict[str, object]]:
    wheels = [dependency.wheel for dependency in config.dependencies if dependency.wheel]
    if not wheels:
        return []
    rows = await model_version.all_files(attempt.installation.pool, version["workspace_id"], version["id"])
    files = [PackageFile(row["path"], row["size_bytes"]) for row in rows]
    return [stored_problem(problem) for problem in check_wheels(wheels, files)]
