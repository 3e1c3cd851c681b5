-- Every source of an import, what follows an import, and what an importer chose.

-- What a workspace does with what scans find; null is the installation's setting.
ALTER TABLE workspace
    ADD COLUMN suspicious_pickles text CHECK (suspicious_pickles IN ('BLOCK', 'WARN', 'ALLOW')),
    ADD COLUMN unknown_pickles text CHECK (unknown_pickles IN ('BLOCK', 'WARN', 'ALLOW')),
    ADD COLUMN unscanned_files text CHECK (unscanned_files IN ('BLOCK', 'WARN', 'ALLOW')),
    ADD COLUMN revision integer NOT NULL DEFAULT 1;

-- What lay in the output when it was last looked at; null until then.
ALTER TABLE training_job_version
    ADD COLUMN output_object_count integer,
    ADD COLUMN output_size_bytes bigint,
    ADD COLUMN output_modified_at timestamptz,
    ADD COLUMN output_checked_at timestamptz;

UPDATE training_job_version AS version
SET output_object_count = counted.object_count, output_size_bytes = counted.size_bytes,
    output_modified_at = counted.completed_at, output_checked_at = counted.completed_at
FROM (
    SELECT upload.workspace_id, upload.training_job_version_id, count(*)::integer AS object_count,
        sum(file.size_bytes)::bigint AS size_bytes, max(upload.completed_at) AS completed_at
    FROM upload
    JOIN upload_file AS file ON file.workspace_id = upload.workspace_id AND file.upload_id = upload.id
    WHERE upload.state = 'COMPLETED'
    GROUP BY upload.workspace_id, upload.training_job_version_id
) AS counted
WHERE counted.workspace_id = version.workspace_id
AND counted.training_job_version_id = version.id;

ALTER TABLE model
    -- The model of another workspace that a subscription copies. Such a model takes no imports.
    ADD COLUMN publisher_model_id uuid,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN deleted_by text;

ALTER TABLE model_version
    DROP CONSTRAINT model_version_source_kind_check,
    ADD CONSTRAINT model_version_source_kind_check
        CHECK (source_kind IN ('TRAINING_JOB', 'OBJECT_STORAGE', 'TEMPLATE', 'CONTAINER_IMAGE', 'MARKET')),
    -- The model's, which never changes: the key of indexes that a join would not reach.
    ADD COLUMN model_name text,
    -- The source as the importer named it; source_store and source_key are where the package was found.
    ADD COLUMN chosen_store text,
    ADD COLUMN chosen_key text,
    ADD COLUMN template text CHECK ((source_kind = 'TEMPLATE') = (template IS NOT NULL)),
    ADD COLUMN chosen_input_output_mode text,
    ADD COLUMN image text CHECK ((source_kind = 'CONTAINER_IMAGE') = (image IS NOT NULL)),
    ADD COLUMN image_command text,
    ADD COLUMN chosen_health_check jsonb,
    ADD COLUMN chosen_config text,
    -- What the import found.
    ADD COLUMN input_output_mode text,
    ADD COLUMN container jsonb,
    ADD COLUMN scan jsonb,
    ADD COLUMN provenance jsonb,
    -- What the last verification found.
    ADD COLUMN integrity jsonb,
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN deleted_by text,
    -- Until when a deleted version can be restored, and when its bytes were let go.
    ADD COLUMN restorable_until timestamptz,
    ADD COLUMN purged_at timestamptz;

UPDATE model_version AS version
SET model_name = model.name
FROM model
WHERE model.workspace_id = version.workspace_id
AND model.id = version.model_id;

ALTER TABLE model_version ALTER COLUMN model_name SET NOT NULL;

-- Whoever brings a file in says so before its bytes are looked for: what was touched lately is not deleted.
ALTER TABLE stored_blob ADD COLUMN touched_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX stored_blob_touched_at ON stored_blob (touched_at);

