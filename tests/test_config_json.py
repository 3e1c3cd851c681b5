"""config.json as JSON: strict, exact about where it breaks, and never in trouble, whatever the bytes are."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.ai_engine import AiEngine
from artifacts.config import Metrics, read_config
from artifacts.problem import FINDING_LIMIT, ProblemCode
from tests.configs import BASE, Document, pointers, read, read_text

KEYS = st.sampled_from([
    "model_type", "model_algorithm", "runtime", "swr_location", "metrics", "f1", "apis", "url", "method", "procotol",
    "request", "response", "Content-type", "data", "type", "properties", "items", "item", "required", "dependencies",
    "installer", "packages", "package_name", "package_version", "restraint", "health", "check_method", "a\ud800",
])  # fmt: skip


class TestJson:
    @pytest.mark.parametrize(
        ("text", "line", "column", "hint"),
        [
            ('{"a": 1}//,\n', 1, 9, "// comment"),
            ('{\n  // why\n "a": 1}', 2, 3, "// comment"),
            ('{"a": 1 /* b */}', 1, 9, "/* comment"),
            ('{\n"a": 1, # b\n}', 2, 9, "# comment"),
            ('{"a": 1,\n}', 1, 8, "comma too many"),
            ('{"a": [1, 2,]}', 1, 12, "comma too many"),
            ('{"a": [1,,2]}', 1, 10, "comma too many"),
            ("{'a': 1}", 1, 2, "single quote"),
            ('{"a": True}', 1, 7, "JSON writes true"),
            ('{"a": None}', 1, 7, "JSON writes null"),
            ('{"a": 1 "b": 2}', 1, 9, "missing comma"),
            ('{"a": 1', 1, 8, "ends too early"),
            ("", 1, 1, "empty"),
            ('{"a": NaN}', 1, 7, "NaN is no number"),
            ('{"NaN": "NaN", "a": -Infinity}', 1, 21, "no number"),
            ('{"a": 1e999}', 1, 7, "no number"),
            ('{"a": ' + "9" * 5000 + "}", 1, 7, "at most 18 digits"),
            ('{"a": "b\nc"}', 1, 9, "line break"),
            ('{"a": "C:\\data"}', 1, 10, "backslash"),
            ('{"a": "b"} }', 1, 12, "complete before this"),
            ("{a: 1}", 1, 2, "without quotes"),
            ('{"a"：1}', 1, 5, "JSON writes :"),
            ('{"a": “b”}', 1, 7, 'JSON writes "'),
            ('{\u00a0"a": 1}', 1, 2, "U+00A0"),
            ('{\r\n "a": 1,\r\n}', 2, 8, "comma too many"),
        ],
    )
    def test_what_is_none_is_refused_with_its_place(self, text: str, line: int, column: int, hint: str) -> None:
        reading = read_text(text)
        assert reading.config is None
        (problem,) = reading.problems
        assert problem.code is ProblemCode.CONFIG_NOT_JSON
        assert problem.message == f"config.json is not valid JSON at line {line}, column {column}."
        assert problem.hint is not None
        assert hint in problem.hint

    def test_keys_given_twice_are_warned_of(self) -> None:
        text = '{"model_type": "Caffe", "model_algorithm": "a", "model_type": "PyTorch", "metrics": {"f1": 0, "f1": 1}}'
        reading = read_text(text)
        assert reading.config is not None
        assert (reading.config.ai_engine, reading.config.metrics) == (AiEngine.PYTORCH, Metrics(f1=1))
        assert pointers(reading.warnings) == ["/model_type", "/metrics/f1"]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_utf_8_is_read(self, encoding: str) -> None:
        text = json.dumps(BASE | {"runtime": "环境"}, ensure_ascii=False)
        reading = read_config(text.encode(encoding), file="config.json")
        assert reading.config is not None
        assert (reading.config.text, reading.warnings) == (text, ())

    @pytest.mark.parametrize(
        ("encoding", "name"),
        [
            ("gbk", "GBK"),
            ("gb18030", "GBK"),
            ("utf-16", "UTF-16"),
            ("utf-16-le", "UTF-16"),
            ("utf-16-be", "UTF-16"),
            ("utf-32", "UTF-32"),
        ],
    )
    def test_other_encodings_are_read_with_a_warning(self, encoding: str, name: str) -> None:
        text = json.dumps(BASE | {"runtime": "环境"}, ensure_ascii=False)
        reading = read_config(text.encode(encoding), file="config.json")
        assert reading.config is not None
        assert reading.config.runtime == "环境"
        assert [warning.message for warning in reading.warnings] == [f"config.json is written in {name}."]

    def test_what_is_no_text_is_refused(self) -> None:
        reading = read_config(b"\xff\xff\x80\x04", file="config.json")
        assert [problem.code for problem in reading.problems] == [ProblemCode.CONFIG_NOT_JSON]

    @pytest.mark.parametrize("text", ['{"a": "\\u0000"}', '{"\\ud800": 1}'])
    def test_what_cannot_be_stored_is_refused(self, text: str) -> None:
        problems = read_text(text).problems
        assert any("cannot be stored" in problem.message for problem in problems)
        assert all("\x00" not in str(problem) and str(problem).encode() for problem in problems)

    @pytest.mark.parametrize("depth", [80, 990, 100_000])
    @pytest.mark.parametrize("bracket", ["[", '{"a":'])
    def test_deep_nesting_is_refused(self, depth: int, bracket: str) -> None:
        closing = "]" if bracket == "[" else "}"
        text = bracket * depth + "1" + closing * depth
        assert len(read_text(text).problems) == 1
        in_place = '{"model_type": "PyTorch", "model_algorithm": "a", "x": ' + text + "}"
        assert [problem.code for problem in read_text(in_place).problems] == [ProblemCode.CONFIG_INVALID]

    def test_a_giant_is_refused(self) -> None:
        reading = read_config(b" " * (1024 * 1024 + 1), file="config.json")
        assert [problem.code for problem in reading.problems] == [ProblemCode.FILE_TOO_LARGE]

    @pytest.mark.parametrize(
        "document",
        [
            {str(number): 0 for number in range(50_000)},
            {"x" * 300_000: [{"y": 1}] * 5000},
            {"apis": [{"m": 1}] * 20_000},
            {"dependencies": [{"packages": [{}] * 500}] * 100},
            {"apis": [{"request": {"data": {"properties": {str(key): 1 for key in range(50_000)}}}}]},
        ],
    )
    def test_a_million_faults_are_not_all_told(self, document: Document) -> None:
        reading = read(BASE | document)
        assert len(reading.problems) <= FINDING_LIMIT
        assert len(reading.warnings) <= FINDING_LIMIT
        assert sum(len(problem.message) for problem in (*reading.problems, *reading.warnings)) < 400_000

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_no_bytes_raise(self, data: bytes) -> None:
        assert read_config(data, file="config.json").config is None

    @settings(deadline=None)
    @given(st.data())
    def test_no_values_raise(self, data: st.DataObject) -> None:
        value = st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
            max_leaves=20,
        )
        reading = read({key: data.draw(value) for key in data.draw(st.sets(KEYS))})
        assert (reading.config is None) == bool(reading.problems)
        assert str(reading).encode()
