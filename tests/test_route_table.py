"""The routes in memory: what they hold of what was read."""

from dataclasses import replace
from random import Random

from server.route import Instance
from server.route_table import RouteTable
from tests.routes import THEIRS, Routes, service, target


def table_of(routes: Routes, **options: float) -> RouteTable:
    return RouteTable(routes, random=Random(7), on_swap=lambda _: None, **options)


async def test_a_table_too_old_is_not_believed() -> None:
    routes = Routes()
    routes.put(service("svc_one", targets=[target("ver_1", 100, Instance("ins_a", "unix:/a"))]))
    table = table_of(routes, oldest_seconds=0.0)
    await table.refresh()
    assert table.known("svc_one") is None
    routes.stored.clear()
    assert await table.find("svc_one") is None
    table.close()


async def test_an_address_claimed_by_two_workspaces_is_used_for_neither() -> None:
    routes = Routes()
    shared, own = Instance("ins_a", "http://host:1"), Instance("ins_b", "http://host:2")
    routes.put(service("svc_one", targets=[target("ver_1", 100, shared, own)]))
    routes.put(service("svc_two", workspace=THEIRS, targets=[target("ver_2", 100, replace(shared, id="ins_c"))]))
    table = table_of(routes)
    await table.refresh()
    entries = [table.known(service_id) for service_id in ("svc_one", "svc_two")]
    reached = [[link.instance_id for choice in entry.choices for link in choice.links] for entry in entries if entry]
    assert reached == [["ins_b"], []]
    table.close()


async def test_a_fresh_route_takes_its_addresses_from_a_stale_one() -> None:
    routes = Routes()
    routes.put(service("svc_one", targets=[target("ver_1", 100, Instance("ins_a", "http://host:1"))]))
    table = table_of(routes)
    await table.refresh()
    routes.stored.clear()
    reused = Instance("ins_b", "http://host:1")
    routes.put(service("svc_two", workspace=THEIRS, targets=[target("ver_2", 100, reused)]))
    entry = await table.find("svc_two")
    assert entry is not None
    assert [link.instance_id for link in entry.choices[0].links] == ["ins_b"]
    assert table.known("svc_one") is None
    table.close()
