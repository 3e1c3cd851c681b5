"""`dependencies` of config.json: what pip is asked for, and nothing that it would obey."""

import pytest

from artifacts.dependency import Dependency, Restraint
from tests.configs import BASE, Document, config_of, packages, pointers, read, refused


class TestDependencies:
    @pytest.mark.parametrize(
        "name",
        [
            "-r requirements.txt", "--index-url=http://x", "a @ http://x/a.whl", "a; python_version<'3'", "a==1,!=2",
            "a~=1", "a>1", "a===1", "a==1 --pre", "a==1; os_name=='x'", "", " ",
            "git+https://x/a", "http://x/a.whl", "../a", "a b", "a\nb", "包", "a&b", ".a", "a[",
            "../a-1-py3-none-any.whl",
            "a.whl", "/tmp/a-1-py3-none-any.whl", "a" * 300,
        ],
    )  # fmt: skip
    def test_names_that_pip_would_obey_are_refused(self, name: str) -> None:
        assert refused(**packages({"package_name": name})) == ["/dependencies/0/packages/0/package_name"]

    @pytest.mark.parametrize("name", ["scikit-learn", "Pillow", "ruamel.yaml", "a_b", "x", "uvicorn[standard]"])
    def test_names_are_kept_as_written(self, name: str) -> None:
        (dependency,) = config_of(**packages({"package_name": name})).dependencies
        assert dependency == Dependency("pip", name)
        assert (dependency.requirement, dependency.wheel) == (name, None)

    @pytest.mark.parametrize(
        "version",
        ["1.0; os_name", "1,!=2", ">=1", "== one", "one", "1 2", "1.0 --pre", "@ http://x", "1.*.2", "v" * 65, "1\n2"],
    )
    def test_versions_that_pip_would_obey_are_refused(self, version: str) -> None:
        package = {"package_name": "a", "package_version": version, "restraint": "EXACT"}
        assert refused(**packages(package)) == ["/dependencies/0/packages/0/package_version"]

    @pytest.mark.parametrize(
        ("version", "restraint", "requirement"),
        [
            ("1.7.2", "EXACT", "a==1.7.2"),
            ("1.8.0+cu111", "exact", "a==1.8.0+cu111"),
            ("2.0.0rc1", "ATLEAST", "a>=2.0.0rc1"),
            ("3", "ATMOST", "a<=3"),
            ("1.4.*", "EXACT", "a==1.4.*"),
        ],
    )
    def test_versions_are_kept_as_written(self, version: str, restraint: str, requirement: str) -> None:
        package = {"package_name": "a", "package_version": version, "restraint": restraint}
        assert config_of(**packages(package)).dependencies[0].requirement == requirement

    def test_a_wildcard_has_no_order(self) -> None:
        package = {"package_name": "a", "package_version": "1.4.*", "restraint": "ATLEAST"}
        assert refused(**packages(package)) == ["/dependencies/0/packages/0/package_version"]

    @pytest.mark.parametrize("absent", [{}, {"package_version": "", "restraint": ""}, {"package_version": None}])
    def test_an_empty_version_is_none(self, absent: Document) -> None:
        assert config_of(**packages({"package_name": "a"} | absent)).dependencies == (Dependency("pip", "a"),)

    @pytest.mark.parametrize("absent", [{}, {"restraint": ""}])
    def test_a_version_needs_a_restraint(self, absent: Document) -> None:
        assert refused(**packages({"package_name": "a", "package_version": "1"} | absent)) == [
            "/dependencies/0/packages/0/package_version"
        ]

    def test_a_restraint_without_a_version_is_left_out_with_a_warning(self) -> None:
        reading = read(BASE | packages({"package_name": "a", "restraint": "EXACT"}))
        assert reading.config is not None
        assert reading.config.dependencies == (Dependency("pip", "a"),)
        assert pointers(reading.warnings) == ["/dependencies/0/packages/0/restraint"]

    def test_a_restraint_may_be_an_operator(self) -> None:
        reading = read(BASE | packages({"package_name": "a", "package_version": "1", "restraint": ">="}))
        assert reading.config is not None
        assert reading.config.dependencies == (Dependency("pip", "a", "1", Restraint.ATLEAST),)
        assert pointers(reading.warnings) == ["/dependencies/0/packages/0/restraint"]

    @pytest.mark.parametrize(("written", "requirement"), [
        ("torch==1.8", "torch==1.8"), ("opencv-python >= 4", "opencv-python>=4"),
        ("uvicorn[standard]<=1", "uvicorn[standard]<=1"),
    ])  # fmt: skip
    def test_a_version_in_the_name_is_understood(self, written: str, requirement: str) -> None:
        reading = read(BASE | packages({"package_name": written}))
        assert reading.config is not None
        assert [found.requirement for found in reading.config.dependencies] == [requirement]
        assert pointers(reading.warnings) == ["/dependencies/0/packages/0/package_name"]

    def test_a_version_in_the_name_and_beside_it_is_refused(self) -> None:
        package = {"package_name": "torch==1.8", "package_version": "1.9", "restraint": "EXACT"}
        assert refused(**packages(package)) == ["/dependencies/0/packages/0/package_name"]

    @pytest.mark.parametrize(("package", "requirement"), [
        ({"package_version": ">=1.8"}, "a>=1.8"), ({"package_version": "==1.8", "restraint": "EXACT"}, "a==1.8"),
        ({"package_version": 2, "restraint": "EXACT"}, "a==2"), ({"package_version": "latest"}, "a"),
        ({"package_version": "1", "restraint": "AT_LEAST"}, "a>=1"), ({"version": "1", "restraint": "EXACT"}, "a==1"),
    ])  # fmt: skip
    def test_versions_that_are_plain_are_understood(self, package: Document, requirement: str) -> None:
        reading = read(BASE | packages({"package_name": "a"} | package))
        assert reading.config is not None
        assert [found.requirement for found in reading.config.dependencies] == [requirement]
        assert len(reading.warnings) == 1

    @pytest.mark.parametrize("restraint", ["exact", "ATLEAST ", "AtMost"])
    def test_a_restraint_has_any_case_and_blanks(self, restraint: str) -> None:
        package = {"package_name": "a", "package_version": "1", "restraint": restraint}
        reading = read(BASE | packages(package))
        assert reading.config is not None
        assert reading.config.dependencies[0].restraint == restraint.strip().upper()
        assert reading.warnings == ()

    def test_a_version_that_is_a_number_has_lost_its_zeros(self) -> None:
        (problem,) = read(
            BASE | packages({"package_name": "a", "package_version": 1.10, "restraint": "EXACT"})
        ).problems
        assert problem.pointer == "/dependencies/0/packages/0/package_version"
        assert problem.hint is not None
        assert "1.10" in problem.hint

    def test_the_empty_strings_of_the_official_samples_need_no_word(self) -> None:
        reading = read(BASE | packages({"package_name": "a", "package_version": "", "restraint": ""}))
        assert (reading.problems, reading.warnings) == ((), ())

    def test_a_package_may_be_no_more_than_its_name(self) -> None:
        reading = read(BASE | packages("numpy", "torch>=1.4"))
        assert reading.config is not None
        assert [found.requirement for found in reading.config.dependencies] == ["numpy", "torch>=1.4"]
        assert pointers(reading.warnings)[:2] == ["/dependencies/0/packages/0", "/dependencies/0/packages/1"]

    def test_a_group_may_be_no_more_than_a_name(self) -> None:
        reading = read(BASE | {"dependencies": ["numpy==1.15.0", {"packages": [{"name": "scipy"}]}]})
        assert reading.config is not None
        assert [found.requirement for found in reading.config.dependencies] == ["numpy==1.15.0", "scipy"]

    @pytest.mark.parametrize("installer", ["conda", "yum", "apt-get", "Conda", "npm", 1])
    def test_pip_installs(self, installer: object) -> None:
        (problem,) = read(BASE | packages({"package_name": "a"}, installer=installer)).problems
        assert problem.pointer == "/dependencies/0/installer"
        assert problem.expected is not None

    def test_the_other_installers_of_modelarts_are_told_apart(self) -> None:
        (problem,) = read(BASE | packages({"package_name": "a"}, installer="conda")).problems
        assert problem.message == "Packages are installed with pip; conda is not available."
        assert problem.hint is not None

    @pytest.mark.parametrize("group", [{"installer": "PIP"}, {"installer": "pip3"}, {"installer": ""}, {}])
    def test_pip_is_meant_by_other_spellings_and_by_none(self, group: Document) -> None:
        (found,) = config_of(dependencies=[group | {"packages": [{"package_name": "a"}]}]).dependencies
        assert found == Dependency("pip", "a")

    @pytest.mark.parametrize("group", [{}, {"installer": "pip"}])
    def test_a_group_is_whole(self, group: Document) -> None:
        assert set(refused(dependencies=[group])) == {"/dependencies/0"}

    def test_wheels_are_recognised(self) -> None:
        wheel = "mmcv_full-1.3.1+cu1-cp37-cp37m-manylinux1_x86_64.whl"
        (dependency,) = config_of(**packages({"package_name": wheel})).dependencies
        assert (dependency.wheel, dependency.requirement) == (wheel, "mmcv-full==1.3.1+cu1")

    def test_the_order_is_kept_over_the_groups(self) -> None:
        groups = [{"installer": "pip", "packages": [{"package_name": name} for name in names]} for names in ("cb", "a")]
        assert [found.package for found in config_of(dependencies=groups).dependencies] == ["c", "b", "a"]
