"""The command line: what to run, told in `--help`. Heavy imports wait until a command needs them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from db.connection import Pool
    from server.settings import Settings

Answer = TypeVar("Answer")

app = typer.Typer(
    name="modelyard",
    help="Model management you host yourself: import what training left behind, deploy it, ask it, in GraphQL.",
    epilog="Settings are environment variables: docs/settings.md lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
token_commands = typer.Typer(help="Make, list and revoke sign-in tokens.", no_args_is_help=True)
workspace_commands = typer.Typer(help="Make and list workspaces, and grant them what to read.", no_args_is_help=True)
app.add_typer(token_commands, name="token")
app.add_typer(workspace_commands, name="workspace")

TokenName = Annotated[str, typer.Argument(help="Name of the token.", show_default=False)]
WorkspaceName = Annotated[str, typer.Argument(help="Name of the workspace.", show_default=False)]


@app.command()
def serve() -> None:
    """Serve the API; with the worker, the gateway and Postgres inside unless told otherwise."""
    with failures_told():
        settings = load()
        from server.data_directory import claimed
        from server.database import started_early
        from server.listener import check_address

        check_address(settings)
        with claimed(settings.data_dir), started_early(settings):
            from server.process import serve as serve_app

            serve_app(settings)


@app.command()
def worker() -> None:
    """Do background work, beside an API that runs with MODELYARD_WORKER=none."""
    with failures_told():
        settings = load()
        from server.process import work

        work(settings)


@app.command()
def gateway() -> None:
    """Pass predictions to services, beside an API that runs with MODELYARD_GATEWAY=none."""
    with failures_told():
        settings = load()
        from server.listener import check_address

        check_address(settings)
        from server.process import serve_gateway

        serve_gateway(settings)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def edge_agent(context: typer.Context) -> None:
    """Run another server's edge services on this machine; `edge-agent --help` lists its options."""
    from edge.process import main as run_agent

    run_agent(context.args)


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date, and say what was applied."""
    with failures_told():
        applied = asyncio.run(apply_migrations(load()))
        print_lines(applied or ["Nothing to do: the database is up to date."])


@app.command()
def schema(
    *,
    federation: Annotated[bool, typer.Option("--federation", help="As gateways compose it with other graphs.")] = False,
) -> None:
    """Print the GraphQL schema."""
    with failures_told():
        from gql.federation import subgraph_sdl
        from gql.limits import Limits
        from gql.schema import build_schema, print_schema

        sdl = subgraph_sdl(build_schema(Limits())) if federation else print_schema()
        print_lines([sdl.rstrip("\n")])


@token_commands.command("create")
def create_token(
    name: TokenName,
    workspace: Annotated[
        list[str], typer.Option("--workspace", "-w", help="A workspace it is good for; may be given again.")
    ] = ["default"],  # noqa: B006  typer reads it as the option's default and never changes it
) -> None:
    """Make a token and print it: it is shown here and never again."""
    with failures_told():
        from resolvers import workspace as rules

        print_lines([with_pool(lambda pool: rules.create_token(pool, name=name, workspaces=workspace))])


@token_commands.command("list")
def list_tokens() -> None:
    """List the tokens' names, workspaces and ages; never the tokens."""
    with failures_told():
        from resolvers import workspace as rules

        rows = with_pool(rules.list_tokens)
        cells = [(row["name"], ", ".join(row["workspaces"]), f"{row['created_at']:%Y-%m-%d %H:%M}Z") for row in rows]
        print_table(("NAME", "WORKSPACES", "CREATED"), cells)


@token_commands.command("revoke")
def revoke_token(name: TokenName) -> None:
    """Revoke a token: whoever holds it is locked out within seconds."""
    with failures_told():
        from resolvers import workspace as rules

        with_pool(lambda pool: rules.revoke_token(pool, name=name))
        print_lines([f"Token {name} is revoked."])


@workspace_commands.command("create")
def create_workspace(name: WorkspaceName) -> None:
    """Make a workspace."""
    with failures_told():
        from resolvers import workspace as rules

        with_pool(lambda pool: rules.create_workspace(pool, name=name))
        print_lines([f"Workspace {name} is there."])


@workspace_commands.command("list")
def list_workspaces() -> None:
    """List the workspaces."""
    with failures_told():
        from resolvers import workspace as rules

        found = with_pool(rules.list_workspaces)
        cells = [(workspace.name, f"{workspace.created_at:%Y-%m-%d %H:%M}Z") for workspace in found]
        print_table(("NAME", "CREATED"), cells)


@workspace_commands.command("grant")
def grant_prefix(
    name: WorkspaceName,
    prefix: Annotated[str, typer.Argument(help="Folder inside the store, such as shared/training.")],
    store: Annotated[str, typer.Option(help="Name of the store.")] = "default",
) -> None:
    """Let a workspace read what lies under a prefix of a store."""
    with failures_told():
        from resolvers import workspace as rules

        with_pool(lambda pool: rules.grant_prefix(pool, name=name, store=store, prefix=prefix))
        print_lines([f"Workspace {name} may read {prefix} in the store {store}."])


def main() -> None:
    app(prog_name="modelyard")


def load() -> "Settings":
    """The settings; says on standard error which variables are none. Raises StartFailure."""
    from server.settings import load_settings, unknown_variables

    settings = load_settings()
    complain(unknown_variables())
    return settings


def with_pool(action: "Callable[[Pool], Awaitable[Answer]]") -> Answer:
    """Do something with the database, beside a running server or without one."""
    return asyncio.run(do_with_pool(load(), action))


async def do_with_pool(settings: "Settings", action: "Callable[[Pool], Awaitable[Answer]]") -> Answer:
    from server.database import database, database_pool

    async with database(settings) as dsn, database_pool(settings, dsn) as pool:
        return await action(pool)


async def apply_migrations(settings: "Settings") -> list[str]:
    from db.migrate import migrate
    from server.database import database_address

    async with database_address(settings) as dsn:
        return await migrate(dsn)


@contextmanager
def failures_told() -> Iterator[None]:
    """End with one clear line and exit code 1 where something is the operator's to mend, and quietly on Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except Exception as error:
        if not is_told(error):
            raise
        complain(str(error).splitlines())
        raise typer.Exit(1) from None


def is_told(error: Exception) -> bool:
    from db.failure import DatabaseFailure
    from resolvers.errors import Refusal
    from server.failure import StartFailure

    return isinstance(error, StartFailure | DatabaseFailure | Refusal)


def complain(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"modelyard: {line}", file=sys.stderr)


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