-- A row for each time that a name pointed at a version; the one without an end holds now.
CREATE TABLE model_alias (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL,
    model_id uuid NOT NULL,
    -- Counts the model's rows from 1: the order in which its aliases were set.
    number integer NOT NULL,
    name text NOT NULL,
    model_version_id uuid NOT NULL,
    set_at timestamptz NOT NULL,
    set_by text NOT NULL,
    ended_at timestamptz CHECK (ended_at > set_at),
    ended_by text,
    UNIQUE (workspace_id, id),
    UNIQUE (workspace_id, model_id, number),
    FOREIGN KEY (workspace_id, model_id) REFERENCES model (workspace_id, id),
    FOREIGN KEY (workspace_id, model_version_id) REFERENCES model_version (workspace_id, id)
);
CREATE UNIQUE INDEX model_alias_current ON model_alias (workspace_id, model_id, name COLLATE "C") WHERE ended_at IS NULL;
CREATE INDEX model_alias_name ON model_alias (workspace_id, model_id, name, set_at);
CREATE INDEX model_alias_model_version ON model_alias (workspace_id, model_version_id);

-- What a workspace shows all others. It holds a copy of what they may see; workspace_id is the publisher's.
CREATE TABLE market_listing (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL,
    model_id uuid NOT NULL,
    model_version_id uuid NOT NULL,
    publisher text NOT NULL,
    model_name text NOT NULL,
    version_number integer NOT NULL,
    version text NOT NULL,
    title text,
    description text,
    labels text[] NOT NULL DEFAULT '{}',
    documents jsonb NOT NULL DEFAULT '[]',
    ai_engine text,
    algorithm text,
    runtime text,
    deployment_types text[] NOT NULL DEFAULT '{}',
    apis json NOT NULL DEFAULT '[]',
    dependencies jsonb NOT NULL DEFAULT '[]',
    metrics jsonb,
    size_bytes bigint,
    digest bytea,
    scan jsonb,
    provenance jsonb,
    revision integer NOT NULL DEFAULT 1,
    published_at timestamptz NOT NULL DEFAULT now(),
    published_by text NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_by text,
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, model_id) REFERENCES model (workspace_id, id),
    FOREIGN KEY (workspace_id, model_version_id) REFERENCES model_version (workspace_id, id)
);
-- A version has one listing, which may be withdrawn and put back. Everybody reads what is in force, so these do not
-- begin with a workspace.
CREATE UNIQUE INDEX market_listing_model_version ON market_listing (model_version_id);
CREATE INDEX market_listing_in_force ON market_listing (id) WHERE withdrawn_at IS NULL;
CREATE INDEX market_listing_name ON market_listing (model_name COLLATE "C", id) WHERE withdrawn_at IS NULL;
CREATE INDEX market_listing_ai_engine ON market_listing (ai_engine, id) WHERE withdrawn_at IS NULL;
CREATE INDEX market_listing_publisher ON market_listing (publisher, id) WHERE withdrawn_at IS NULL;

CREATE TABLE market_subscription (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL,
    market_listing_id uuid NOT NULL REFERENCES market_listing (id),
    model_id uuid NOT NULL,
    model_version_id uuid NOT NULL,
    -- The listing's, which may be withdrawn.
    publisher text NOT NULL,
    published_model_name text NOT NULL,
    version text NOT NULL,
    subscribed_at timestamptz NOT NULL DEFAULT now(),
    subscribed_by text NOT NULL,
    ended_at timestamptz,
    ended_by text,
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, model_id) REFERENCES model (workspace_id, id),
    FOREIGN KEY (workspace_id, model_version_id) REFERENCES model_version (workspace_id, id)
);
CREATE UNIQUE INDEX market_subscription_listing ON market_subscription (workspace_id, market_listing_id)
    WHERE ended_at IS NULL;
