"""Workspaces full of rows of every stored kind, as the resolvers write them, put there by plain SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.connection import Pool
from gql.identifier import Prefix, encode
from resolvers.caller import Caller, Workspace
from tests.rich_aliases import write_aliases, write_deleted_model
from tests.rich_batches import write_batches
from tests.rich_edge import write_edge
from tests.rich_market import write_market
from tests.rich_models import write_builds, write_files, write_models
from tests.rich_pools import write_pools
from tests.rich_services import write_events, write_operations, write_services
from tests.rich_text import moment
from tests.rich_training import write_training_jobs, write_uploads
from tests.rich_writer import Writer

TABLES: Mapping[Prefix, str] = {
    Prefix.TRAINING_JOB: "training_job",
    Prefix.TRAINING_JOB_VERSION: "training_job_version",
    Prefix.UPLOAD: "upload",
    Prefix.MODEL: "model",
    Prefix.MODEL_VERSION: "model_version",
    Prefix.SERVICE: "service",
    Prefix.BACKGROUND_OPERATION: "operation",
    Prefix.SERVICE_INSTANCE: "service_instance",
    Prefix.MARKET_LISTING: "market_listing",
    Prefix.MARKET_SUBSCRIPTION: "market_subscription",
    Prefix.RESOURCE_POOL: "resource_pool",
    Prefix.EDGE_NODE: "edge_node",
}
# Each after what its rows refer to.
EVERYTHING = (
    write_training_jobs,
    write_uploads,
    write_models,
    write_market,
    write_files,
    write_builds,
    write_deleted_model,
    write_aliases,
    write_pools,
    write_services,
    write_batches,
    write_edge,
    write_operations,
    write_events,
)


@dataclass(frozen=True, slots=True)
class RichWorkspace:
    """`marker` begins each of its texts, but for names that other workspaces have too; `ids` are by their prefix."""

    caller: Caller
    marker: str
    ids: Mapping[Prefix, Sequence[str]]
    digests: Sequence[str]

    @property
    def name(self) -> str:
        return self.caller.workspace.name

    @property
    def secrets(self) -> Sequence[str]:
        """What nobody else may see: its marker where it has one, its keys but for the market's, its files' digests."""
        keys = [
            identifier.partition("_")[2]
            for prefix, identifiers in self.ids.items()
            if prefix not in (Prefix.WORKSPACE, Prefix.MARKET_LISTING)
            for identifier in identifiers
        ]
        return [*([self.marker] if self.marker else []), *keys, *self.digests]


async def fill(
    pool: Pool, name: str, *, marker: str = "", region: str, beside: Sequence[Workspace] = (), is_broken: bool = False
) -> RichWorkspace:
    """A new workspace and its rows. Its caller's token is also good for the workspaces `beside` it.

    Names and numbers are the same in every workspace. A broken one runs a version that is deleted, which no
    resolver leaves behind: its service's target promises a version and has none.
    """
    async with pool.acquire() as connection, connection.transaction():
        made = await connection.fetchrow(
            "INSERT INTO workspace (name, created_at) VALUES ($1, $2) RETURNING *", name, moment(1)
        )
        assert made is not None
        writer = Writer(connection, made["id"], name, marker, region, is_broken=is_broken)
        for write in EVERYTHING:
            await write(writer)
    workspace = Workspace(made["id"], made["name"], made["created_at"])
    ids = {
        prefix: [encode(prefix, row["id"]) for row in writer.rows[table] if "id" in row]
        for prefix, table in TABLES.items()
    }
    ids[Prefix.WORKSPACE] = [encode(Prefix.WORKSPACE, workspace.id)]
    digests = [row["sha256"].hex() for row in writer.rows["model_file"]]
    caller = Caller(f"{marker}token", workspace, (workspace, *beside))
    return RichWorkspace(caller, marker, ids, digests)
