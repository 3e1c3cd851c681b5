"""The least of an operation that still shows what is wrong with it."""

from collections.abc import Awaitable, Callable
from typing import Any

from graphql import (
    REMOVE,
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    validate,
    visit,
)

from tests.reading_stage import Case

REMOVABLE = (OperationDefinitionNode, FieldNode, FragmentSpreadNode, InlineFragmentNode, DirectiveNode, ArgumentNode)
ATTEMPTS = 800


async def smaller(schema: GraphQLSchema, case: Case, shows: Callable[[Case], Awaitable[bool]]) -> Case:
    """The case with parts left out for as long as it is valid and `shows` says that it still shows it."""
    document, place, attempts = parse(case.document), 0, 0
    removed_any = False
    while attempts < ATTEMPTS:
        attempts += 1
        remover = _Remover(place)
        cut = _without_unused(visit(document, remover))
        if not remover.has_removed:
            if not removed_any:
                break
            place, removed_any = 0, False
            continue
        candidate = _case(cut, case)
        if not validate(schema, cut) and await shows(candidate):
            document, removed_any = cut, True
        else:
            place += 1
    return _case(document, case)


def _case(document: DocumentNode, case: Case) -> Case:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    names = {definition.variable.name.value for node in operations for definition in node.variable_definitions or ()}
    variables = {name: value for name, value in case.variables.items() if name in names}
    return Case(print_ast(document), variables, case.operation_name)


class _Remover(Visitor):
    """Takes one removable node out: the one at a place in the order of the document."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self._left = place
        self.has_removed = False

    def enter(self, node: Node, *_args: Any) -> Any:
        if not isinstance(node, REMOVABLE) or self.has_removed:
            return None
        self._left -= 1
        if self._left >= 0:
            return None
        self.has_removed = True
        return REMOVE


class _Used(Visitor):
    """The variables and fragments that a document uses."""

    def __init__(self) -> None:
        super().__init__()
        self.variables: set[str] = set()
        self.fragments: set[str] = set()

    def enter_variable(self, node: VariableNode, _key: Any, parent: Any, *_args: Any) -> None:
        if not isinstance(parent, VariableDefinitionNode):
            self.variables.add(node.name.value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_args: Any) -> None:
        self.fragments.add(node.name.value)


class _Unused(Visitor):
    def __init__(self, used: _Used) -> None:
        super().__init__()
        self._used = used

    def enter_fragment_definition(self, node: FragmentDefinitionNode, *_args: Any) -> Any:
        return None if node.name.value in self._used.fragments else REMOVE

    def enter_variable_definition(self, node: VariableDefinitionNode, *_args: Any) -> Any:
        return None if node.variable.name.value in self._used.variables else REMOVE


def _without_unused(document: DocumentNode) -> DocumentNode:
    while True:
        used = _Used()
        visit(document, used)
        left: DocumentNode = visit(document, _Unused(used))
        if left == document:
            return left
        document = left