CREATE INDEX market_subscription_model ON market_subscription (workspace_id, model_id, id);
CREATE INDEX market_subscription_model_version ON market_subscription (workspace_id, model_version_id, id);

ALTER TABLE operation
    DROP CONSTRAINT operation_kind_check,
    ADD CONSTRAINT operation_kind_check CHECK (kind IN
        ('IMPORT_MODEL', 'VERIFY_MODEL_VERSION', 'CLEAN_UP', 'DEPLOY_SERVICE', 'START_SERVICE', 'STOP_SERVICE',
        'DELETE_SERVICE'));

-- The views of what has changed. A view of all columns of another is made anew with it.
DROP VIEW reading.normal_model_version, reading.model_version, reading.model, reading.training_job_version;

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
    output_object_count AS contents_object_count,
    output_size_bytes AS contents_size_bytes,
    output_modified_at AS contents_modified_at,
    output_checked_at AS contents_checked_at,
    output_modified_at > finished_at AS contents_is_newer_than_training,
    created_at, started_at, finished_at,
    extract(epoch FROM finished_at - started_at)::double precision AS duration_seconds,
    CASE WHEN status = 'COMPLETED' AND output_object_count > 0 THEN region END AS importable_region
FROM public.training_job_version;

-- Deleted models too: an alias's history may lead to one.
CREATE VIEW reading.any_model AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, revision, version_count, created_at, created_by, deleted_at,
    deleted_by, publisher_model_id IS NOT NULL AS is_subscribed,
    CASE
        WHEN publisher_model_id IS NULL AND last_version_number < 999999
            THEN reading.version_text(last_version_number + 1)
    END AS next_version
FROM public.model;

CREATE VIEW reading.model AS
SELECT *
FROM reading.any_model
WHERE deleted_at IS NULL;

-- What came from the market comes back with a subscription alone: it is not to be restored.
CREATE VIEW reading.deleted_model AS
SELECT *
FROM reading.any_model
WHERE deleted_at IS NOT NULL
AND NOT is_subscribed;

-- Deleted versions too, until their bytes are let go: whoever deletes or restores one is shown it.
CREATE VIEW reading.any_model_version AS
SELECT version.id, version.workspace_id, version.model_id, version.model_name,
    version.model_name COLLATE "C" AS model_name_key, version.version_number,
    version.version, version.status, version.revision,
    version.problems::json AS problems, version.warnings::json AS warnings,
    version.description, version.labels, version.documents::json AS documents, version.origin,
    CASE version.source_kind
        WHEN 'TRAINING_JOB' THEN 'TrainingJobSource'
        WHEN 'OBJECT_STORAGE' THEN 'ObjectStorageSource'
        WHEN 'TEMPLATE' THEN 'TemplateSource'
        WHEN 'CONTAINER_IMAGE' THEN 'ContainerImageSource'
        ELSE 'MarketSource'
    END AS source_type,
    version.training_job_version_id, job.name AS training_job_name, version.source_store, version.source_key,
    version.chosen_store, version.chosen_key, version.template, version.image, version.image_command AS command,
    coalesce(version.input_output_mode, version.chosen_input_output_mode) AS input_output_mode,
    version.ai_engine, version.algorithm, version.requested_runtime, version.runtime,
    version.chosen_runtime IS NOT NULL AS is_runtime_chosen,
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
    nullif(version.metrics, '{}')::json AS metrics, version.health_check::json AS health_check,
    version.container::json AS container, version.config,
    version.size_bytes, coalesce(version.size_bytes, 0) AS size_key,
    version.digest AS digest_bytes, encode(version.digest, 'hex') AS digest,
    version.scan::json AS scan, version.provenance::json AS provenance, version.integrity::json AS integrity,
    version.integrity ->> 'state' AS integrity_state,
    version.status = 'NORMAL' AND version.origin <> 'MARKET' AND version.image IS NULL AND version.deleted_at IS NULL
    -- A value, which is looked up for each row: of NOT EXISTS all of a workspace's listings may be read.
    AND (
        SELECT listing.id
        FROM public.market_listing AS listing
        WHERE listing.workspace_id = version.workspace_id
        AND listing.model_version_id = version.id
        AND listing.withdrawn_at IS NULL
        LIMIT 1
    ) IS NULL AS is_publishable,
    version.created_at, version.created_by, version.deleted_at, version.deleted_by, version.restorable_until
