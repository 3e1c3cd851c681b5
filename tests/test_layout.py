"""Which files a package has to have, engine by engine, and which it may not have."""

from collections.abc import Sequence
from typing import ClassVar

import pytest

from artifacts.ai_engine import AiEngine
from artifacts.config_use import ConfigUse
from artifacts.layout import LayoutReading, check_layout, check_wheels
from artifacts.package_file import PackageFile
from artifacts.problem import FINDING_LIMIT, Problem, ProblemCode

CODE = "customize_service.py"
CONFIG = "config.json"
SAVED_MODEL = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]


def check(
    paths: Sequence[str],
    engine: AiEngine | None,
    *,
    needs_code: bool | None = None,
    config_use: ConfigUse = ConfigUse.REQUIRED,
    is_strict: bool = False,
    sizes: dict[str, int] | None = None,
) -> LayoutReading:
    files = [PackageFile(path, (sizes or {}).get(path, 10)) for path in paths]
    return check_layout(
        files,
        ai_engine=engine,
        needs_code=needs_code,
        file_size_limit_bytes=100,
        config_use=config_use,
        is_strict=is_strict,
    )


def codes(problems: Sequence[Problem]) -> list[ProblemCode]:
    return [problem.code for problem in problems]


class TestEngines:
    @pytest.mark.parametrize(
        ("engine", "paths", "model_files", "model_path"),
        [
            (AiEngine.SCIKIT_LEARN, ["model.m"], ["model.m"], "model.m"),
            (AiEngine.SCIKIT_LEARN, ["model.joblib"], ["model.joblib"], "model.joblib"),
            (AiEngine.SCIKIT_LEARN, ["Model.PKL"], ["Model.PKL"], "Model.PKL"),
            (AiEngine.SCIKIT_LEARN, ["model.m", "scaler.pkl"], ["model.m"], "model.m"),
            (AiEngine.SCIKIT_LEARN, ["a.pkl", "parts/b.pkl"], ["a.pkl"], "a.pkl"),
            (AiEngine.XGBOOST, ["iris.m"], ["iris.m"], "iris.m"),
            (AiEngine.XGBOOST, ["booster.ubj", "labels.json"], ["booster.ubj"], "booster.ubj"),
            (AiEngine.XGBOOST, ["model.json", "labels.json"], ["model.json"], "model.json"),
            (AiEngine.XGBOOST, ["booster.json"], ["booster.json"], "booster.json"),
            (AiEngine.PYTORCH, ["net.pth", CODE], ["net.pth"], "net.pth"),
            (AiEngine.PYTORCH, ["net.pt", CODE], ["net.pt"], "net.pt"),
            (AiEngine.SCIKIT_LEARN, ["model.pkl", "scaler.pkl"], ["model.pkl"], "model.pkl"),
            (AiEngine.SCIKIT_LEARN, ["final.sav"], ["final.sav"], "final.sav"),
            (AiEngine.XGBOOST, ["a.bst"], ["a.bst"], "a.bst"),
            (AiEngine.TENSORFLOW, SAVED_MODEL, SAVED_MODEL, ""),
            (AiEngine.TENSORFLOW, [*SAVED_MODEL, "frozen.pb", "assets/words.txt", "data/rows.h5", "fingerprint.pb"],
             SAVED_MODEL, ""),
            (AiEngine.TENSORFLOW, [*SAVED_MODEL, "1/saved_model.pb"], SAVED_MODEL, ""),
            (AiEngine.ONNX, ["net.onnx"], ["net.onnx"], "net.onnx"),
            (AiEngine.ONNX, ["net.onnx", "net.onnx.data", "weights.bin"], ["net.onnx"], "net.onnx"),
            (AiEngine.ONNX, ["model.onnx", "tokenizer.onnx"], ["model.onnx"], "model.onnx"),
            (AiEngine.MINDSPORE, ["net.mindir", "net.ckpt", CODE], ["net.mindir"], "net.mindir"),
            (AiEngine.MINDSPORE, ["net.ckpt", CODE], ["net.ckpt"], "net.ckpt"),
            (AiEngine.MINDSPORE, ["model.om", CODE], ["model.om"], "model.om"),
            (AiEngine.MXNET, ["r-symbol.json", "r-0000.params"], ["r-symbol.json", "r-0000.params"], ""),
            (AiEngine.CAFFE, ["deploy.prototxt", "train.prototxt", "n.caffemodel", CODE],
             ["deploy.prototxt", "n.caffemodel"], ""),
            (AiEngine.SPARK_MLLIB, ["spark_model/data/part-0"], ["spark_model/data/part-0"], "spark_model"),
            (AiEngine.IMAGE, [], [], ""),
            (AiEngine.CUSTOM, ["whatever.bin"], [], ""),
        ],
    )  # fmt: skip
    def test_have_their_files(
        self, engine: AiEngine, paths: list[str], model_files: list[str], model_path: str
    ) -> None:
        reading = check([CONFIG, *paths], engine)
        assert reading.problems == ()
        assert reading.model_files == tuple(model_files)
        assert reading.model_path == model_path
        assert reading.inference_code == (CODE if CODE in paths else None)

    @pytest.mark.parametrize(
        "engine", [engine for engine in AiEngine if engine not in (AiEngine.IMAGE, AiEngine.CUSTOM)]
    )
    def test_miss_them(self, engine: AiEngine) -> None:
        reading = check([CONFIG, CODE, "readme.txt"], engine)
        assert set(codes(reading.problems)) == {ProblemCode.MODEL_FILE_MISSING}
        assert all(problem.expected for problem in reading.problems)
        assert reading.model_path in ("", "spark_model")

    def test_say_where_the_file_was_found_instead(self) -> None:
        (problem,) = check([CONFIG, CODE, "weights/net.pth"], AiEngine.PYTORCH).problems
        assert problem.hint == "It was found at model/weights/net.pth; move it directly into model/."

    @pytest.mark.parametrize(
        ("engine", "paths"),
        [
            (AiEngine.SCIKIT_LEARN, ["a.m", "b.m"]),
            (AiEngine.SCIKIT_LEARN, ["a.pkl", "b.pickle"]),
            (AiEngine.PYTORCH, ["a.pth", "b.pth"]),
            (AiEngine.MXNET, ["a-symbol.json", "a-0000.params", "a-0010.params"]),
            (AiEngine.CAFFE, ["a.prototxt", "b.prototxt", "n.caffemodel"]),
        ],
    )
    def test_take_one_model(self, engine: AiEngine, paths: list[str]) -> None:
        (problem,) = check([CONFIG, CODE, *paths], engine).problems
        assert problem.code is ProblemCode.MODEL_FILE_NOT_UNIQUE
        assert problem.hint is not None
        assert problem.actual is not None

    def test_say_whose_files_they_are_instead(self) -> None:
        (problem,) = check([CONFIG, "net.onnx"], AiEngine.SCIKIT_LEARN).problems
        assert problem.hint == "The files are those of the engine ONNX; is model_type in config.json right?"

    def test_serve_a_saved_model_from_its_version_folder_with_a_warning(self) -> None:
        reading = check([CONFIG, *(f"3/{path}" for path in SAVED_MODEL)], AiEngine.TENSORFLOW)
        assert reading.problems == ()
        assert reading.model_path == "3"
        assert reading.model_files == tuple(f"3/{path}" for path in SAVED_MODEL)
        assert [(warning.code, warning.actual) for warning in reading.warnings] == [
            (ProblemCode.MODEL_FILE_MISPLACED, "3/saved_model.pb")
        ]

    @pytest.mark.parametrize("folders", [["1", "2"], ["export"], ["1/2"]])
    def test_do_not_guess_among_folders(self, folders: list[str]) -> None:
        reading = check([CONFIG, *(f"{name}/{path}" for name in folders for path in SAVED_MODEL)], AiEngine.TENSORFLOW)
        assert set(codes(reading.problems)) == {ProblemCode.MODEL_FILE_MISSING}
        assert reading.problems[0].hint == (
            f"It was found at model/{folders[0]}/saved_model.pb; move it directly into model/."
        )

    def test_miss_the_variables_of_a_version_folder_there(self) -> None:
        reading = check([CONFIG, "1/saved_model.pb"], AiEngine.TENSORFLOW)
        assert [problem.expected for problem in reading.problems] == [
            "1/variables/variables.index", "1/variables/variables.data-*",
        ]  # fmt: skip

    def test_take_no_empty_model(self) -> None:
        reading = check([CONFIG, "model.m"], AiEngine.SCIKIT_LEARN, sizes={"model.m": 0})
        assert codes(reading.problems) == [ProblemCode.MODEL_FILE_EMPTY]

    def test_miss_every_part_of_a_saved_model_at_once(self) -> None:
        reading = check([CONFIG, "saved_model.pb"], AiEngine.TENSORFLOW)
        assert [problem.expected for problem in reading.problems] == [
            "variables/variables.index", "variables/variables.data-*",
        ]  # fmt: skip

    def test_that_are_not_known_leave_the_rest_checked(self) -> None:
        assert codes(check(["Dockerfile"], None).problems) == [
            ProblemCode.DOCKERFILE_PRESENT, ProblemCode.CONFIG_MISSING,
        ]  # fmt: skip


