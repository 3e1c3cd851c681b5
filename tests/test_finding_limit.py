"""However many files something is to be said of, a version keeps and shows a bounded number of findings."""

from typing import Any

import pytest

from artifacts.problem import FINDING_LIMIT
from resolvers.finding_limit import first_findings
from tests.api import Api
from tests.packages import MXNET, import_package, mxnet_package, upload_job

PACKED = {**mxnet_package(), **{f"model/{number:03}.7z": b"7z\xbc\xaf\x27\x1c" + bytes(40) for number in range(150)}}
LEFT_OUT = "… and 51 more like it."
PREVIEW = """query ($input: ImportModelInput!) { previewImport(input: $input) {
    isImportable problems { code message } warnings { code message } } }"""


@pytest.mark.parametrize("count", [0, 1, FINDING_LIMIT])
def test_what_fits_is_kept_as_it_is(count: int) -> None:
    rows: list[dict[str, object]] = [{"code": "A", "message": str(number)} for number in range(count)]
    assert first_findings(rows) == rows


async def test_a_version_keeps_a_hundred_warnings_and_says_how_many_there_are_more(api: Api) -> None:
    version = await import_package(api, PACKED)
    assert version["status"] == "NORMAL"
    warnings = version["warnings"]
    assert len(warnings) == FINDING_LIMIT
    assert (warnings[-1]["code"], warnings[-2]["code"]) == ("NOT_SCANNED", "NOT_SCANNED")
    more = len(PACKED) - len(mxnet_package()) + others(warnings) - (FINDING_LIMIT - 1)
    assert warnings[-1]["message"] == f"… and {more} more like it."
    stored = await api.pool.fetchval("SELECT warnings FROM model_version")
    assert len(stored) == FINDING_LIMIT


def others(findings: list[dict[str, Any]]) -> int:
    return sum(finding["code"] != "NOT_SCANNED" for finding in findings)


async def test_a_refused_version_keeps_a_hundred_problems_and_a_preview_shows_as_many(api: Api) -> None:
    payload = await api.mutate("updateWorkspace", "workspace { name }", scanPolicy={"notScanned": "BLOCK"})
    assert payload["errors"] == []
    job = await upload_job(api, PACKED, algorithm=MXNET)
    source = {"trainingJob": {"trainingJobName": "iris", "versionName": job}}
    shown = (await api.ask(PREVIEW, input={"name": "iris", "source": source}))["previewImport"]
    assert not shown["isImportable"]
    await api.import_version("iris", job)
    failed = await api.imported("iris", "0.0.1")
    assert failed["status"] == "IMPORT_FAILED"
    for problems in (shown["problems"], failed["problems"]):
        assert len(problems) == FINDING_LIMIT
        assert (problems[-1]["code"], problems[-1]["message"]) == ("NOT_SCANNED", LEFT_OUT)
