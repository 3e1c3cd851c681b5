"""What an EXPLAIN (ANALYZE, FORMAT JSON) tells: how much was read, and what was sorted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SORTS = frozenset({"Sort", "Incremental Sort"})


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """The plan as EXPLAIN's JSON has it."""

    root: dict[str, Any]

    def nodes(self) -> Iterator[dict[str, Any]]:
        """What was executed: a branch that no row came to is left out."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            if node["Actual Loops"]:
                yield node
                waiting += node.get("Plans", ())

    @property
    def scanned_tables(self) -> set[str]:
        """The tables that were read from one end to the other."""
        return {node["Relation Name"] for node in self.nodes() if node["Node Type"] == "Seq Scan"}

    @property
    def rows_read(self) -> int:
        """The most rows that one node of the plan looked at, whether it kept them or not."""
        return max(_rows_of(node) for node in self.nodes())

    @property
    def rows_sorted(self) -> int:
        """The most rows that had to be there before the first one of them was given."""
        sorted_by = [node["Plans"][0]["Actual Rows"] for node in self.nodes() if node["Node Type"] in SORTS]
        return round(max(sorted_by, default=0))


def _rows_of(node: dict[str, Any]) -> int:
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    in_a_loop = node["Actual Rows"] + sum(node.get(name, 0) for name in removed)
    return int(in_a_loop * node["Actual Loops"])
