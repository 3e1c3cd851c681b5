"""What a started server tells whoever started it."""

from gql.identifier import Prefix
from server.app import GRAPHQL_PATH
from server.build import public_url
from server.prediction_front import PREDICTIONS_PATH
from server.settings import Placement, Settings


def print_banner(settings: Settings, token: str | None) -> None:
    """`token` is the one made for this installation; one that was set is not repeated."""
    url = public_url(settings)
    lines = [
        ("GraphQL", f"{url}{GRAPHQL_PATH}"),
        ("Predictions", f"{url}{PREDICTIONS_PATH}/{Prefix.SERVICE}_…"),
        ("Data", str(settings.data_dir)),
        ("Token", token or "the one that MODELYARD_TOKEN holds"),
    ]
    if token:
        lines.insert(1, ("GraphiQL", f"{url}{GRAPHQL_PATH}#token={token}"))
    if settings.gateway is Placement.NONE:
        lines = [line for line in lines if line[0] != "Predictions"]
    print("Modelyard is ready.", *(f"  {name + ':':<13}{value}" for name, value in lines), sep="\n", flush=True)