FROM public.model_version AS version
LEFT JOIN public.training_job_version AS run
    ON run.workspace_id = version.workspace_id AND run.id = version.training_job_version_id
LEFT JOIN public.training_job AS job ON job.workspace_id = run.workspace_id AND job.id = run.training_job_id
WHERE version.purged_at IS NULL;

CREATE VIEW reading.model_version AS
SELECT *
FROM reading.any_model_version
WHERE deleted_at IS NULL;

CREATE VIEW reading.normal_model_version AS
SELECT *
FROM reading.model_version
WHERE status = 'NORMAL';

CREATE VIEW reading.deleted_model_version AS
SELECT *
FROM reading.any_model_version
WHERE deleted_at IS NOT NULL
AND origin <> 'MARKET';

DROP INDEX training_job_version_importable;
CREATE INDEX training_job_version_importable ON training_job_version
    (workspace_id, (CASE WHEN status = 'COMPLETED' AND output_object_count > 0 THEN region END), id);
CREATE INDEX model_deleted ON model (workspace_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX model_version_deleted ON model_version (workspace_id, id)
    WHERE deleted_at IS NOT NULL AND purged_at IS NULL;
CREATE INDEX model_version_deleted_of_model ON model_version (workspace_id, model_id, id)
    WHERE deleted_at IS NOT NULL AND purged_at IS NULL;
ALTER TABLE model_alias ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE market_subscription ALTER COLUMN workspace_id SET (n_distinct = 10);
-- A model has one or a few, whatever a sample says in which one model has nearly all.
ALTER TABLE market_subscription ALTER COLUMN model_id SET (n_distinct = -0.5);

-- Aliases, and what a deletion leaves to be shown: the model of a version that can be restored.
CREATE VIEW reading.any_model_alias AS
SELECT alias.id, alias.workspace_id, alias.model_id, alias.number, alias.name, alias.name COLLATE "C" AS name_key,
    alias.model_version_id, version.version, alias.set_at, alias.set_by, alias.ended_at, alias.ended_by,
    coalesce(alias.ended_at, 'infinity') AS end_key
FROM public.model_alias AS alias
LEFT JOIN public.model_version AS version
    ON version.workspace_id = alias.workspace_id AND version.id = alias.model_version_id;

CREATE VIEW reading.model_alias AS
SELECT *
FROM reading.any_model_alias
WHERE ended_at IS NULL;

-- The market's views. reading.market_listing is the one whose rows every workspace may read.
CREATE VIEW reading.market_listing AS
SELECT id, workspace_id, model_version_id, publisher, model_name, model_name COLLATE "C" AS name_key, version, title,
    description, labels, documents::json AS documents, ai_engine, algorithm, runtime, deployment_types, apis,
    dependencies::json AS dependencies, metrics::json AS metrics, size_bytes, encode(digest, 'hex') AS digest,
    scan::json AS scan, provenance::json AS provenance, published_at
FROM public.market_listing
WHERE withdrawn_at IS NULL;

-- Ended subscriptions too: whoever ends one is shown it once more.
CREATE VIEW reading.any_market_subscription AS
SELECT id, workspace_id, market_listing_id, model_id, model_version_id, publisher, published_model_name, version,
    subscribed_at, subscribed_by, ended_at
FROM public.market_subscription;

CREATE VIEW reading.market_subscription AS
SELECT *
FROM reading.any_market_subscription
WHERE ended_at IS NULL;
