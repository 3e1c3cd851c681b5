"""What is asked of a mutation's payload, looked at before the mutation: a mistake must not come after the deed."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from graphql import FieldNode, GraphQLError, GraphQLField, GraphQLObjectType, OperationDefinitionNode, get_named_type
from graphql.execution.values import VariableValues

from gql import mapping as mapped
from gql.bad_input import Unmatchable
from gql.context import Context
from gql.definition import strawberry_field
from gql.mapping import mapping_of
from gql.plan import plan_object
from gql.selection import Selections
from gql.unplannable import Unplannable

ANY_KEY = UUID(int=0)


def check_payloads(
    selections: Selections, operation: OperationDefinitionNode, values: VariableValues, context: Context
) -> None:
    """Raises GraphQLError for a page size, a cursor or a filter that is refused: nothing has been done then."""
    for field, mapping, nodes in _objects(selections, operation):
        try:
            plan = plan_object(selections, get_named_type(field.type), mapping.view, nodes, values, ANY_KEY)
            plan.values(context, values)
        except (Unplannable, Unmatchable):
            continue
        except GraphQLError as error:
            raise GraphQLError(error.message, nodes, extensions=error.extensions) from error


def _objects(
    selections: Selections, operation: OperationDefinitionNode
) -> Iterator[tuple[GraphQLField, mapped.ByKey, list[FieldNode]]]:
    """The stored objects that the operation's payloads are asked for."""
    mutations = selections.schema.mutation_type
    assert mutations is not None
    for nodes in selections.fields(mutations, [operation.selection_set]).values():
        definition = mutations.fields.get(nodes[0].name.value)
        payload = get_named_type(definition.type) if definition else None
        if not isinstance(payload, GraphQLObjectType):
            continue
        for asked in selections.below(payload, nodes).values():
            field = payload.fields.get(asked[0].name.value)
            declared = strawberry_field(field) if field else None
            mapping = mapping_of(declared) if declared else None
            if field is not None and isinstance(mapping, mapped.ByKey):
                yield field, mapping, asked
