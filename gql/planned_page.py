"""Fields that are connections: a stretch of rows, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from graphql import FieldNode, GraphQLField, GraphQLObjectType, get_named_type

from db import reading
from db.reading import ParentColumn
from gql.hole import EACH
from gql.listing import filtered, source_of, span_of
from gql.mapping import ToMany
from gql.planned_column import Frame

if TYPE_CHECKING:
    from gql.planner import Path, Planner


def planned_page(
    planner: Planner,
    definition: GraphQLField,
    mapping: ToMany,
    nodes: Sequence[FieldNode],
    frame: Frame,
    path: Path,
) -> reading.Page:
    """Raises Unplannable, and GraphQLError for arguments that are refused."""
    kind = _object_type(definition)
    view = mapping.view or planner.stored(get_named_type(kind.fields["nodes"].type)).view
    arguments, bind = planner.arguments(definition, nodes[0])
    parent = ParentColumn(frame.column(mapping.column)) if mapping.key else None
    source = filtered(source_of(view, mapping.key, parent), definition.args, arguments, bind)
    span = span_of(mapping, definition.args, arguments, bind)
    members = tuple(
        (key, _member(planner, kind, asked, (*path, key)))
        for key, asked in planner.selections.below(kind, nodes).items()
    )
    return reading.Page(source, span, members)


def _member(planner: Planner, kind: GraphQLObjectType, nodes: Sequence[FieldNode], path: Path) -> reading.PageMember:
    name = nodes[0].name.value
    match name:
        case "__typename":
            return reading.Constant(kind.name)
        case "nodes":
            return _nodes(planner, kind.fields["nodes"], nodes, (*path, EACH))
        case "edges":
            return reading.Edges(tuple(_edge(planner, _object_type(kind.fields["edges"]), nodes, (*path, EACH))))
        case "pageInfo":
            return reading.PageInfo(tuple(_facts(planner, _object_type(kind.fields["pageInfo"]), nodes)))
    return reading.Count(name)


def _nodes(planner: Planner, definition: GraphQLField, nodes: Sequence[FieldNode], path: Path) -> reading.Nodes:
    target = get_named_type(definition.type)
    return reading.Nodes(planner.row(target, nodes, Frame(planner.stored(target)), path))


def _edge(
    planner: Planner, kind: GraphQLObjectType, nodes: Sequence[FieldNode], path: Path
) -> Iterator[tuple[str, reading.Nodes | reading.Cursor | reading.Constant]]:
    for key, asked in planner.selections.below(kind, nodes).items():
        match asked[0].name.value:
            case "__typename":
                yield key, reading.Constant(kind.name)
            case "cursor":
                yield key, reading.Cursor.OF_ROW
            case _:
                yield key, _nodes(planner, kind.fields["node"], asked, (*path, key))


def _facts(
    planner: Planner, kind: GraphQLObjectType, nodes: Sequence[FieldNode]
) -> Iterator[tuple[str, reading.PageFact | reading.Constant]]:
    for key, asked in planner.selections.below(kind, nodes).items():
        name = asked[0].name.value
        yield key, reading.Constant(kind.name) if name == "__typename" else reading.PageFact(name)


def _object_type(definition: GraphQLField) -> GraphQLObjectType:
    kind = get_named_type(definition.type)
    assert isinstance(kind, GraphQLObjectType)
    return kind
