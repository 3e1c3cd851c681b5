-- Finding models and versions: parts of names, labels, the orders by name and number, and counts by what they have.

-- Both are trusted: whoever owns the database may create them.
DO $$
DECLARE
    needed text;
BEGIN
    FOREACH needed IN ARRAY ARRAY['pg_trgm', 'btree_gin'] LOOP
        BEGIN
            EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I', needed);
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the extension % is needed, and this role may not create it; have the owner of the database run CREATE EXTENSION %', needed, needed;
            WHEN undefined_file OR feature_not_supported THEN
                RAISE EXCEPTION 'the extension % is needed, and this server does not have it; it comes with Postgres, in packages of Linux distributions often as postgresql-contrib', needed;
        END;
    END LOOP;
END
$$;

-- What has no order: parts of names, and what an array holds. Versions are found by their models' names.
-- Managed servers have extensions in a schema of their own, which is not always on the search path.
DO $$
BEGIN
    EXECUTE format(
        'CREATE INDEX model_name_part ON model USING gin (workspace_id, name %s.gin_trgm_ops)',
        (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm')
    );
END
$$;
CREATE INDEX model_version_label ON model_version USING gin (workspace_id, labels);
CREATE INDEX model_version_deployment_type ON model_version
    USING gin (workspace_id, (coalesce(deployment_types, chosen_deployment_types, '{}')));

CREATE INDEX model_version_by_name ON model_version (workspace_id, model_name COLLATE "C", version_number, id)
    WHERE deleted_at IS NULL;
CREATE INDEX model_version_by_number ON model_version (workspace_id, version_number, id) WHERE deleted_at IS NULL;
-- The order of names among the versions of one model.
CREATE INDEX model_version_model_name ON model_version
    (workspace_id, model_id, model_name COLLATE "C", version_number, id)
    WHERE deleted_at IS NULL;

CREATE INDEX model_version_origin ON model_version (workspace_id, origin, id);
CREATE INDEX model_version_source_type ON model_version (
    workspace_id,
    (
        CASE source_kind
            WHEN 'TRAINING_JOB' THEN 'TrainingJobSource'
            WHEN 'OBJECT_STORAGE' THEN 'ObjectStorageSource'
            WHEN 'TEMPLATE' THEN 'TemplateSource'
            WHEN 'CONTAINER_IMAGE' THEN 'ContainerImageSource'
            ELSE 'MarketSource'
        END
    ),
    id
);
CREATE INDEX model_version_created_by ON model_version (workspace_id, created_by, id);
CREATE INDEX model_created_by ON model (workspace_id, created_by, id);
CREATE INDEX model_created_at ON model (workspace_id, created_at);

COMMENT ON FUNCTION new_id() IS
    'Called as the row is written. Filters by created_at look among ids of an hour before and after: no row keeps an id
that is older or younger than that, nor gets its created_at from elsewhere.';

-- What facets count, without a look at the versions themselves. The view's joins are dropped where nobody needs them,
-- but Postgres then still takes the column that they begin with for one that has to be read.
CREATE INDEX model_version_facet ON model_version (workspace_id, status, ai_engine, origin, created_by)
    INCLUDE (training_job_version_id, deployment_types, chosen_deployment_types, labels)
    WHERE deleted_at IS NULL AND purged_at IS NULL;
