"""What a node tells of an instance that does not come up: a sentence, and all that it printed in the service's logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.api import Api, RunningServer, wait_for
from tests.edge_nodes import agent, deploy_edge, edge_service, on_node, register
from tests.services import LOGS, import_version, package


async def is_logged(api: Api, line: str) -> bool:
    found: Mapping[str, Any] = await api.service("edge", LOGS)
    return any(line in each["text"] for each in found["logs"]["nodes"])


@pytest.mark.parametrize(
    ("code", "reason", "printed"),
    [
        (
            {"constructor": "raise ValueError('no such table')"},
            "Service could not be constructed: ValueError: no such table. What it printed is in the service's logs.",
            "Traceback (most recent call last):",
        ),
        (
            {"constructor": "print('loading', flush=True)\nprint('out of room', flush=True)\nos._exit(9)"},
            "The process ended with exit code 9. Its last line is: out of room (the others are in the service's logs).",
            "loading",
        ),
    ],
    ids=["an exception", "an exit"],
)
async def test_the_reason_is_a_sentence_and_the_lines_are_in_the_logs(
    code: dict[str, str],
    reason: str,
    printed: str,
    server: RunningServer,
    api: Api,
    tmp_path: Path,
    environments: Path,
) -> None:
    version = await import_version(api, package("return 1", **code))
    async with agent(api, await register(api, "gate"), tmp_path, environments):
        await deploy_edge(api, "edge", version, "gate")
        failed = await on_node(api, "edge", "gate", "FAILED")
        assert failed["reason"] == reason
        await wait_for(lambda: is_logged(api, printed))
        assert reason in (await edge_service(api, "edge"))["statusMessage"]
