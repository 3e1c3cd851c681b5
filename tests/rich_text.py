"""Texts, times and documents that a server has to bring through unharmed."""

from datetime import UTC, datetime, timedelta
from typing import Any

TEXTS = (
    "plain",
    "with \"quotes\", 'single' and `back`",
    "back\\slash \\n \\u0041 \\",
    "two\nlines\r\nand\ta tab",
    "naïve façade 模型 Ωμέγα עברית",
    "🦉👩‍👩‍👧 emoji",
    "\x01\x1f\x7f\u2028\u2029\ufeff control",
    "null",
    "  spaces  ",
    "%s %d {} $1 ' OR 1=1 --",
    "</script>&amp;",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 " + "long " * 60,
)
FLOATS = (0.1, 1.0, -0.0, 0.30000000000000004, 1e-7, 1e22, 5e-324, 123456789012345680.0, -1.5, 1e16, 3, 2.5e-10)
METRICS: tuple[dict[str, float] | None, ...] = (
    {"f1": 0.1, "recall": 1.0, "precision": 0.30000000000000004, "accuracy": 1},
    None,
    {"recall": 0.0},
    {},
    {"accuracy": 0.9999999999999999, "f1": 1e-7},
)
DURATIONS = (
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(days=900, microseconds=999_999),
    timedelta(milliseconds=120),
    timedelta(hours=1),
)
MOMENTS = (
    datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC),
    datetime(2026, 1, 31, 12, 0, 0, 120_000, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2024, 2, 29, 0, 0, 0, 1, tzinfo=UTC),
    datetime(42, 7, 1, 1, 2, 3, tzinfo=UTC),
    datetime(9996, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
)


def text(number: int) -> str:
    return TEXTS[number % len(TEXTS)]


def moment(number: int) -> datetime:
    """Times with and without fractions of a second, old and far ones too."""
    return MOMENTS[number % len(MOMENTS)] + timedelta(minutes=number)


def problem(marker: str, number: int) -> dict[str, Any]:
    """A problem or warning: as a reading of a package leaves it, or as one of the import's own."""
    codes = ("CONFIG_INVALID", "MODEL_FILE_MISSING", "UNSAFE_PICKLE", "CONFIG_UNKNOWN_KEY")
    found = {"code": codes[number % 4], "message": marker + text(number)}
    if number % 3 == 0:
        return {"code": "STORE_DENIED", "message": found["message"], "hint": f"{marker}hint"}
    if number % 3 == 1:
        return {"code": "UNSUPPORTED_BY_ENGINE", "message": found["message"]}
    return {
        **found,
        "file": f"{marker}config.json",
        "pointer": "/apis/0/~1",
        "expected": None,
        "actual": marker + text(number + 5),
        "hint": None,
    }


def apis(marker: str, number: int) -> list[dict[str, Any]]:
    """Apis as rows keep them; the order of a schema's properties matters."""
    schema = {
        "type": "object",
        "properties": {
            "zeta": {"type": "number", "description": marker + text(number), "minimum": 0.5},
            "alpha": {"type": "array", "items": [{"é": None}, True, 1.0, 1e22, [], {}]},
            "10": {},
        },
    }
    inputs = [
        {"name": "zeta", "type": "number", "description": marker + text(number), "schema": schema["properties"]},
        {"name": "alpha", "type": "array", "description": None, "schema": {"b": 1, "a": 2}},
        {"name": "10", "type": "any", "description": None, "schema": {}},
    ]
    return [
        {
            "url": f"/{marker}{place}",
            "method": "POST",
            "protocol": "https",
            "request_content_type": "application/json" if place else None,
            "response_content_type": None,
            "request_schema": schema if place else None,
            "response_schema": None,
            "inputs": inputs[:place],
            "outputs": inputs[: number % 4],
        }
        for place in range(number % 4)
    ]


def dependencies(marker: str, number: int) -> list[dict[str, str | None]]:
    restraints = ("EXACT", "ATLEAST", "ATMOST", None)
    return [
        {
            "installer": "pip",
            "package": f"{marker}package-{place}",
            "version": f"1.{place}" if restraints[place % 4] else None,
            "restraint": restraints[place % 4],
        }
        for place in range(number % 5)
    ]


def health_check(marker: str, number: int) -> dict[str, Any] | None:
    """Only what the config said is stored."""
    return (
        None,
        {"check_method": "HTTP", "url": f"/{marker}health", "initial_delay_seconds": 0},
        {"check_method": "EXEC", "command": marker + text(number), "timeout_seconds": 2**31 - 1, "period_seconds": 1},
    )[number % 3]


def container(marker: str, number: int) -> dict[str, Any] | None:
    return (
        {"command": marker + text(number), "protocol": "https", "port": 8443},
        None,
        {"command": None, "protocol": None, "port": None},
    )[number % 3]


def provenance(marker: str, number: int) -> dict[str, Any] | None:
    """What a signature says: one that is trusted, one that is not, or one that cannot be read."""
    signed = {
        "state": "VERIFIED",
        "signer": marker + text(number),
        "key_fingerprint": f"{number:064x}",
        "predicate_type": f"https://{marker}model.test/signing/v1.0",
        "signed_files": number,
        "message": marker + text(number + 1),
        "file": f"{marker}model.sig",
    }
    nobody = {"signer": None, "key_fingerprint": None}
    unread = {**signed, **nobody, "state": "INVALID", "predicate_type": None, "signed_files": 0}
    return (signed, None, {**signed, **nobody, "state": "UNTRUSTED"}, unread)[number % 4]


def integrity(marker: str, number: int) -> dict[str, Any] | None:
    """What a verification found, of the stored files and of their source."""
    if number % 3 == 1:
        return None
    problems = [problem(marker, n) for n in range(number % 3)]
    changed = [f"{marker}{text(n)}" for n in range(number % 4)]
    return {
        "state": "DRIFTED" if problems else "INTACT",
        "checked_at": "2026-01-31T12:00:00Z",
        "file_count": number,
        "size_bytes": 2**53 - 1,
        "problems": problems,
        "source": {"state": ("UNKNOWN", "CHANGED", "GONE", "UNCHANGED")[number % 4], "changed_files": changed},
    }


def environment(marker: str, number: int) -> list[dict[str, str]]:
    return [{"name": f"NAME_{place}", "value": marker + text(place)} for place in range(number % 4)]


def event_data(marker: str, number: int) -> dict[str, Any]:
    return (
        {},
        {"name": marker + text(number), "files": number},
        {"codes": [f"{marker}A", None, 1.5, {"zz": True, "b": [[]], "aaa": 1e22}], "digest": None},
    )[number % 3]
