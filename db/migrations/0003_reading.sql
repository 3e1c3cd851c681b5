-- What the schema reads: a view per type, its columns named as the type's fields. Whatever is computed is computed here.
-- A view's rows carry the workspace_id that every reader restricts; its joins never leave the workspace. Joins are LEFT
-- where a reader may not need them: Postgres drops those whose columns nobody asks for.
CREATE SCHEMA reading;

-- What the reader puts where the schema promises a value and there is none: the error makes it answer more slowly but
-- exactly. Not IMMUTABLE, or it would be raised while a statement is planned.
CREATE FUNCTION reading.absent() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
    RAISE EXCEPTION 'a value that is never null is null' USING ERRCODE = 'MY001';
END
$$;

CREATE FUNCTION reading.version_text(number integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT (number / 10000)::text || '.' || (number / 100 % 100)::text || '.' || (number % 100)::text
$$;

CREATE VIEW reading.training_job AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, description, revision, created_at, created_by
FROM public.training_job;

CREATE VIEW reading.training_job_version AS
SELECT id, workspace_id, training_job_id, number, name,
    status, status_message, revision, algorithm_kind,
    CASE algorithm_kind
        WHEN 'BUILT_IN' THEN 'BuiltInAlgorithmRun'
        WHEN 'FRAMEWORK' THEN 'FrameworkRun'
        ELSE 'CustomImageRun'
    END AS algorithm_type,
    built_in_algorithm AS algorithm_name,
    ai_engine AS algorithm_ai_engine,
    ai_engine_version AS algorithm_version,
    image AS algorithm_image,
    parameters::json AS parameters,
    metrics::json AS metrics,
    architecture, region, output_store, output_key,
    CASE WHEN is_output_assigned THEN output_store END AS model_directory_store,
    CASE WHEN is_output_assigned THEN output_key || '/model' END AS model_directory_key,
    created_at, started_at, finished_at,
    extract(epoch FROM finished_at - started_at)::double precision AS duration_seconds,
    CASE WHEN status = 'COMPLETED' THEN region END AS importable_region
FROM public.training_job_version;

CREATE VIEW reading.upload AS
SELECT id, workspace_id, training_job_version_id, expires_at, completed_at, created_at
FROM public.upload;

CREATE VIEW reading.upload_file AS
SELECT workspace_id, upload_id, number, path, size_bytes, store_upload_id
FROM public.upload_file;

CREATE VIEW reading.model AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, revision, version_count, created_at, created_by,
    CASE WHEN last_version_number < 999999 THEN reading.version_text(last_version_number + 1) END AS next_version
FROM public.model;

CREATE VIEW reading.model_version AS
SELECT version.id, version.workspace_id, version.model_id, model.name AS model_name, version.version_number,
    version.version, version.status, version.revision,
    version.problems::json AS problems, version.warnings::json AS warnings,
    version.description, version.labels, version.documents::json AS documents, version.origin,
    CASE version.source_kind
        WHEN 'TRAINING_JOB' THEN 'TrainingJobSource'
        WHEN 'OBJECT_STORAGE' THEN 'ObjectStorageSource'
        WHEN 'TEMPLATE' THEN 'TemplateSource'
        ELSE 'ContainerImageSource'
    END AS source_type,
    version.training_job_version_id, job.name AS training_job_name, version.source_store, version.source_key,
    version.ai_engine, version.algorithm, version.requested_runtime, version.runtime,
    coalesce(version.deployment_types, version.chosen_deployment_types, '{}') AS deployment_types,
    version.inference_code_path,
    CASE WHEN version.inference_code_path IS NOT NULL THEN version.source_store END AS inference_code_store,
    version.source_key || '/' || version.inference_code_path AS inference_code_key,
    (
        SELECT encode(file.sha256, 'hex')
        FROM public.model_file AS file
        WHERE file.workspace_id = version.workspace_id
        AND file.model_version_id = version.id
        AND file.path = version.inference_code_path
    ) AS inference_code_sha256,
    version.apis, version.dependencies::json AS dependencies,
    coalesce(
        version.minimum_cpu_count, version.minimum_memory_bytes, version.minimum_gpu_count, version.minimum_ascend_count
    ) AS minimum_amount,
    version.minimum_cpu_count, version.minimum_memory_bytes, version.minimum_gpu_count, version.minimum_ascend_count,
    nullif(version.metrics, '{}')::json AS metrics, version.health_check::json AS health_check, version.config,
    version.size_bytes, coalesce(version.size_bytes, 0) AS size_key,
    version.digest AS digest_bytes, encode(version.digest, 'hex') AS digest,
    version.created_at, version.created_by
FROM public.model_version AS version
LEFT JOIN public.model AS model ON model.workspace_id = version.workspace_id AND model.id = version.model_id
LEFT JOIN public.training_job_version AS run
    ON run.workspace_id = version.workspace_id AND run.id = version.training_job_version_id
LEFT JOIN public.training_job AS job ON job.workspace_id = run.workspace_id AND job.id = run.training_job_id
WHERE version.deleted_at IS NULL;

CREATE VIEW reading.normal_model_version AS
SELECT *
FROM reading.model_version
WHERE status = 'NORMAL';

CREATE VIEW reading.model_file AS
SELECT workspace_id, model_version_id, path COLLATE "C" AS path, size_bytes, encode(sha256, 'hex') AS sha256,
    scan_state AS scan, scan_globals, scan_reason
FROM public.model_file;

CREATE VIEW reading.environment_build AS
SELECT id, workspace_id, model_version_id, state, digest, runtime, requirements, log, started_at, finished_at
FROM public.environment_build;

CREATE VIEW reading.background_operation AS
SELECT id, workspace_id, subject_id, kind, state, stage, progress, attempts, error::json AS error,
    created_at, created_by, started_at, finished_at
FROM public.operation;

CREATE VIEW reading.audit_event AS
SELECT workspace_id, number, kind, subject_id, actor, data, occurred_at
FROM public.event;

-- Deleted services too: whoever ends one is shown it once more.
CREATE VIEW reading.any_service AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, description, deployment_type, status, status_message,
    progress, desired_state, revision, created_at, created_by, deleted_at, last_configuration_number,
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

-- A row for each version in the configuration in force of each service.
CREATE VIEW reading.service_target AS
SELECT target.id, target.workspace_id, configuration.service_id, target.model_version_id, target.position,
    target.weight, target.inference_specification AS inference_specification_name, target.instance_count,
    target.environment::json AS environment,
    (
        SELECT count(*)::integer
        FROM public.service_instance AS instance
        WHERE instance.workspace_id = target.workspace_id
        AND instance.service_target_id = target.id
        AND instance.state = 'READY'
    ) AS ready_instance_count
FROM public.service_target AS target
JOIN public.service_configuration AS configuration
    ON configuration.workspace_id = target.workspace_id AND configuration.id = target.service_configuration_id
JOIN public.service AS service
    ON service.workspace_id = configuration.workspace_id
    AND service.id = configuration.service_id
    AND service.last_configuration_number = configuration.number;

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
SELECT id, workspace_id, service_target_id, number, state, reason, attempts, next_attempt_at, ready_at
FROM public.service_instance;

CREATE VIEW reading.log_line AS
SELECT workspace_id, service_id, number, service_instance_id AS instance_id, written_at, text
FROM public.service_log_line;

-- Each order has its index, and each filter but deployment types, of which services have one so far, and labels.
CREATE INDEX training_job_name_key ON training_job (workspace_id, name COLLATE "C");
CREATE INDEX training_job_version_created_at ON training_job_version (workspace_id, created_at);
CREATE INDEX training_job_version_algorithm ON training_job_version (workspace_id, algorithm_kind, id);
CREATE INDEX training_job_version_importable ON training_job_version
    (workspace_id, (CASE WHEN status = 'COMPLETED' THEN region END), id);
CREATE INDEX model_name_key ON model (workspace_id, name COLLATE "C");
CREATE UNIQUE INDEX model_version_name ON model_version (workspace_id, model_id, version);
CREATE INDEX model_version_ai_engine ON model_version (workspace_id, ai_engine, id);
CREATE INDEX model_version_digest ON model_version (workspace_id, digest);
CREATE INDEX model_version_created_at ON model_version (workspace_id, created_at);
CREATE INDEX model_version_size ON model_version (workspace_id, (coalesce(size_bytes, 0)), id)
    WHERE deleted_at IS NULL;
-- Filters in the order of sizes: a state that few versions are in must not be looked for among all of them.
CREATE INDEX model_version_status_size ON model_version (workspace_id, status, (coalesce(size_bytes, 0)), id)
    WHERE deleted_at IS NULL;
CREATE INDEX model_version_ai_engine_size ON model_version (workspace_id, ai_engine, (coalesce(size_bytes, 0)), id)
    WHERE deleted_at IS NULL;
CREATE INDEX model_version_model ON model_version (workspace_id, model_id, id) WHERE deleted_at IS NULL;
CREATE INDEX model_version_model_size ON model_version (workspace_id, model_id, (coalesce(size_bytes, 0)), id)
    WHERE deleted_at IS NULL;
-- An index on labels would serve counts alone, as it has no order, and it knows no workspace: to count three versions
-- with a label that 200,000 of another workspace have, it read 200,003 rows in 400 ms; without it, three.
CREATE INDEX model_file_path ON model_file (workspace_id, model_version_id, path COLLATE "C");
CREATE INDEX service_name_key ON service (workspace_id, name COLLATE "C") WHERE deleted_at IS NULL;
CREATE INDEX service_status ON service (workspace_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX operation_kind ON operation (workspace_id, kind, id);
CREATE INDEX event_kind ON event (workspace_id, kind, number);
CREATE INDEX event_actor ON event (workspace_id, actor, number);
CREATE INDEX event_occurred_at ON event (workspace_id, occurred_at);

-- A sample of a table in which one workspace has nearly everything shows that one alone. Postgres would take the
-- condition on the workspace for no condition, and read a large one's rows to answer a small one.
ALTER TABLE training_job ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE training_job_version ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE upload ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE model ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE model_version ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE service ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE operation ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE event ALTER COLUMN workspace_id SET (n_distinct = 10);
