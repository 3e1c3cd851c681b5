"""`apis` of config.json: rules, and the misspellings that are understood."""

import json

import pytest

from artifacts.api import Api
from artifacts.problem import ProblemCode
from tests.configs import BASE, PICTURE, Document, api, config_of, pointers, read, refused


class TestApis:
    @pytest.mark.parametrize(
        ("keys", "pointer"),
        [
            ({"apis": [{}, {}]}, "/apis"),
            ({"apis": ["POST /"]}, "/apis/0"),
            (api(url="/predict"), "/apis/0/url"),
            (api(url=1), "/apis/0/url"),
            (api(method="DELETE"), "/apis/0/method"),
            (api(protocol="ftp"), "/apis/0/protocol"),
            (api(request=[]), "/apis/0/request"),
            (api(request={"Content-type": "text/plain"}), "/apis/0/request/Content-type"),
            (api(response={"Content-type": "nonsense"}), "/apis/0/response/Content-type"),
            (api(request={"data": []}), "/apis/0/request/data"),
            (api(request={"data": "no schema"}), "/apis/0/request/data"),
            (api(request={"data": {"properties": []}}), "/apis/0/request/data/properties"),
            (api(request={"data": {"properties": {"a/b~": "files"}}}), "/apis/0/request/data/properties/a~1b~0"),
            (api(method=["POST"]), "/apis/0/method"),
            (api(url="/?a=b"), "/apis/0/url"),
            (api(request={"data": {"type": 1}}), "/apis/0/request/data/type"),
        ],
    )
    def test_have_a_form(self, keys: Document, pointer: str) -> None:
        assert refused(**keys) == [pointer]

    @pytest.mark.parametrize("engine", ["XGBoost", "Scikit_Learn", "Spark_MLlib"])
    @pytest.mark.parametrize("side", ["request", "response"])
    def test_of_machine_learning_speak_json_only(self, engine: str, side: str) -> None:
        keys = api(**{side: {"Content-type": "multipart/form-data"}})
        assert refused(model_type=engine, **keys) == [f"/apis/0/{side}/Content-type"]
        assert config_of(model_type=engine, **api(**{side: {"data": {}}})).apis

    def test_may_answer_with_any_media_type(self) -> None:
        assert config_of(**api(response={"Content-type": "image/png"})).apis[0].response_content_type == "image/png"

    @pytest.mark.parametrize(
        ("entry", "pointer"),
        [
            ({"procotol": "https"}, "/apis/0/procotol"),
            ({"protocal": "https"}, "/apis/0/protocal"),
            ({"Protocol": "https"}, "/apis/0/Protocol"),
        ],
    )
    def test_misspelt_keys_are_understood(self, entry: Document, pointer: str) -> None:
        reading = read(BASE | api(**entry))
        assert reading.config is not None
        assert reading.config.apis[0].protocol == "https"
        assert [(warning.code, warning.pointer) for warning in reading.warnings] == [
            (ProblemCode.CONFIG_UNKNOWN_KEY, pointer)
        ]

    def test_a_misspelt_key_does_not_outdo_the_right_one(self) -> None:
        reading = read(BASE | api(procotol="https", protocol="http"))
        assert reading.config is not None
        assert reading.config.apis[0].protocol == "http"
        assert pointers(reading.warnings) == ["/apis/0/procotol"]

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("applicaton/json", "application/json"),
            ("multipart/from-data", "multipart/form-data"),
            ("application/json; charset=utf-8", "application/json"),
        ],
    )
    @pytest.mark.parametrize("side", ["request", "response"])
    def test_misspelt_content_types_are_understood(self, written: str, meant: str, side: str) -> None:
        reading = read(BASE | api(**{side: {"Content-type": written}}))
        assert reading.config is not None
        assert getattr(reading.config.apis[0], f"{side}_content_type") == meant
        assert [(warning.code, warning.pointer) for warning in reading.warnings] == [
            (ProblemCode.CONFIG_DOUBTFUL_VALUE, f"/apis/0/{side}/Content-type")
        ]

    def test_misspelt_schemas_are_understood(self) -> None:
        schema = {"type": "object", "properties": {
            "boxes": {"type": "list", "items": [{"type": "list", "item": {"type": "double"}}]},
            "type": {"type": "string"},
        }}  # fmt: skip
        reading = read(BASE | api(response={"data": schema}))
        assert reading.config is not None
        assert reading.config.apis[0].response_schema == {"type": "object", "properties": {
            "boxes": {"type": "array", "items": [{"type": "array", "items": {"type": "number"}}]},
            "type": {"type": "string"},
        }}  # fmt: skip
        assert len(reading.warnings) == 4

    def test_a_type_that_nobody_knows_is_kept_with_a_warning(self) -> None:
        reading = read(BASE | api(request={"data": {"properties": {"a": {"type": "quaternion"}, "b": {}}}}))
        assert reading.config is not None
        assert [(found.name, found.type) for found in reading.config.apis[0].inputs] == [
            ("a", "quaternion"),
            ("b", "any"),
        ]
        assert pointers(reading.warnings) == ["/apis/0/request/data/properties/a/type"]

    def test_a_schema_may_be_written_as_a_string(self) -> None:
        reading = read(BASE | api(request={"data": json.dumps(PICTURE)}))
        assert reading.config is not None
        assert reading.config.apis[0].request_schema == PICTURE
        assert pointers(reading.warnings) == ["/apis/0/request/data"]

    @pytest.mark.parametrize(("written", "type_name"), [("file", "file"), ("str", "string"), (None, "any")])
    def test_a_property_may_be_no_more_than_its_type(self, written: str | None, type_name: str) -> None:
        reading = read(BASE | api(request={"data": {"type": "object", "properties": {"images": written}}}))
        assert reading.config is not None
        assert [parameter.type for parameter in reading.config.apis[0].inputs] == [type_name]
        assert pointers(reading.warnings) == ["/apis/0/request/data/properties/images"]

    @pytest.mark.parametrize("entry", [
        {"url": "", "method": "", "protocol": "", "request": "", "response": ""}, {"url": " / ", "method": "POST"},
        {"request": None, "response": {"data": ""}}, {"request": {"Content-type": "", "data": None}},
    ])  # fmt: skip
    def test_what_is_empty_is_as_usual(self, entry: Document) -> None:
        (found,) = config_of(**api(**entry)).apis
        assert found == Api()

    @pytest.mark.parametrize("key", ["Content-Type", "content-type", "content_type", "ContentType"])
    def test_the_content_type_has_many_spellings(self, key: str) -> None:
        (found,) = config_of(**api(request={key: "multipart/form-data"})).apis
        assert found.request_content_type == "multipart/form-data"

    def test_long_names_and_descriptions_are_warned_of(self) -> None:
        properties = {
            "n" * 64: {"type": "int", "description": "d" * 100},
            "m" * 65: {"type": "int", "description": "d" * 101},
        }
        reading = read(BASE | api(request={"data": {"type": "object", "properties": properties}}))
        assert reading.config is not None
        place = f"/apis/0/request/data/properties/{'m' * 65}"
        assert pointers(reading.warnings) == [place, f"{place}/description"]

    def test_the_names_of_the_rest_interface_are_understood(self) -> None:
        output = {"type": "object", "properties": {"label": {"type": "string"}}}
        reading = read(BASE | api(url="/", input_params=PICTURE, output_params=output))
        assert reading.config is not None
        (found,) = reading.config.apis
        assert (found.request_schema, found.response_schema) == (PICTURE, output)
        assert pointers(reading.warnings) == ["/apis/0/input_params", "/apis/0/output_params"]

    def test_a_response_inside_the_request_is_understood(self) -> None:
        reading = read(
            BASE | api(request={"data": PICTURE, "response": {"data": {"properties": {"a": {"type": "int"}}}}})
        )
        assert reading.config is not None
        (found,) = reading.config.apis
        assert [parameter.name for parameter in (*found.inputs, *found.outputs)] == ["images", "a"]
        assert pointers(reading.warnings) == ["/apis/0/request/response"]
