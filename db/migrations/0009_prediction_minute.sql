-- What the gateways counted, minute by minute, and how many predictions each has under way.

-- Written by every gateway at once, so without foreign keys, which would have them wait for whoever changes a service.
-- Without a version: what was refused before one was drawn. `latency_counts`: one count for each of the fixed buckets.
CREATE TABLE prediction_minute (
    workspace_id uuid NOT NULL,
    service_id uuid NOT NULL,
    minute timestamptz NOT NULL,
    model_version_id uuid,
    call_count bigint NOT NULL,
    failure_count bigint NOT NULL,
    refusal_count bigint NOT NULL,
    latency_seconds_sum double precision NOT NULL,
    latency_counts bigint[] NOT NULL,
    most_in_flight integer NOT NULL,
    UNIQUE NULLS NOT DISTINCT (workspace_id, service_id, minute, model_version_id)
);
CREATE INDEX prediction_minute_minute ON prediction_minute (minute);

CREATE TABLE prediction_in_flight (
    workspace_id uuid NOT NULL,
    service_id uuid NOT NULL,
    model_version_id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    in_flight integer NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, service_id, model_version_id, gateway_id)
);
