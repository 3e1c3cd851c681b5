-- Batch services: what each configuration reads and writes, its runs, and how far each input is.

-- `input_key` is a folder, or an object that names the inputs. `mapping_rule` is that of CSV.
CREATE TABLE batch_configuration (
    service_configuration_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    service_id uuid NOT NULL,
    input_kind text NOT NULL CHECK (input_kind IN ('PREFIX', 'MANIFEST')),
    input_store text NOT NULL,
    input_key text NOT NULL,
    output_store text NOT NULL,
    output_key text NOT NULL,
    api_url text NOT NULL,
    api_method text NOT NULL,
    api_content_type text NOT NULL,
    mapping_kind text NOT NULL CHECK (mapping_kind IN ('FILE', 'CSV')),
    mapping_parameter text,
    mapping_rule jsonb,
    max_concurrency integer NOT NULL CHECK (max_concurrency BETWEEN 1 AND 64),
    UNIQUE (workspace_id, service_configuration_id),
    CHECK ((mapping_kind = 'FILE') = (mapping_parameter IS NOT NULL)),
    CHECK ((mapping_kind = 'CSV') = (mapping_rule IS NOT NULL)),
    FOREIGN KEY (workspace_id, service_configuration_id) REFERENCES service_configuration (workspace_id, id),
    FOREIGN KEY (workspace_id, service_id) REFERENCES service (workspace_id, id)
);
CREATE INDEX batch_configuration_service ON batch_configuration (workspace_id, service_id);

-- One pass over the inputs. `claimed_number`: inputs up to here may have been sent to an instance already.
-- `is_reported`: the service's status says how it ended; whoever starts the service after that wants another run.
CREATE TABLE batch_run (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL,
    service_id uuid NOT NULL,
    number integer NOT NULL,
    service_configuration_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'LISTING' CHECK (state IN ('LISTING', 'RUNNING', 'FINISHED', 'FAILED', 'ABANDONED')),
    input_count bigint NOT NULL DEFAULT 0,
    succeeded_count bigint NOT NULL DEFAULT 0,
    failed_count bigint NOT NULL DEFAULT 0,
    claimed_number bigint NOT NULL DEFAULT 0,
    is_reported boolean NOT NULL DEFAULT false,
    error jsonb,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, service_id, number),
    FOREIGN KEY (workspace_id, service_id) REFERENCES service (workspace_id, id),
    FOREIGN KEY (workspace_id, service_configuration_id)
        REFERENCES batch_configuration (workspace_id, service_configuration_id)
);
-- A service has one run at a time.
CREATE UNIQUE INDEX batch_run_under_way ON batch_run (workspace_id, service_id) WHERE state IN ('LISTING', 'RUNNING');

-- `written` is how a manifest names the input. `etag` and `size_bytes` are null where it was never found.
CREATE TABLE batch_input (
    workspace_id uuid NOT NULL,
    batch_run_id uuid NOT NULL,
    number bigint NOT NULL,
    store text NOT NULL,
    key text NOT NULL,
    written text,
    size_bytes bigint,
    etag text,
    state text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'SUCCEEDED', 'FAILED')),
    result_store text,
    result_key text,
    row_count bigint,
    failed_row_count bigint,
    error jsonb,
    finished_at timestamptz,
    PRIMARY KEY (workspace_id, batch_run_id, number),
    FOREIGN KEY (workspace_id, batch_run_id) REFERENCES batch_run (workspace_id, id)
);
CREATE INDEX batch_input_state ON batch_input (workspace_id, batch_run_id, state, number);

-- Answers to rows of CSV inputs that are not finished, as lines of their results.
CREATE TABLE batch_row (
    workspace_id uuid NOT NULL,
    batch_run_id uuid NOT NULL,
    input_number bigint NOT NULL,
    number bigint NOT NULL,
    line text NOT NULL,
    is_failed boolean NOT NULL,
    PRIMARY KEY (workspace_id, batch_run_id, input_number, number),
    FOREIGN KEY (workspace_id, batch_run_id, input_number) REFERENCES batch_input (workspace_id, batch_run_id, number)
);

ALTER TABLE batch_run ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE batch_input ALTER COLUMN workspace_id SET (n_distinct = 10);

-- The one in force of each batch service.
CREATE VIEW reading.batch_configuration AS
SELECT batch.service_configuration_id AS id, batch.workspace_id, batch.service_id, batch.input_kind, batch.input_store,
    batch.input_key, batch.output_store, batch.output_key, batch.api_url AS api_path, batch.mapping_kind AS kind,
    batch.mapping_parameter AS parameter, batch.mapping_rule::json AS rule, batch.max_concurrency
FROM public.batch_configuration AS batch
JOIN public.service_configuration AS configuration
    ON configuration.workspace_id = batch.workspace_id
    AND configuration.id = batch.service_configuration_id
JOIN public.service AS service
    ON service.workspace_id = configuration.workspace_id
    AND service.id = configuration.service_id
    AND service.last_configuration_number = configuration.number;

-- A run rests with its service, and goes on with it.
CREATE VIEW reading.batch_run AS
SELECT run.id, run.workspace_id, run.service_id, run.number,
    CASE
        WHEN run.state IN ('LISTING', 'RUNNING') AND service.desired_state <> 'RUNNING' THEN 'STOPPED'
        ELSE run.state
    END AS state,
    run.input_count, run.succeeded_count, run.failed_count,
    CASE
        WHEN run.input_count > 0 THEN (run.succeeded_count + run.failed_count)::double precision / run.input_count
    END AS progress,
    run.error::json AS error, run.started_at, run.finished_at
FROM public.batch_run AS run
JOIN public.service AS service
    ON service.workspace_id = run.workspace_id AND service.id = run.service_id;

CREATE VIEW reading.batch_input AS
SELECT workspace_id, batch_run_id, number, store AS location_store, key AS location_key, size_bytes, state,
    result_store, result_key, row_count, failed_row_count, error::json AS error, finished_at
FROM public.batch_input;
