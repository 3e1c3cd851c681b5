-- Where services run, how they change, and what bounds them.

-- The shared pool is the host's (or cluster's), for every workspace the same; null: nobody bounds it.
CREATE TABLE resource_pool (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL REFERENCES workspace,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('SHARED', 'DEDICATED')),
    description text,
    cpu_count double precision CHECK (cpu_count > 0),
    memory_bytes bigint CHECK (memory_bytes > 0),
    gpu_count double precision NOT NULL DEFAULT 0 CHECK (gpu_count >= 0),
    ascend_count integer NOT NULL DEFAULT 0 CHECK (ascend_count >= 0),
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, name),
    CHECK (kind = 'SHARED' OR (cpu_count IS NOT NULL AND memory_bytes IS NOT NULL))
);
CREATE UNIQUE INDEX resource_pool_shared ON resource_pool (workspace_id) WHERE kind = 'SHARED';
CREATE INDEX resource_pool_name_key ON resource_pool (workspace_id, name COLLATE "C");

CREATE FUNCTION share_resource_pool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO resource_pool (workspace_id, name, kind, cpu_count, memory_bytes, gpu_count, ascend_count)
    SELECT NEW.id, 'shared', 'SHARED', max(cpu_count), max(memory_bytes), coalesce(max(gpu_count), 0),
        coalesce(max(ascend_count), 0)
    FROM resource_pool
    WHERE kind = 'SHARED';
    RETURN NEW;
END
$$;
CREATE TRIGGER share_resource_pool AFTER INSERT ON workspace
    FOR EACH ROW EXECUTE FUNCTION share_resource_pool();
INSERT INTO resource_pool (workspace_id, name, kind)
SELECT id, 'shared', 'SHARED'
FROM workspace;

