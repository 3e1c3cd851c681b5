"""Settings: read from variables, refused in one line each, every one documented."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gql.limits import Limits
from server.app import limits_of
from server.settings import CHECKOUT, InvalidSettings, Settings, load_settings, unknown_variables, variable_of

DOCUMENT = CHECKOUT / "docs" / "settings.md"
# Each bound on a GraphQL operation and its setting. How many errors are told is nobody's to choose.
LIMITS = {field.name: f"max_query_{field.name}" for field in dataclasses.fields(Limits)} | {
    "source_characters": "max_query_characters",
    "execution_seconds": "max_query_seconds",
    "introspection": "introspection",
}
del LIMITS["validation_errors"]


def load(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable_of(name), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def table() -> str:
    """The table of docs/settings.md, as the fields have it."""
    rows = [
        f"| `{variable_of(name)}` | {shown_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])


def shown_default(default: object) -> str:
    if isinstance(default, Path):
        return f"`{default.relative_to(CHECKOUT)}` in the checkout"
    if isinstance(default, bool):
        return "`true`" if default else "`false`"
    return "" if default in (None, ()) else f"`{default}`"


def test_every_setting_is_documented() -> None:
    assert table() in DOCUMENT.read_text(), f"docs/settings.md must hold this table:\n{table()}"


def test_the_defaults_are_a_server_for_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {})
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, CHECKOUT / ".modelyard")
    assert settings.token is settings.database_url is settings.object_store_url is None


def test_variables_set_what_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        {
            "MODELYARD_PORT": "8123",
            "MODELYARD_DATA_DIR": "relative",
            "MODELYARD_CORS_ORIGINS": "https://a.example, https://b.example",
            "MODELYARD_PUBLIC_URL": "https://models.example/",
            "MODELYARD_TRUSTED_PROXIES": "",
            "DATABASE_URL": "postgresql://user:hidden@host/database",
            "ENGINE_URL": "local",
        },
    )
    assert settings.port == 8123
    assert settings.data_dir == Path.cwd() / "relative"
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.public_url == "https://models.example"
    assert settings.trusted_proxies == ()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://user:hidden@host/database"


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch, {"MODELYARD_TOKEN": "hidden-hidden-hidden", "DATABASE_URL": "postgresql://u:hidden@h/d"}
    )
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MODELYARD_PORT", "http", "valid integer"),
        ("MODELYARD_PORT", "70000", "65535"),
        ("MODELYARD_ISOLATION", "hidden", "'bubblewrap'"),
        ("MODELYARD_PUBLIC_URL", "hidden.example", "http or https"),
        ("MODELYARD_CORS_ORIGINS", "https://a.example/hidden", "scheme and host"),
        ("MODELYARD_TRUSTED_PROXIES", "10.0.0.0/8 hidden", "address or network"),
        ("DATABASE_URL", "mysql://user:hidden@host/database", "postgresql://"),
        ("OBJECT_STORE_URL", "ftp://hidden", "s3:// or file://"),
    ],
)
def test_a_bad_value_is_told_in_one_line_that_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(monkeypatch, {variable: value})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{variable} is not valid: ")
    assert said in line
    assert "hidden" not in line


def test_every_bad_value_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(monkeypatch, {"MODELYARD_PORT": "x", "DATABASE_URL": "x", "MODELYARD_WORKER": "x"})
    assert len(str(caught.value).splitlines()) == 3


def test_a_misspelt_variable_is_noticed() -> None:
    environment = {"MODELYARD_PROT": "1", "MODELYARD_PORT": "1", "MODELYARD_QUITE_ANOTHER": "1", "PROT": "1"}
    assert unknown_variables(environment) == [
        "MODELYARD_PROT is not a setting; did you mean MODELYARD_PORT?",
        "MODELYARD_QUITE_ANOTHER is not a setting.",
    ]


def test_the_limits_of_an_operation_are_the_defaults_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits_of(load(monkeypatch, {})) == Limits()


@pytest.mark.parametrize(("limit", "setting"), LIMITS.items())
def test_each_limit_of_an_operation_is_a_setting(monkeypatch: pytest.MonkeyPatch, limit: str, setting: str) -> None:
    value: Any = False if limit == "introspection" else 3
    changed = limits_of(load(monkeypatch, {variable_of(setting): str(value)}))
    assert changed == dataclasses.replace(Limits(), **{limit: value})


@pytest.mark.parametrize(
    "setting", ["max_query_depth", "max_running_queries", "reading_pool_size", "max_query_seconds"]
)
def test_a_limit_that_would_let_nothing_through_is_refused(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    with pytest.raises(InvalidSettings, match=variable_of(setting)):
        load(monkeypatch, {variable_of(setting): "0"})
