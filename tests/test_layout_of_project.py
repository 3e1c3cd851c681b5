"""Our top-level names are our own: no installed distribution brings a module that has one of them."""

from importlib.metadata import packages_distributions
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
NAMES = ("artifacts", "bench", "db", "edge", "engines", "gql", "resolvers", "runtime", "server", "tests")


def test_no_installed_distribution_claims_one_of_our_names() -> None:
    assert set(NAMES).isdisjoint(packages_distributions())


def test_every_package_of_ours_is_held_to_that() -> None:
    packages = {path.parent.name for path in CHECKOUT.glob("*/*.py")}
    assert packages <= set(NAMES)
