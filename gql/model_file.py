"""The files of an imported package."""

import strawberry

from artifacts.pickle_scan import ScanState
from gql.context import Context
from gql.described_enum import described_enum
from gql.filter import Restriction, restriction
from gql.mapping import stored
from gql.scalar import URL, BigInt
from gql.stored_field import computed
from resolvers.download import file_url

described_enum(
    ScanState,
    description="What the reading of a file's pickles found. Nothing is unpickled for it.",
    values={
        "CLEAN": "It holds no pickle, or names only what is known to be harmless.",
        "UNKNOWN": "It names classes that are not known.",
        "SUSPICIOUS": "It names something that runs code when the file is loaded.",
        "NOT_SCANNED": "It could not be read to its end.",
    },
)


@strawberry.type(description="What the reading of all pickles of a package found.")
class ScanReport:
    state: ScanState = strawberry.field(
        description="The worst of all files: SUSPICIOUS before NOT_SCANNED before UNKNOWN before CLEAN."
    )
    clean_count: int = strawberry.field(description="How many files are CLEAN.")
    unknown_count: int = strawberry.field(description="How many are UNKNOWN.")
    not_scanned_count: int = strawberry.field(description="How many are NOT_SCANNED.")
    suspicious_count: int = strawberry.field(description="How many are SUSPICIOUS.")


async def _url(context: Context, path: str, sha256: str) -> URL:
    return URL(await file_url(context.installation, path, sha256))


@stored("model_file")
@strawberry.type(description="A file of an imported package.")
class ModelFile:
    path: str = strawberry.field(description="Relative to the model directory.")
    size_bytes: BigInt = strawberry.field(description="How large it is.")
    sha256: str = strawberry.field(description="Its SHA-256, in hexadecimal.")
    scan: ScanState = strawberry.field(description="What the reading of its pickles found.")
    scan_globals: list[str] = strawberry.field(description="What its pickles name that is not known to be harmless.")
    scan_reason: str | None = strawberry.field(description="Why the scan has this result, where that is not plain.")
    url: URL | None = computed(_url, description="Opens the imported copy; good for an hour.")


@strawberry.input(description="Which files.")
class ModelFileFilter:
    scan: list[ScanState] | None = restriction(Restriction("scan"), description="Only those with one of these results.")
