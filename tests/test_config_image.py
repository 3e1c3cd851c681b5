"""config.json of a container image: where it is, how it is asked and how it says that it is well."""

import json

import pytest

from artifacts.config import Config, read_config
from artifacts.health_check import HealthCheck, HealthCheckMethod
from tests.configs import BASE, Document, packages, pointers, read, refused

IMAGE: Document = {"model_type": "Image", "model_algorithm": "x"}


class TestImages:
    def test_have_a_location_a_health_check_and_apis_of_their_own(self) -> None:
        reading = read(IMAGE | {
            "swr_location": "swr.example/group/image:1",
            "health": {"url": "/health", "protocol": "http", "initial_delay_seconds": "5", "timeout_seconds": 3},
            "apis": [{"url": "/predict", "method": "POST"}, {"url": "/predict", "method": "GET"}],
        })  # fmt: skip
        assert reading.problems == ()
        assert reading.config is not None
        assert reading.config.swr_location == "swr.example/group/image:1"
        assert reading.config.health_check == HealthCheck(
            HealthCheckMethod.HTTP, url="/health", initial_delay_seconds=5, timeout_seconds=3
        )
        assert [found.url for found in reading.config.apis] == ["/predict", "/predict"]

    @pytest.mark.parametrize(
        ("keys", "pointer"),
        [
            ({"runtime": "python3.6"}, "/runtime"),
            (packages({"package_name": "numpy"}), "/dependencies"),
            ({"health": {"url": "/h", "period_seconds": 0}}, "/health/period_seconds"),
            ({"health": {"url": "/h", "failure_threshold": "0"}}, "/health/failure_threshold"),
            ({"health": {"url": "/h", "initial_delay_seconds": 2**31}}, "/health/initial_delay_seconds"),
            ({"port": 0}, "/port"),
            ({"port": "80a"}, "/port"),
            ({"protocol": "ftp"}, "/protocol"),
            ({"swr_location": "https://swr.example/a/b:1"}, "/swr_location"),
            ({"health": {"url": "health"}}, "/health/url"),
            ({"health": {"check_method": "EXEC"}}, "/health"),
            ({"health": {"url": "/h", "timeout_seconds": "soon"}}, "/health/timeout_seconds"),
            ({"health": {"url": "/h", "timeout_seconds": -1}}, "/health/timeout_seconds"),
            ({"health": {"url": "/h", "protocol": "ftp"}}, "/health/protocol"),
            ({"apis": [{"url": "predict"}]}, "/apis/0/url"),
            ({"apis": [{"url": "/a?b=c"}]}, "/apis/0/url"),
            ({"apis": [{"url": "/../a"}]}, "/apis/0/url"),
            ({"apis": [{"url": "/a"}, {"url": "/a"}]}, "/apis/1"),
        ],
    )
    def test_have_rules_of_their_own(self, keys: Document, pointer: str) -> None:
        assert pointers(read(IMAGE | keys).problems) == [pointer]

    def test_have_the_usual_health_check_where_they_say_little_of_it(self) -> None:
        config = read(IMAGE | {"health": {}}).config
        assert config is not None
        assert config.health_check == HealthCheck(
            HealthCheckMethod.HTTP, url="/health", initial_delay_seconds=12, period_seconds=5, failure_threshold=12
        )
        config = read(IMAGE | {"health": {"check_method": "exec", "command": "ls /tmp", "period_seconds": "7"}}).config
        assert config is not None
        assert config.health_check == HealthCheck(HealthCheckMethod.EXEC, command="ls /tmp", period_seconds=7)

    def test_listen_where_they_say_or_at_8080(self) -> None:
        config = read(IMAGE | {"cmd": "sh /home/run.sh", "protocol": "HTTPS", "port": "8443", "apis": [{}]}).config
        assert config is not None
        assert (config.command, config.protocol, config.port) == ("sh /home/run.sh", "https", 8443)
        assert [found.protocol for found in config.apis] == ["https"]
        assert Config.from_json(config.to_json(), text=config.text) == config
        plain = read(IMAGE).config
        assert plain is not None
        assert (plain.command, plain.protocol, plain.port) == (None, "http", 8080)
        by_api = read(IMAGE | {"apis": [{"url": "/p", "protocol": "https"}]}).config
        assert by_api is not None
        assert by_api.protocol == "https"

    def test_lie_somewhere_where_only_a_config_lies_in_storage(self) -> None:
        assert read_config(json.dumps(IMAGE).encode(), file="config.json").problems == ()
        (problem,) = read_config(json.dumps(IMAGE).encode(), file="config.json", needs_image=True).problems
        assert problem.pointer == "/swr_location"
        placed = json.dumps(IMAGE | {"swr_location": "swr.example/a/b:1"}).encode()
        assert read_config(placed, file="config.json", needs_image=True).problems == ()

    def test_alone_have_a_command_and_a_port(self) -> None:
        reading = read(BASE | {"cmd": "x", "port": 8080, "protocol": "https"})
        assert reading.config is not None
        assert (reading.config.command, reading.config.port, reading.config.protocol) == (None, None, None)
        assert pointers(reading.warnings) == ["/cmd", "/protocol", "/port"]

    def test_alone_have_a_location_and_a_health_check(self) -> None:
        assert refused(swr_location="swr.example/a:1") == ["/swr_location"]
        reading = read(BASE | {"health": {"url": "/health"}})
        assert reading.config is not None
        assert reading.config.health_check is None
        assert pointers(reading.warnings) == ["/health"]
