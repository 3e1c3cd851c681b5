"""From an operation's selections to the tree of what is to be read, by the mapping of the fields.

    collect     gql/selection.py    which fields are asked for
    plan        here                each field's mapping as a value of the tree
    SQL         db/reading/         the tree as one statement
    run         gql/plan.py         the statement with a request's values

What no column holds is a hole: the statement brings along what its function needs, and gql/hole.py fills it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, assert_never
from uuid import UUID

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_argument_values,
    get_named_type,
    get_nullable_type,
    is_list_type,
)
from graphql.execution.values import VariableValues

from db import reading
from db.reading import Parameter, ParentColumn
from gql import mapping as mapped
from gql.definition import strawberry_field
from gql.federation import Keys
from gql.given import Given, arguments_of, constant_arguments
from gql.hole import EACH, MARK, Hole, Step
from gql.identity import Asked, Branch, Elsewhere, Identities, Named, identities
from gql.listing import Arguments, Bind, Read, chosen, found_by, source_of
from gql.mapping import Stored, mapping_of, stored_kind
from gql.planned_column import Frame, planned_column, planned_identifier
from gql.planned_document import planned_document
from gql.planned_facet import planned_facets
from gql.planned_page import planned_page
from gql.selection import Selections
from gql.unplannable import Unplannable

Row: TypeAlias = reading.Object | reading.Switch
Path: TypeAlias = tuple[str | Step, ...]


@dataclass(slots=True)
class Planner:
    """Plans fields of one operation for one shape of its variables."""

    selections: Selections
    variables: VariableValues
    keys: Keys
    given: list[Given] = field(default_factory=list)
    reads: dict[Parameter, tuple[int, Read]] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)

    def root(self, kind: GraphQLObjectType, key: str, nodes: Sequence[FieldNode]) -> reading.Value:
        """Raises Unplannable, and GraphQLError for arguments that are refused; nothing of the field is left behind."""
        given, reads, holes = [*self.given], {**self.reads}, [*self.holes]
        try:
            return self.member(kind, key, nodes, Frame(None), ())
        except Unplannable:
            self.given, self.reads, self.holes = given, reads, holes
            raise

    def keyed(
        self, kind: GraphQLNamedType, view: str | None, nodes: Sequence[FieldNode], key: UUID, member: str
    ) -> reading.Value:
        """The object of this key."""
        parameter, stored = Parameter("uuid"), self.stored(kind)
        self.reads[parameter] = (0, lambda arguments, _: arguments["key"])
        self.given.append(constant_arguments({"key": key}))
        condition = reading.Condition("id", reading.Comparison.EQUAL, parameter)
        source = reading.Source(view or stored.view, (condition,))
        return reading.ToOne(source, self.row(kind, nodes, Frame(stored), (member,)))

    def members(
        self, kind: GraphQLObjectType, nodes: Sequence[FieldNode], frame: Frame, path: Path
    ) -> tuple[tuple[str, reading.Value], ...]:
        fields = self.selections.below(kind, nodes)
        return tuple((key, self.member(kind, key, asked, frame, (*path, key))) for key, asked in fields.items())

    def member(
        self, kind: GraphQLObjectType, key: str, nodes: Sequence[FieldNode], frame: Frame, path: Path
    ) -> reading.Value:
        name = nodes[0].name.value
        if name == "__typename":
            return reading.Constant(kind.name)
        definition = kind.fields.get(name)
        declared = strawberry_field(definition) if definition else None
        if definition is None or declared is None or declared.extensions or declared.permission_classes:
            raise Unplannable(name)
        return self.value(definition, mapping_of(declared), nodes, frame, path or (key,))

    def value(
        self,
        definition: GraphQLField,
        mapping: mapped.FieldMapping | None,
        nodes: Sequence[FieldNode],
        frame: Frame,
        path: Path,
    ) -> reading.Value:
        kind = get_named_type(definition.type)
        is_required = isinstance(definition.type, GraphQLNonNull)
        match mapping:
            case mapped.Column():
                return planned_column(definition, mapping, frame)
            case mapped.Identifier():
                return planned_identifier(frame.column(mapping.name), mapping.prefix, is_required=is_required)
            case mapped.ToOne():
                source = self.chosen(definition, mapping, self.related(kind, mapping, mapping.order, frame), nodes[0])
                row = self.row(kind, nodes, Frame(self.stored(kind)), path)
                return reading.ToOne(source, row, is_required)
            case mapped.Rows():
                source = self.related(kind, mapping, mapping.order, frame)
                return reading.Rows(source, self.row(kind, nodes, Frame(self.stored(kind)), (*path, EACH)))
            case mapped.ToMany():
                return planned_page(self, definition, mapping, nodes, frame, path)
            case mapped.Inline():
                return self.inline(definition, mapping, nodes, frame, path)
            case mapped.Embedded():
                name = frame.column(mapping.name)
                return planned_document(self.selections, definition, name, nodes, mapping.type)
            case mapped.Computed():
                return self.hole(definition, mapping, nodes, frame, path)
            case mapped.Find():
                return self.find(definition, nodes, path)
            case mapped.Every():
                return self.every(definition, mapping, nodes, path)
            case mapped.Facets():
                return planned_facets(self, definition, mapping, nodes)
            case mapped.ByKey() | mapped.Total() | mapped.Tally() | None:
                raise Unplannable(nodes[0].name.value)
        assert_never(mapping)

    def related(
        self, kind: GraphQLNamedType, mapping: mapped.ToOne | mapped.Rows, order: reading.Order | None, frame: Frame
    ) -> reading.Source:
        view = mapping.view or self.stored(kind).view
        parent = ParentColumn(frame.column(mapping.column)) if mapping.key is not None else None
        return source_of(view, mapping.key, parent, order)

    def chosen(
        self, definition: GraphQLField, mapping: mapped.ToOne, source: reading.Source, node: FieldNode
    ) -> reading.Source:
        if not mapping.arguments:
            return source
        arguments, bind = self.arguments(definition, node)
        return chosen(source, mapping.arguments, definition.args, arguments, bind)

    def row(self, kind: GraphQLNamedType, nodes: Sequence[FieldNode], frame: Frame, path: Path) -> Row:
        """What is asked of a row of this type: of an interface's, by the type that the row says."""
        if isinstance(kind, GraphQLObjectType):
            return reading.Object(self.members(kind, nodes, frame, path), is_required=True)
        if not isinstance(kind, GraphQLInterfaceType) or frame.stored is None or frame.stored.type_column is None:
            raise Unplannable(kind.name)
        return self.switch(kind, frame.column(frame.stored.type_column), nodes, frame, path, is_required=True)

    def switch(
        self,
        kind: GraphQLInterfaceType | GraphQLUnionType,
        column: str,
        nodes: Sequence[FieldNode],
        frame: Frame,
        path: Path,
        *,
        is_required: bool,
    ) -> reading.Switch:
        cases = self.cases(self.selections.schema.get_possible_types(kind), nodes, frame, path)
        return reading.Switch(column, cases, is_required)

    def cases(
        self, kinds: Iterable[GraphQLObjectType], nodes: Sequence[FieldNode], frame: Frame, path: Path
    ) -> tuple[tuple[str, reading.Object], ...]:
        return tuple((kind.name, reading.Object(self.members(kind, nodes, frame, path))) for kind in kinds)

    def inline(
        self, definition: GraphQLField, mapping: mapped.Inline, nodes: Sequence[FieldNode], frame: Frame, path: Path
    ) -> Row:
        kind = get_named_type(definition.type)
        is_required = isinstance(definition.type, GraphQLNonNull)
        inner = replace(frame, prefix=frame.column(mapping.prefix))
        if isinstance(kind, GraphQLUnionType) and mapping.type_column:
            column = frame.column(mapping.type_column)
            return self.switch(kind, column, nodes, inner, path, is_required=is_required)
        assert isinstance(kind, GraphQLObjectType)
        present = inner.column(mapping.present) if mapping.present else None
        return reading.Object(self.members(kind, nodes, inner, path), present, is_required)

    def hole(
        self, definition: GraphQLField, mapping: mapped.Computed, nodes: Sequence[FieldNode], frame: Frame, path: Path
    ) -> reading.Object:
        mark = str(len(self.holes))
        self.holes.append(Hole(mark, path, mapping, definition.type, tuple(nodes)))
        needs = ((name, reading.Column(frame.column(name), reading.ColumnKind.JSON)) for name in mapping.needs)
        return reading.Object(((MARK, reading.Constant(mark)), *needs))

    def find(self, definition: GraphQLField, nodes: Sequence[FieldNode], path: Path) -> reading.ToOne:
        kind = get_named_type(definition.type)
        stored = self.stored(kind)
        arguments, bind = self.arguments(definition, nodes[0])
        source = found_by(stored.view, stored.prefix, definition.args, arguments, bind)
        return reading.ToOne(source, self.row(kind, nodes, Frame(stored), path))

    def every(
        self, definition: GraphQLField, mapping: mapped.Every, nodes: Sequence[FieldNode], path: Path
    ) -> reading.Each:
        is_list = is_list_type(get_nullable_type(definition.type))
        kind = get_named_type(definition.type)
        named = identities(self.selections.schema, kind, self.keys, mapping.elsewhere)
        here = (*path, EACH) if is_list else path
        values = tuple(self.branch(branch, nodes, here) for branch in named.branches)
        _, bind = self.arguments(definition, nodes[0])

        def key(position: int) -> Read:
            return lambda arguments, _: [each.key_part(position) for each in _sure(named, arguments)]

        keys = tuple(bind("text[]", key(position)) for position in range(named.key_width))
        chosen = bind("integer[]", lambda arguments, _: [each.branch for each in _sure(named, arguments)])
        return reading.Each(values, chosen, keys, is_list)

    def branch(self, branch: Branch, nodes: Sequence[FieldNode], path: Path) -> reading.Branch:
        frame, column = Frame(branch.stored), branch.stored.type_column
        if column is None:
            return reading.Branch(branch.stored.view, branch.key, self.row(branch.kinds[0], nodes, frame, path))
        cases = self.cases(branch.kinds, nodes, frame, path)
        return reading.Branch(branch.stored.view, branch.key, reading.Switch(column, cases))

    def stored(self, kind: GraphQLNamedType) -> Stored:
        found = stored_kind(kind)
        if found is None:
            raise Unplannable(kind.name)
        return found

    def arguments(self, definition: GraphQLField, node: FieldNode) -> tuple[Arguments, Bind]:
        """The field's arguments as they are now, and what binds parameters to those of each run."""
        values = get_argument_values(definition, node, self.variables)
        position = len(self.given)
        self.given.append(arguments_of(definition, node, values))

        def bind(type: str, read: Read) -> Parameter:
            parameter = Parameter(type)
            self.reads[parameter] = (position, read)
            return parameter

        return values, bind


def _sure(named: Identities, arguments: Arguments) -> list[Named]:
    """What is asked for. Raises GraphQLError where any of it is named wrongly, Unplannable where it is in no view."""
    return [_in_a_view(asked) for asked in named.names(arguments)]


def _in_a_view(asked: Asked) -> Named:
    match asked:
        case Named():
            return asked
        case Elsewhere():
            raise Unplannable("a thing that is in no view")
        case GraphQLError():
            raise asked
    assert_never(asked)
