"""A look at what an import is to be made of, before anything is decided and outside of any transaction."""

from resolvers.caller import Caller
from resolvers.import_source import ImportSource, TrainingJobSource
from resolvers.installation import Installation
from resolvers.training_job import look_at_output


async def look_at_source(installation: Installation, caller: Caller, source: ImportSource) -> None:
    """Let our rows of a training job version show what its output holds now."""
    if isinstance(source, TrainingJobSource):
        await look_at_output(installation, caller, source.training_job_name, source.version_name)