class TestCode:
    @pytest.mark.parametrize("engine", [AiEngine.PYTORCH, AiEngine.CAFFE, AiEngine.MINDSPORE])
    def test_is_needed_where_nothing_else_can_load_the_model(self, engine: AiEngine) -> None:
        assert ProblemCode.INFERENCE_CODE_MISSING in codes(check([CONFIG], engine).problems)
        assert ProblemCode.INFERENCE_CODE_MISSING not in codes(check([CONFIG], engine, needs_code=False).problems)

    def test_may_be_asked_for(self) -> None:
        reading = check([CONFIG, "model.m"], AiEngine.SCIKIT_LEARN, needs_code=True)
        assert codes(reading.problems) == [ProblemCode.INFERENCE_CODE_MISSING]

    def test_may_be_there_once(self) -> None:
        (problem,) = check([CONFIG, "model.m", CODE, f"old/{CODE}"], AiEngine.SCIKIT_LEARN).problems
        assert (problem.code, problem.file) == (ProblemCode.INFERENCE_CODE_NOT_UNIQUE, f"old/{CODE}")

    @pytest.mark.parametrize(
        ("path", "hint"),
        [
            (f"code/{CODE}", f"It was found at model/code/{CODE}; move it directly into model/."),
            ("customise_service.py", f"Rename model/customise_service.py to {CODE}."),
        ],
    )
    def test_at_the_wrong_place_is_pointed_out(self, path: str, hint: str) -> None:
        needed = check([CONFIG, "net.pth", path], AiEngine.PYTORCH)
        assert [problem.hint for problem in needed.problems] == [hint]
        optional = check([CONFIG, "model.m", path], AiEngine.SCIKIT_LEARN)
        assert optional.problems == ()
        assert [problem.hint for problem in optional.warnings] == [hint]


