"""What a version can be deployed as."""

from enum import StrEnum


class DeploymentType(StrEnum):
    REAL_TIME = "REAL_TIME"
    BATCH = "BATCH"
    EDGE = "EDGE"
