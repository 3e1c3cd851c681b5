"""The settings: environment variables and nothing else. docs/settings.md lists each; a test holds it to that."""

import difflib
import ipaddress
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server.failure import StartFailure

PREFIX = "MODELYARD_"
CHECKOUT = Path(__file__).parent.parent
MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
# GraphQL documents are read by recursion.
DEEPEST = 100


class InvalidSettings(StartFailure):
    """One line for each setting that is wrong."""


class Isolation(StrEnum):
    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    USER = "user"
    NONE = "none"


class ScanChoice(StrEnum):
    BLOCK = "block"
    WARN = "warn"
    ALLOW = "allow"


class SignaturePolicy(StrEnum):
    SHOW = "show"
    REQUIRE_VALID = "require-valid"
    REQUIRE = "require"


class Placement(StrEnum):
    """Where a part runs: inside `serve`, or not there because it is a process of its own."""

    EMBEDDED = "embedded"
    NONE = "none"


def split_list(value: object) -> object:
    """Items apart by commas or blanks."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def check_http_url(value: str | None) -> str | None:
    if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
        raise ValueError("must be an http or https URL")
    return value.rstrip("/") if value else value


def check_origin(value: str) -> str:
    parts = urlsplit(value)
    if value != "*" and not (parts.scheme and parts.netloc and value == f"{parts.scheme}://{parts.netloc}"):
        raise ValueError("an origin is scheme and host, with nothing behind")
    return value


def check_proxy(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError("each must be an address or network, as 10.0.0.0/8") from None
    return value


def check_replacement(value: str) -> str:
    asked, separator, given = value.partition("=")
    if not (asked and separator and given) or "=" in given:
        raise ValueError("each must be asked=given, as python3.6=python3.11 or PYTORCH:python3.6=python3.11")
    return value


class SchemeOf:
    """Accepts URLs of some schemes."""

    def __init__(self, *schemes: str) -> None:
        self.schemes = schemes

    def __call__(self, value: SecretStr | None) -> SecretStr | None:
        if value is not None and urlsplit(value.get_secret_value()).scheme not in self.schemes:
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in self.schemes)}")
        return value


Items = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(check_origin)], ...], NoDecode, BeforeValidator(split_list)]
Proxies = Annotated[tuple[Annotated[str, AfterValidator(check_proxy)], ...], NoDecode, BeforeValidator(split_list)]
Replacements = Annotated[
    tuple[Annotated[str, AfterValidator(check_replacement)], ...], NoDecode, BeforeValidator(split_list)
]
HttpUrl = Annotated[str | None, AfterValidator(check_http_url)]
DatabaseUrl = Annotated[SecretStr | None, AfterValidator(SchemeOf("postgresql", "postgres"))]
StoreUrl = Annotated[SecretStr | None, AfterValidator(SchemeOf("s3", "file"))]
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


class Settings(BaseSettings):
    """What the operator decides. `MODELYARD_` and the field's name make the variable, but for the three `…_URL`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    host: str = Field(
        default="127.0.0.1", description="Address to listen on. Anything but loopback needs MODELYARD_TOKEN."
    )
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    public_url: HttpUrl = Field(
        default=None, description="Address by which clients reach the server; shown, and part of signed addresses."
    )
    gateway_public_url: HttpUrl = Field(
        default=None, description="Address by which clients reach a gateway of its own; the server's where not set."
    )
    trusted_proxies: Proxies = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    cors_origins: Origins = Field(default=(), description="Origins of web pages that may call the API, or `*`.")
    token: SecretStr | None = Field(
        default=None,
        description="The sign-in token; made at the first start where not set. At least 16 characters beyond loopback.",
    )
    introspection: bool = Field(default=True, description="Whether clients may read the schema.")
    plans: bool = Field(
        default=True, description="Answer what can be answered so with one SQL statement for each GraphQL operation."
    )
    explain: bool = Field(
        default=False, description="Let clients see the statements of their GraphQL operations. On loopback only."
    )
    strict_modelarts: bool = Field(
        default=False, description="Hold names and limits to ModelArts' own where Modelyard is more generous."
    )
    arm_version: bool = Field(
        default=False,
        description="Refuse imports from training jobs and object storage, as ModelArts of the Arm version does.",
    )

    data_dir: AbsolutePath = Field(
        default=CHECKOUT / ".modelyard", description="Folder of everything that is kept on disk."
    )
    region: str = Field(
        default="local", min_length=1, description="Region of the installation and of its folder store."
    )
    database_url: DatabaseUrl = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="Postgres 15 or newer, as postgresql://user:password@host/database; embedded where not set.",
    )
    database_pool_size: int = Field(
        default=10, ge=2, le=500, description="Most connections of one process to Postgres, but for reading."
    )
    reading_pool_size: int | None = Field(
        default=None,
        ge=1,
        le=500,
        description="Most connections of one process that only read; two for each core, at least 4, where not set.",
    )
    database_statement_cache_size: int = Field(
        default=1024,
        ge=0,
        description="Prepared statements kept by a connection; 0 behind a PgBouncer.",
    )
    object_store_url: StoreUrl = Field(
        default=None,
        validation_alias="OBJECT_STORE_URL",
        description="`s3://bucket/prefix?endpoint=…` or `file:///folder`; in the data directory where not set.",
    )
    upload_expires_seconds: int = Field(
        default=3600, ge=60, le=604800, description="How long signed addresses are good for."
    )
    model_file_limit_bytes: int = Field(
        default=5 * GIBIBYTE, ge=1, description="Largest single file of a model package."
    )
    suspicious_pickles: ScanChoice = Field(
        default=ScanChoice.BLOCK,
        description="What an import does with a pickle that names known-bad code; a workspace may choose otherwise.",
    )
    unknown_pickles: ScanChoice = Field(
        default=ScanChoice.WARN,
        description="What an import does with a pickle that names unknown classes; a workspace may choose otherwise.",
    )
    unscanned_files: ScanChoice = Field(
        default=ScanChoice.WARN,
        description="What an import does with a file that could not be scanned; a workspace may choose otherwise.",
    )
    signing_keys: AbsolutePath | None = Field(
        default=None, description="Folder with the public keys and certificates of those whose signatures are trusted."
    )
    signature_policy: SignaturePolicy = Field(
        default=SignaturePolicy.SHOW,
        description="`show` refuses nothing, `require-valid` unverified signatures, `require` what has none verified.",
    )
    unused_file_seconds: int = Field(
        default=86_400,
        ge=600,
        description="How long the stored file of a model is kept that no version holds; longer than copying one takes.",
    )
    unused_environment_seconds: int = Field(
        default=604_800, ge=0, description="How long an environment is kept that no version needs."
    )

    restore_days: int = Field(
        default=30, ge=0, le=3650, description="For how many days a deleted version of a model can be restored."
    )
    log_days: int = Field(
        default=14,
        ge=1,
        le=3650,
        description="For how many days what services print is kept; of each service 10,000 lines at most.",
    )
    metric_days: int = Field(
        default=30, ge=1, le=3650, description="For how many days is kept how services' predictions went."
    )

    engine_url: str = Field(
        default="local", validation_alias="ENGINE_URL", description="Where services run; `local` is this host."
    )
    isolation: Isolation = Field(
        default=Isolation.AUTO,
        description="How package code is kept apart; `auto` takes the strongest that works here.",
    )
    prediction_timeout_seconds: float = Field(default=40.0, gt=0, description="Longest that one prediction may take.")
    prediction_max_body_bytes: int = Field(
        default=12 * MEBIBYTE, ge=1024, description="Largest body of one prediction."
    )
    deployment_timeout_seconds: float = Field(
        default=1200.0,
        gt=0,
        allow_inf_nan=False,
        description="After this long a deployment has failed (180 to 7200 is sensible); it is tried on.",
    )
    shared_pool_cpu_count: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Processors that services in the shared pool may take, of all workspaces; unbounded where not set.",
    )
    shared_pool_memory_bytes: int | None = Field(
        default=None,
        ge=1,
        le=2**53,
        description="Memory that services in the shared pool may take, of all workspaces; unbounded where not set.",
    )
    build_timeout_seconds: float = Field(
        default=1800.0, gt=0, description="Longest that building one environment may take."
    )
    runtime_map: Replacements = Field(
        default=(), description="Runtimes that packages get in the place of those that they ask for."
    )
    package_index_url: str | None = Field(
        default=None, description="Package index for environments; pip's own configuration where not set."
    )
    package_extra_index_urls: Items = Field(default=(), description="Further package indexes for environments.")
    package_find_links: Items = Field(default=(), description="Folders or pages with wheels for environments.")
    allow_source_distributions: bool = Field(
        default=False, description="Let environments build packages from source, which runs their code."
    )
    allow_gpu_packages: bool = Field(
        default=False, description="Let environments contain CUDA's packages (several GB)."
    )

    edge_sync_seconds: float = Field(
        default=5.0, ge=0.2, le=3600, description="How often the agent of an edge node reports and asks what to do."
    )
    edge_node_lost_seconds: float = Field(
        default=60.0, gt=0, description="How long an edge node may be silent before it is UNCONNECTED."
    )

    worker: Placement = Field(
        default=Placement.EMBEDDED, description="Where background work is done; `none` for `worker`s."
    )
    gateway: Placement = Field(default=Placement.EMBEDDED, description="Where predictions pass; `none` for `gateway`s.")
    worker_operations: int = Field(
        default=4, ge=2, le=100, description="Most background operations that one worker does at once."
    )
    operation_attempts: int = Field(
        default=5, ge=1, le=100, description="Starts of one background operation before it fails."
    )
    max_request_body_bytes: int = Field(default=2 * MEBIBYTE, ge=1024, description="Largest body of a GraphQL request.")
    max_query_depth: int = Field(default=15, ge=1, le=DEEPEST, description="Deepest fields of one GraphQL operation.")
    max_query_nesting: int = Field(
        default=60,
        ge=1,
        le=DEEPEST,
        description="Deepest selection sets of one GraphQL operation, those of fragments counted.",
    )
    max_query_aliases: int = Field(default=30, ge=0, description="Most aliases in one GraphQL operation.")
    max_query_alias_characters: int = Field(
        default=100, ge=1, description="Longest alias in a GraphQL operation: an answer repeats it for every object."
    )
    max_query_directives: int = Field(default=30, ge=0, description="Most directives in one GraphQL operation.")
    max_query_selections: int = Field(default=2_000, ge=1, description="Most fields selected by one GraphQL operation.")
    max_query_root_fields: int = Field(default=20, ge=1, description="Most root fields of one GraphQL operation.")
    max_query_cost: int = Field(
        default=50_000, ge=1, description="Highest cost of one GraphQL operation, as `extensions.cost` reports it."
    )
    max_query_tokens: int = Field(default=5_000, ge=1, description="Most tokens of one GraphQL document.")
    max_query_comments: int = Field(default=1_000, ge=0, description="Most comments in one GraphQL document.")
    max_query_characters: int = Field(default=100_000, ge=1, description="Longest GraphQL document.")
    max_query_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Longest that one GraphQL operation may take."
    )
    max_running_queries: int = Field(
        default=64, ge=1, description="Most GraphQL operations that one process works on at once."
    )
    max_waiting_queries: int = Field(
        default=256, ge=0, description="Most GraphQL operations that wait for their turn; more are refused at once."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least that is logged.")


def load_settings() -> Settings:
    """The settings of the process environment. Raises InvalidSettings."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [describe(detail) for detail in error.errors(include_url=False, include_input=False)]
        raise InvalidSettings("\n".join(lines)) from None


def describe(detail: ErrorDetails) -> str:
    name = str(detail["loc"][0])
    message = detail["msg"].removeprefix("Value error, ")
    return f"{variable_of(name)} is not valid: {message[0].lower()}{message[1:]}."


def variable_of(name: str) -> str:
    """The environment variable of a field, by the field's name or by its alias."""
    field = Settings.model_fields.get(name)
    if field is None:
        return name.upper()
    alias = field.validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{name.upper()}"


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that looks like a setting and is none."""
    known = [variable_of(name) for name in Settings.model_fields]
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return [f"{name} is not a setting{suggestion(name, known)}" for name in unknown]


def suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"; did you mean {close[0]}?" if close else "."