class TestConfig:
    def test_must_be_there(self) -> None:
        (problem,) = check(["model.m"], AiEngine.SCIKIT_LEARN).problems
        assert (problem.code, problem.expected) == (ProblemCode.CONFIG_MISSING, "model/config.json")

    def test_need_not_be_in_the_output_of_a_built_in_algorithm(self) -> None:
        assert check(["model.m"], AiEngine.SCIKIT_LEARN, config_use=ConfigUse.OPTIONAL).problems == ()

    def test_is_left_out_where_a_template_brings_one(self) -> None:
        reading = check([CONFIG, "model.m"], AiEngine.SCIKIT_LEARN, config_use=ConfigUse.LEFT_OUT)
        assert reading.problems == ()
        assert [(warning.code, warning.file) for warning in reading.warnings] == [(ProblemCode.CONFIG_LEFT_OUT, CONFIG)]
        reading = check(["model.m", "a/config.json"], AiEngine.SCIKIT_LEARN, config_use=ConfigUse.LEFT_OUT)
        assert (reading.problems, reading.warnings) == ((), ())

    @pytest.mark.parametrize("config_use", [ConfigUse.REQUIRED, ConfigUse.OPTIONAL])
    def test_may_be_there_once(self, config_use: ConfigUse) -> None:
        reading = check([CONFIG, "model.m", "tokenizer/config.json"], AiEngine.SCIKIT_LEARN, config_use=config_use)
        assert [(problem.code, problem.file) for problem in reading.problems] == [
            (ProblemCode.CONFIG_NOT_UNIQUE, "tokenizer/config.json")
        ]

    @pytest.mark.parametrize("path", ["conf/config.json", "Config.json", "confg.json"])
    def test_at_the_wrong_place_is_pointed_out(self, path: str) -> None:
        (problem,) = check([path, "model.m"], AiEngine.SCIKIT_LEARN).problems
        assert problem.code is ProblemCode.CONFIG_MISSING
        assert problem.hint is not None
        assert path in problem.hint


