"""Whether a document may be run: limits first, then the standard rules, every refusal with its code."""

from __future__ import annotations

from itertools import islice

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    NonNullTypeNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    ValidationRule,
    get_nullable_type,
    print_ast,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule

from gql.fault_code import FaultCode
from gql.limits import Limits, excesses


class NoServiceDefinitionRule(ASTValidationRule):
    """Federation's `_service { sdl }` tells as much as introspection does, so it is closed together with it."""

    def enter_field(self, node: FieldNode, *_args: object) -> None:
        if node.name.value == "_service":
            self.report_error(GraphQLError("GraphQL introspection has been disabled.", node))


class NonNullVariableInOneOfRule(ValidationRule):
    """A variable in an input with exactly one field is of a non-null type.

    graphql-core has the same rule, and overlooks inputs that are themselves of a non-null type.
    """

    def leave_operation_definition(self, operation: OperationDefinitionNode, *_args: object) -> None:
        types = {each.variable.name.value: each.type for each in operation.variable_definitions or ()}
        for usage in self.context.get_recursive_variable_usages(operation):
            parent = get_nullable_type(usage.parent_type)
            given = types.get(usage.node.name.value)
            if not isinstance(parent, GraphQLInputObjectType) or not parent.is_one_of or parent is usage.parent_type:
                continue
            if given is not None and not isinstance(given, NonNullTypeNode):
                name, kind = usage.node.name.value, print_ast(given)
                message = f"Variable '${name}' is of type '{kind}' but must be non-nullable to be used for '{parent}'."
                self.report_error(GraphQLError(message, [usage.node]))


OPEN_RULES = (*specified_rules, MaybeNullValidationRule, NonNullVariableInOneOfRule)
CLOSED_RULES = (*OPEN_RULES, NoSchemaIntrospectionCustomRule, NoServiceDefinitionRule)


def document_errors(schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    """Why the document may not be run, at most `limits.validation_errors` reasons.

    It depends on nothing but the arguments, so that the answer can be kept.
    """
    too_large = list(islice(excesses(document, limits), limits.validation_errors))
    return too_large or [_coded(error) for error in _rule_errors(schema, document, limits)]


def ambiguous_operation_error() -> GraphQLError:
    """Several operations and no name: to run the first would be a guess, and it may be a mutation."""
    return GraphQLError(
        "The document holds several operations: say which with operationName.",
        extensions={"code": FaultCode.GRAPHQL_VALIDATION_FAILED},
    )


def _rule_errors(schema: GraphQLSchema, document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    return validate(
        schema,
        document,
        OPEN_RULES if limits.introspection else CLOSED_RULES,
        max_errors=limits.validation_errors,
        hide_suggestions=not limits.introspection,
        allow_empty_selection_sets=False,
    )


def _coded(error: GraphQLError) -> GraphQLError:
    error.extensions = {"code": FaultCode.GRAPHQL_VALIDATION_FAILED, **(error.extensions or {})}
    return error
