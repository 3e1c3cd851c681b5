"""What docs/reading.md tells contributors to write: its SQL fits the database, and its Python calls what there is."""

import ast
import re

import pytest

from db import reading
from db.connection import Pool
from gql import filter as filters
from gql import mapping, stored_field
from server.settings import CHECKOUT

GUIDE = (CHECKOUT / "docs" / "reading.md").read_text("utf-8")
DECLARING = {*vars(stored_field), *vars(filters), *vars(mapping), *vars(reading)}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


async def test_its_migrations_can_be_applied(pool: Pool) -> None:
    for block in blocks("sql"):
        await pool.execute(block)


@pytest.mark.parametrize("block", blocks("python"))
def test_its_code_declares_with_what_there_is(block: str) -> None:
    calls = [node.func for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    assert {call.id for call in calls if isinstance(call, ast.Name)} <= DECLARING
