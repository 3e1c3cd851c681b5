"""What can be wrong with the database as a whole.

DatabaseFailure
├── DatabaseUnavailable     it cannot be reached, or does not let us in
├── PostgresTooOld          it is older than the oldest that is served
├── MappingFailure          it lacks what the schema reads, though its migrations are applied
└── MigrationFailure        its schema cannot be brought up to date
    └── DatabaseNewer       a newer program has already migrated it
"""

import asyncpg

# What a statement raises where the database is away or goes away; another try may succeed.
DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
# What is raised where a session ended, or could not be begun. A statement that is stopped in time comes before it.
LOST_CONNECTIONS = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    OSError,
)
# What a statement on the reading pool raises where it, or the wait for a connection, took longer than it may.
READ_TIMEOUTS = (asyncpg.QueryCanceledError, TimeoutError)


class DatabaseFailure(Exception):
    """One clear sentence for the operator; never holds a password."""


class DatabaseUnavailable(DatabaseFailure):
    """The database cannot be reached, or does not let us in."""


class PostgresTooOld(DatabaseFailure):
    """The server is older than Postgres 15."""


class MappingFailure(DatabaseFailure):
    """A view or a column that the schema reads is not there, or is of another type."""


class MigrationFailure(DatabaseFailure):
    """A migration file is wrong, was edited after it had been applied, or failed."""


class DatabaseNewer(MigrationFailure):
    """The database holds migrations that this program does not know."""
