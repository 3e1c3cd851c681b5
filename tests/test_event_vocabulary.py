"""docs/events.md has every kind of event that the code records, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from artifacts.problem import ProblemCode
from resolvers.errors import ErrorCode
from resolvers.operation import OperationKind
from server.settings import CHECKOUT

KIND = re.compile(r"[A-Z]+(_[A-Z]+)+")
ROW = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)
# What a kind that is put together ends with.
ENDINGS = {
    "SERVICE_": ("PENDING", "DEPLOYING", "RUNNING", "CONCERNING", "FAILED", "STOPPED", "FINISHED"),
    "MODEL_VERSION_": ("IMPORT_FAILED", "BUILD_FAILED"),
    "BATCH_RUN_": ("FINISHED", "FAILED"),
    "EDGE_DEPLOYMENT_": ("START_REQUESTED", "STOP_REQUESTED"),
}
# Constants of the same shape that are none: codes of refusals and problems, kinds and stages of operations.
OTHERS = {*ErrorCode, *ProblemCode, *OperationKind, "CLEAN_UP"}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for folder in ("resolvers", "server"):
        for path in sorted((CHECKOUT / folder).glob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def recorded(tree: ast.Module) -> Iterator[ast.expr]:
    """What stands for the kind in each `unit.record(kind, subject_id, …)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record":
            yield node.args[0]


def constants(tree: ast.AST) -> set[str]:
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in found if KIND.fullmatch(text)}


def handed_on(tree: ast.Module) -> set[str]:
    """The kinds that a module hands to others: as `event=`, to a `tell`, or as an action's."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("event", "kind"):
            found |= constants(node.value)
        if isinstance(node, ast.Call) and called(node).endswith(("tell", "Action")):
            found |= {text for argument in node.args for text in constants(argument)}
    return found - OTHERS


def called(call: ast.Call) -> str:
    name: str = getattr(call.func, "attr", getattr(call.func, "id", ""))
    return name


def kinds() -> set[str]:
    found: set[str] = set()
    for _, tree in modules():
        found |= handed_on(tree)
        for kind in recorded(tree):
            if isinstance(kind, ast.JoinedStr):
                found |= joined(kind)
            elif isinstance(kind, ast.Name):
                found |= assigned(tree, kind.id)
            else:
                found |= constants(kind)
    return found


def assigned(tree: ast.Module, name: str) -> set[str]:
    """What a name of the module may hold."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(at, ast.Name) and at.id == name for at in node.targets):
            found |= joined(node.value) | constants(node.value) | constants_of(tree, node.value)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [each for each in [*node.args.args, *node.args.kwonlyargs] if each.arg == name]
            defaults = [*node.args.defaults, *[each for each in node.args.kw_defaults if each is not None]]
            found |= {text for default in defaults for text in constants(default)} if named else set()
    return found - OTHERS


def constants_of(tree: ast.Module, value: ast.expr) -> set[str]:
    """What the module's own tables hold that a value is looked up in."""
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name) and node.id.isupper()}
    tables = [node for node in tree.body if isinstance(node, ast.Assign)]
    held = [table for table in tables if any(isinstance(at, ast.Name) and at.id in names for at in table.targets)]
    return {text for table in held for text in constants(table.value)}


def joined(value: ast.expr) -> set[str]:
    """The kinds that are put together, by what they begin with."""
    strings = [node for node in ast.walk(value) if isinstance(node, ast.JoinedStr)]
    prefixes = [str(string.values[0].value) for string in strings if isinstance(string.values[0], ast.Constant)]
    return {f"{prefix}{ending}" for prefix in prefixes for ending in ENDINGS[prefix]}


def test_every_kind_of_event_that_is_recorded_is_documented_and_no_other() -> None:
    documented = ROW.findall((CHECKOUT / "docs" / "events.md").read_text("utf-8"))
    assert len(documented) == len(set(documented))
    assert sorted(kinds() - set(documented)) == [], "recorded, and not in docs/events.md"
    named = {text for _, tree in modules() for text in constants(tree)} | kinds()
    assert sorted(set(documented) - named) == [], "in docs/events.md, and never recorded"