class TestFiles:
    @pytest.mark.parametrize("path", ["Dockerfile", "docker/Dockerfile"])
    def test_no_dockerfile(self, path: str) -> None:
        assert codes(check([CONFIG, "model.m", path], AiEngine.SCIKIT_LEARN).problems) == [
            ProblemCode.DOCKERFILE_PRESENT
        ]

    def test_no_file_above_the_limit(self) -> None:
        sizes = {"data/big.bin": 101, "data/fits.bin": 100}
        (problem,) = check([CONFIG, "model.m", *sizes], AiEngine.SCIKIT_LEARN, sizes=sizes).problems
        assert (problem.code, problem.file, problem.actual) == (ProblemCode.FILE_TOO_LARGE, "data/big.bin", "101 bytes")

    def test_no_keras_file(self) -> None:
        reading = check([CONFIG, "model.h5"], AiEngine.TENSORFLOW)
        assert ProblemCode.UNSUPPORTED_FORMAT in codes(reading.problems)
        assert codes(check([CONFIG, *SAVED_MODEL, "model.h5"], AiEngine.TENSORFLOW).problems) == [
            ProblemCode.UNSUPPORTED_FORMAT
        ]
        assert ProblemCode.UNSUPPORTED_FORMAT in codes(check([CONFIG, CODE, "net.keras"], AiEngine.PYTORCH).problems)
        (problem,) = check([CONFIG, "model.m", "rows.h5", "data/rows.h5"], AiEngine.SCIKIT_LEARN).problems
        assert (problem.code, problem.file) == (ProblemCode.UNSUPPORTED_FORMAT, "rows.h5")

    @pytest.mark.parametrize("path", ["../x", "a//b", "/x", "a/./b", "a\\b", "a\x00b", "a\nb", "x" * 2000, "a\ud800"])
    def test_no_path_that_leads_elsewhere(self, path: str) -> None:
        (problem,) = check([CONFIG, "model.m", path], AiEngine.SCIKIT_LEARN).problems
        assert problem.code is ProblemCode.FILE_PATH_INVALID
        assert f"{problem.message}{problem.file}".encode()
        assert "\x00" not in f"{problem.message}{problem.file}"

    @pytest.mark.parametrize("path", ["my data/my file.txt", "数据/我的\u3000文件.txt"])
    def test_blanks_are_fine_but_for_modelarts(self, path: str) -> None:
        assert check([CONFIG, "model.m", path], AiEngine.SCIKIT_LEARN).problems == ()
        (problem,) = check([CONFIG, "model.m", path], AiEngine.SCIKIT_LEARN, is_strict=True).problems
        assert (problem.code, problem.file) == (ProblemCode.FILE_PATH_INVALID, path)
        assert check([CONFIG, "model.m", "数据/文件.txt"], AiEngine.SCIKIT_LEARN, is_strict=True).problems == ()

    def test_thousands_are_fine(self) -> None:
        assert (
            check([CONFIG, "model.m", *(f"data/{number}" for number in range(5000))], AiEngine.XGBOOST).problems == ()
        )

    def test_a_million_faults_are_not_all_told(self) -> None:
        assert len(check([f"{number}/Dockerfile" for number in range(1000)], None).problems) == FINDING_LIMIT

    def test_wheels_lie_beside_the_model(self) -> None:
        files = [PackageFile("a-1.0-py3-none-any.whl", 1), PackageFile("wheels/b-1.0-py3-none-any.whl", 1)]
        (problem,) = check_wheels(["a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl"], files)
        assert (problem.code, problem.file) == (ProblemCode.WHEEL_MISSING, "b-1.0-py3-none-any.whl")


class CountedPath(str):
    """A path that counts how often one is compared."""

    __slots__ = ()
    comparisons: ClassVar[int] = 0

    def __eq__(self, other: object) -> bool:
        CountedPath.comparisons += 1
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        CountedPath.comparisons += 1
        return str.__ne__(self, other)

    __hash__ = str.__hash__


@pytest.mark.parametrize("name", [CONFIG, CODE])
@pytest.mark.parametrize("is_there", [True, False])
def test_each_file_is_looked_at_a_few_times_however_many_there_are(name: str, is_there: bool) -> None:
    paths = [CountedPath(f"{number}/{name}") for number in range(2000)]
    CountedPath.comparisons = 0
    check([*paths, *([CountedPath(name)] if is_there else [])], AiEngine.PYTORCH)
    assert CountedPath.comparisons < 100 * len(paths)
