"""How good models are."""

import strawberry


@strawberry.type(description="How good the model was in its evaluation.")
class ModelMetrics:
    f1: float | None = strawberry.field(description="The F1 score.")
    recall: float | None = strawberry.field(description="The recall.")
    precision: float | None = strawberry.field(description="The precision.")
    accuracy: float | None = strawberry.field(description="The accuracy.")
