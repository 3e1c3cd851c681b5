"""What an import is to do, whether a version's row asks for it or a preview."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncpg import Record

from db import model_version, training_job
from db.connection import Queryable


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The source, with its training job version's row, and what the importer chose, in the form that rows have."""

    source: model_version.Source
    job: Record | None
    config: str | None
    apis: Sequence[Mapping[str, object]] | None
    dependencies: Sequence[Mapping[str, object]] | None
    runtime: str | None
    deployment_types: Sequence[str] | None

    @property
    def store(self) -> str | None:
        """The store that the package lies in; None for an image whose config lies nowhere."""
        return self.job["output_store"] if self.job is not None else self.source.store

    @property
    def key(self) -> str | None:
        return self.job["output_key"] if self.job is not None else self.source.key


def plan_of_new(new: model_version.NewVersion, job: Record | None) -> ImportPlan:
    """What would be done if the version were inserted."""
    return ImportPlan(new.source, job, new.config, new.apis, new.dependencies, new.runtime, new.deployment_types)


async def plan_of_version(connection: Queryable, version: Record) -> ImportPlan:
    """What a version's row asks for."""
    job_id = version["training_job_version_id"]
    job = job_id and await training_job.find_version(connection, version["workspace_id"], job_id)
    source = model_version.Source(
        kind=version["source_kind"],
        training_job_version_id=job_id,
        store=version["chosen_store"],
        key=version["chosen_key"],
        template=version["template"],
        input_output_mode=version["chosen_input_output_mode"],
        image=version["image"],
        command=version["image_command"],
        health_check=version["chosen_health_check"],
    )
    return ImportPlan(
        source,
        job,
        version["chosen_config"],
        version["chosen_apis"],
        version["chosen_dependencies"],
        version["chosen_runtime"],
        version["chosen_deployment_types"],
    )
