"""Whether a document may be run: limits first, then the standard rules, every refusal with its code."""

from __future__ import annotations

from itertools import islice

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
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


OPEN_RULES = (*specified_rules, MaybeNullValidationRule)
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
