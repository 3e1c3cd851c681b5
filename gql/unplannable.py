"""Why an operation is answered by graphql-core."""


class Unplannable(Exception):
    """A shape that no statement can have, or an argument whose refusal graphql-core has to tell."""