-- The sizes that a workspace adds to those that every installation has.
CREATE TABLE inference_specification (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL REFERENCES workspace,
    name text NOT NULL,
    description text,
    cpu_count double precision NOT NULL CHECK (cpu_count > 0),
    memory_bytes bigint NOT NULL CHECK (memory_bytes > 0),
    gpu_count double precision NOT NULL DEFAULT 0 CHECK (gpu_count >= 0),
    ascend_count integer NOT NULL DEFAULT 0 CHECK (ascend_count >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text,
    UNIQUE (workspace_id, name)
);

-- `routed_configuration_number`: whose targets get the predictions; behind the newest while an update is under way.
ALTER TABLE service
    ADD COLUMN resource_pool_id uuid,
    ADD COLUMN routed_configuration_number integer,
    ADD COLUMN last_instance_number integer NOT NULL DEFAULT 0,
    ADD COLUMN access text NOT NULL DEFAULT 'TOKEN' CHECK (access IN ('TOKEN', 'PUBLIC')),
    ADD COLUMN max_body_bytes bigint CHECK (max_body_bytes > 0),
    ADD COLUMN timeout_seconds double precision CHECK (timeout_seconds > 0),
    ADD COLUMN requests_per_second double precision CHECK (requests_per_second > 0),
    ADD COLUMN request_burst integer CHECK (request_burst > 0),
    ADD COLUMN checks_inputs boolean NOT NULL DEFAULT false,
    ADD COLUMN auto_stop_after_seconds integer CHECK (auto_stop_after_seconds > 0),
    ADD COLUMN auto_stop_at timestamptz,
    ADD COLUMN updated_at timestamptz,
    ADD COLUMN started_at timestamptz,
    ADD COLUMN finished_at timestamptz,
    ADD CONSTRAINT service_resource_pool FOREIGN KEY (workspace_id, resource_pool_id)
        REFERENCES resource_pool (workspace_id, id);
UPDATE service
SET routed_configuration_number = last_configuration_number,
    resource_pool_id = (
        SELECT pool.id
        FROM resource_pool AS pool
        WHERE pool.workspace_id = service.workspace_id
        AND pool.kind = 'SHARED'
    );
ALTER TABLE service ALTER COLUMN resource_pool_id SET NOT NULL;
CREATE INDEX service_resource_pool ON service (workspace_id, resource_pool_id, id) WHERE deleted_at IS NULL;
CREATE INDEX service_deployment_type ON service (workspace_id, deployment_type, id) WHERE deleted_at IS NULL;
CREATE INDEX service_deployment_type_name ON service (workspace_id, deployment_type, name COLLATE "C")
    WHERE deleted_at IS NULL;
CREATE INDEX service_auto_stop ON service (auto_stop_at) WHERE auto_stop_at IS NOT NULL AND deleted_at IS NULL;
DROP INDEX service_reconciled;
CREATE INDEX service_reconciled ON service (workspace_id, id)
    WHERE deleted_at IS NULL AND (status NOT IN ('STOPPED', 'FINISHED') OR desired_state = 'DELETED');

-- What each configuration came from and what became of it: the update log (modelarts: querying service update logs).
ALTER TABLE service_configuration
    ADD COLUMN cause text NOT NULL DEFAULT 'DEPLOY' CHECK (cause IN ('DEPLOY', 'UPDATE', 'ROLL_BACK', 'RESTART')),
    ADD COLUMN restored_number integer,
    ADD COLUMN state text NOT NULL DEFAULT 'RUNNING' CHECK (state IN
        ('RUNNING', 'SUCCEEDED', 'FAILED', 'SUPERSEDED')),
    ADD COLUMN message text,
    ADD COLUMN finished_at timestamptz;
UPDATE service_configuration
SET state = 'SUCCEEDED', finished_at = created_at;

-- The size is kept as it was when it was chosen. Instances are shared only between targets of one generation.
ALTER TABLE service_target
    ADD COLUMN cpu_count double precision NOT NULL DEFAULT 2,
    ADD COLUMN memory_bytes bigint NOT NULL DEFAULT 8589934592,
    ADD COLUMN gpu_count double precision NOT NULL DEFAULT 0,
    ADD COLUMN ascend_count integer NOT NULL DEFAULT 0,
    ADD COLUMN generation integer NOT NULL DEFAULT 1;
UPDATE service_target
SET cpu_count = 1, memory_bytes = 4294967296
WHERE inference_specification = 'modelarts.vm.cpu.free';
ALTER TABLE service_target
    ALTER COLUMN cpu_count DROP DEFAULT,
    ALTER COLUMN memory_bytes DROP DEFAULT;

-- `placed_at`: since when it has its target's size of the service's pool; PENDING ones have not.
ALTER TABLE service_instance
    DROP CONSTRAINT service_instance_state_check,
    ADD CONSTRAINT service_instance_state_check CHECK (state IN ('PENDING', 'STARTING', 'READY', 'EXITED')),
    DROP CONSTRAINT service_instance_workspace_id_service_target_id_number_key,
    ADD COLUMN placed_at timestamptz,
    ADD COLUMN isolation text;
UPDATE service_instance
SET placed_at = created_at, number = renumbered.number
FROM (
    SELECT id, row_number() OVER (PARTITION BY workspace_id, service_id ORDER BY created_at, id) AS number
    FROM service_instance
) AS renumbered
WHERE renumbered.id = service_instance.id;
ALTER TABLE service_instance ADD UNIQUE (workspace_id, service_id, number);
UPDATE service
SET last_instance_number = (
    SELECT coalesce(max(instance.number), 0)
    FROM service_instance AS instance
    WHERE instance.workspace_id = service.workspace_id
    AND instance.service_id = service.id
);
CREATE INDEX service_instance_target ON service_instance (workspace_id, service_target_id);
-- What is placed in a pool is found from the instances that have a place, of which there are few.
CREATE INDEX service_instance_placed ON service_instance (workspace_id, service_id) WHERE placed_at IS NOT NULL;

-- Lines outlive the instance that printed them.
ALTER TABLE service_log_line
    ADD COLUMN model_version_id uuid,
    ADD COLUMN instance_number integer;
CREATE INDEX service_log_line_model_version ON service_log_line (workspace_id, service_id, model_version_id, number);
CREATE INDEX service_log_line_instance ON service_log_line (workspace_id, service_id, service_instance_id, number);
CREATE INDEX service_log_line_written_at ON service_log_line (written_at);

ALTER TABLE operation
    DROP CONSTRAINT operation_kind_check,
    ADD CONSTRAINT operation_kind_check CHECK (kind IN
        ('IMPORT_MODEL', 'VERIFY_MODEL_VERSION', 'CLEAN_UP', 'DEPLOY_SERVICE', 'UPDATE_SERVICE', 'ROLL_BACK_SERVICE',
        'RESTART_SERVICE', 'START_SERVICE', 'STOP_SERVICE', 'DELETE_SERVICE'));

ALTER TABLE resource_pool ALTER COLUMN workspace_id SET (n_distinct = 10);

-- The views.
DROP VIEW reading.service_of_model_version, reading.service, reading.any_service, reading.service_target,
    reading.service_instance, reading.log_line;

-- Grouped, so that Postgres leaves the sums out where nobody asks for them.
CREATE VIEW reading.resource_pool AS
SELECT pool.id, pool.workspace_id, pool.name, pool.name COLLATE "C" AS name_key, pool.kind, pool.description,
    pool.cpu_count, pool.memory_bytes, pool.gpu_count, pool.ascend_count, pool.revision, pool.created_at,
    pool.created_by, coalesce(used.cpu_count, 0) AS used_cpu_count, coalesce(used.memory_bytes, 0) AS used_memory_bytes,
    coalesce(used.gpu_count, 0) AS used_gpu_count, coalesce(used.ascend_count, 0) AS used_ascend_count,
    coalesce(used.instance_count, 0) AS instance_count
FROM public.resource_pool AS pool
LEFT JOIN (
    SELECT service.workspace_id, service.resource_pool_id, sum(target.cpu_count) AS cpu_count,
        sum(target.memory_bytes)::bigint AS memory_bytes, sum(target.gpu_count) AS gpu_count,
        sum(target.ascend_count)::integer AS ascend_count, count(*)::integer AS instance_count
    FROM public.service AS service
    JOIN public.service_instance AS instance
        ON instance.workspace_id = service.workspace_id
        AND instance.service_id = service.id
    JOIN public.service_target AS target
        ON target.workspace_id = instance.workspace_id
        AND target.id = instance.service_target_id
    WHERE service.deleted_at IS NULL
    AND instance.placed_at IS NOT NULL
    GROUP BY service.workspace_id, service.resource_pool_id
) AS used
    ON used.workspace_id = pool.workspace_id
    AND used.resource_pool_id = pool.id;

CREATE VIEW reading.inference_specification AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, description, cpu_count, memory_bytes, gpu_count,
    ascend_count, created_at, created_by
FROM public.inference_specification;

-- Deleted services too: whoever ends one is shown it once more.
CREATE VIEW reading.any_service AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, description, deployment_type, status, status_message,
    progress, desired_state, revision, created_at, created_by, deleted_at, last_configuration_number,
    routed_configuration_number, resource_pool_id, access, max_body_bytes, timeout_seconds, requests_per_second,
    request_burst, checks_inputs, auto_stop_after_seconds, auto_stop_at, updated_at, started_at, finished_at,
    CASE deployment_type
        WHEN 'REAL_TIME' THEN 'RealTimeService'
        WHEN 'BATCH' THEN 'BatchService'
        ELSE 'EdgeService'
    END AS type_name
FROM public.service;

CREATE VIEW reading.service AS
SELECT *
FROM reading.any_service
WHERE deleted_at IS NULL;

-- Each configuration that a service had and has, with whether it is the one that is wanted, and that is routed to.
CREATE VIEW reading.service_configuration AS
SELECT configuration.id, configuration.workspace_id, configuration.service_id, configuration.number,
    configuration.cause, configuration.restored_number, configuration.state, configuration.message,
    configuration.created_at, configuration.created_by, configuration.finished_at,
    service.last_configuration_number = configuration.number AS is_wanted,
    coalesce(service.routed_configuration_number = configuration.number, false) AS is_routed
FROM public.service_configuration AS configuration
JOIN public.service AS service
    ON service.workspace_id = configuration.workspace_id AND service.id = configuration.service_id;

-- A row for each version in every configuration.
CREATE VIEW reading.any_service_target AS
SELECT target.id, target.workspace_id, target.service_configuration_id, configuration.service_id,
    configuration.number AS configuration_number, target.model_version_id, target.position, target.weight,
    target.inference_specification AS inference_specification_name, target.cpu_count, target.memory_bytes,
    target.gpu_count, target.ascend_count, target.instance_count, target.environment::json AS environment,
    (
        SELECT count(*)::integer
        FROM public.service_instance AS instance
        WHERE instance.workspace_id = target.workspace_id
        AND instance.service_target_id = target.id
        AND instance.state = 'READY'
    ) AS ready_instance_count
FROM public.service_target AS target
JOIN public.service_configuration AS configuration
    ON configuration.workspace_id = target.workspace_id AND configuration.id = target.service_configuration_id;

-- A row for each version in the configuration that is wanted of each service.
CREATE VIEW reading.service_target AS
SELECT target.*
FROM reading.any_service_target AS target
JOIN public.service AS service
    ON service.workspace_id = target.workspace_id
    AND service.id = target.service_id
    AND service.last_configuration_number = target.configuration_number;

CREATE VIEW reading.service_of_model_version AS
SELECT service.*, target.model_version_id
FROM reading.service AS service
JOIN public.service_configuration AS configuration
    ON configuration.workspace_id = service.workspace_id
    AND configuration.service_id = service.id
    AND configuration.number = service.last_configuration_number
JOIN public.service_target AS target
    ON target.workspace_id = configuration.workspace_id AND target.service_configuration_id = configuration.id;

CREATE VIEW reading.service_instance AS
SELECT id, workspace_id, service_id, service_target_id, number, state, reason, attempts, next_attempt_at, ready_at,
    placed_at, isolation, created_at
FROM public.service_instance;

CREATE VIEW reading.log_line AS
SELECT workspace_id, service_id, number, service_instance_id AS instance_id, instance_number, model_version_id,
    written_at, text
FROM public.service_log_line;
