"""customize_service.py is read and never run: what is no Python is refused, what fits badly is doubted."""

from pathlib import Path

import pytest

from artifacts.ai_engine import AiEngine
from artifacts.inference_code import BASE_CLASSES, SIZE_LIMIT_BYTES, BaseClass, check_inference_code
from artifacts.problem import Findings, ProblemCode

GOOD = """import re
from model_service.pytorch_model_service import PTServingBaseService as Base

PATTERN = re.compile("\\d")  # an escape that Python itself warns of


class Common(Base):
    pass


class Service(Common):
    def _preprocess(self, data):
        return data
"""


def check(source: str | bytes, engine: AiEngine = AiEngine.PYTORCH) -> Findings:
    data = source.encode() if isinstance(source, str) else source
    return check_inference_code(data, file="customize_service.py", ai_engine=engine)


def service(import_line: str, base: str) -> str:
    return f"{import_line}\n\n\nclass Service({base}):\n    pass\n"


def warnings(source: str | bytes, engine: AiEngine = AiEngine.PYTORCH) -> list[str]:
    findings = check(source, engine)
    assert findings.problems == []
    assert {warning.code for warning in findings.warnings} <= {ProblemCode.INFERENCE_CODE_DOUBTFUL}
    return [warning.message for warning in findings.warnings]


class TestPython:
    def test_that_is_good_needs_no_word(self) -> None:
        assert check(GOOD) == Findings()

    def test_is_never_run(self, tmp_path: Path) -> None:
        witness = tmp_path / "witness"
        check(f"open({str(witness)!r}, 'w').close()\n" + GOOD)
        assert not witness.exists()

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("def f(:\n    pass\n", "line 1, column 7"),
            ("a = 1\n\nclass\n", "line 3"),
            ("if True:\n\ta\n        b\n", "line 3"),
            (b"a = 1\x00\n", ""),
            (b"# \xd6\xd0\n", "line 1"),
            (b"a\nb\nc\n# \xd6\xd0\n", "not text in utf-8 at line 4"),
            ("print('a'\n", "line 1"),
        ],
    )
    def test_that_is_none_is_refused_with_its_place(self, source: str | bytes, message: str) -> None:
        (problem,) = check(source).problems
        assert problem.code is ProblemCode.INFERENCE_CODE_INVALID
        assert message in problem.message
        assert f"{problem.message}{problem.actual}".encode()
        assert "\x00" not in f"{problem.message}{problem.actual}"

    @pytest.mark.parametrize(
        ("line", "number"),
        [
            ("print 'loaded'", 2),
            ("exec 'a = 1'", 2),
            ("a = `b`", 2),
            ("raise ValueError, 'bad'", 2),
            ("if a <> b: pass", 2),
            ("a = 0777", 2),
            ("a = 10L", 2),
            ("try:\n    a\nexcept ValueError, error:\n    pass", 4),
        ],
    )
    def test_2_is_only_doubted(self, line: str, number: int) -> None:
        assert warnings(f"import os\n{line}\n") == [
            f"customize_service.py is written for Python 2 (line {number}) and will not run here."
        ]

    @pytest.mark.parametrize("encoding", ["gbk", "utf-8", "utf-8-sig"])
    def test_may_say_its_encoding(self, encoding: str) -> None:
        cookie = f"# -*- coding: {encoding.removesuffix('-sig')} -*-\n# 服务\n"
        assert warnings((cookie + GOOD).encode(encoding)) == []

    def test_that_is_hostile_harms_nobody(self) -> None:
        assert check("(" * 100_000).problems
        assert warnings("-" * 100_000 + "1") == ["customize_service.py is nested too deeply to be read."]
        chain = "".join(f"class C{number}(C{number - 1}): pass\n" for number in range(1, 4_000))
        assert warnings(f"class C0(SingleNodeService): pass\n{chain}") == []

    def test_that_is_too_long_to_be_parsed_in_a_moment_is_not_looked_at(self) -> None:
        assert SIZE_LIMIT_BYTES == 128 * 1024
        assert warnings(GOOD + "#" * (SIZE_LIMIT_BYTES - len(GOOD))) == []
        (warning,) = warnings(GOOD + "#" * (SIZE_LIMIT_BYTES - len(GOOD) + 1))
        assert warning == f"customize_service.py is larger than {SIZE_LIMIT_BYTES} bytes and was not looked at."

    def test_with_very_many_services_names_a_few(self) -> None:
        head = "from model_service.pytorch_model_service import PTServingBaseService as B\n"
        (warning,) = warnings(head + "".join(f"class S{number:04}(B): pass\n" for number in range(3000)))
        assert len(warning) < 200
        assert "S0000, S0001" in warning


class TestService:
    @pytest.mark.parametrize("base", [base for base in BASE_CLASSES if base.engines], ids=lambda base: base.name)
    def test_has_the_base_class_of_its_engine(self, base: BaseClass) -> None:
        source = service(f"from {base.module} import {base.name}", base.name)
        for engine in base.engines:
            assert warnings(source, engine) == []
        (message,) = warnings(source, AiEngine.MINDSPORE)
        assert message == f"Service derives from {base.name}, which is not for MindSpore models."

    @pytest.mark.parametrize("engine", AiEngine)
    def test_may_have_the_base_class_of_all(self, engine: AiEngine) -> None:
        source = service("from model_service.model_service import SingleNodeService", "SingleNodeService")
        assert warnings(source, engine) == []

    @pytest.mark.parametrize(
        ("import_line", "base"),
        [
            ("import model_service.pytorch_model_service as module", "module.PTServingBaseService"),
            ("from model_service import pytorch_model_service", "pytorch_model_service.PTServingBaseService"),
            ("from model_service.pytorch_model_service import *", "PTServingBaseService"),
        ],
    )
    def test_may_import_it_in_any_way(self, import_line: str, base: str) -> None:
        assert warnings(service(import_line, base)) == []

    def test_is_told_what_to_derive_from(self) -> None:
        source = service("from model_service.tfserving_model_service import TfServingBaseService as B", "B")
        (warning,) = check(source).warnings
        assert warning.expected == "PTServingBaseService or SingleNodeService"
        assert warning.actual == "TfServingBaseService"

    @pytest.mark.parametrize("source", ["", "class Service:\n    pass\n", service("from torch import nn", "nn.Module")])
    def test_is_missed(self, source: str) -> None:
        assert warnings(source) == ["No class of customize_service.py derives from a base class of inference code."]
        assert warnings(source, AiEngine.CUSTOM) == []

    def test_may_come_from_a_sibling(self) -> None:
        assert warnings("from .service import Service\n") == []

    def test_is_there_once(self) -> None:
        second = "class Second(Base):\n    pass\n"
        assert warnings(GOOD + second) == ["customize_service.py defines several services: Second, Service."]

    def test_is_imported_from_where_it_is(self) -> None:
        source = service("from model_service.model_service import PTServingBaseService", "PTServingBaseService")
        (warning,) = check(source).warnings
        assert warning.expected == "from model_service.pytorch_model_service import PTServingBaseService"
