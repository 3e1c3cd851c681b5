"""The statements that fill a workspace with large data: all of them INSERT … SELECT over a series of numbers."""

# As volatile as what they call, so that Postgres inlines them.
FUNCTIONS = """
CREATE OR REPLACE FUNCTION pg_temp.moment(number bigint) RETURNS timestamptz
LANGUAGE sql STABLE
AS $$ SELECT timestamptz '2026-01-01 00:00:00.123457+00' + number * interval '7.013 seconds' $$;

CREATE OR REPLACE FUNCTION pg_temp.seeded_id(kind text, workspace_id uuid, number bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE
AS $$
    SELECT (
        lpad(to_hex(1767225600123 + number * 7013), 12, '0')
        || '7' || substr(md5(kind || workspace_id::text || number::text), 1, 3)
        || '8' || substr(md5(kind || workspace_id::text || number::text), 4, 15)
    )::uuid
$$;

CREATE OR REPLACE FUNCTION pg_temp.chosen(number bigint, VARIADIC choices text[]) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$ SELECT choices[1 + number % cardinality(choices)] $$;
"""
TRAINING_JOBS = """
INSERT INTO training_job (id, workspace_id, name, description, last_version_number, revision, created_at, created_by)
SELECT pg_temp.seeded_id('job', $1, number), $1, 'training-job-' || lpad(number::text, 6, '0'),
    CASE WHEN number % 3 > 0 THEN 'Trains the recogniser of line ' || number || ' on the pictures of a month.' END,
    ceil($3::numeric / $2), ceil($3::numeric / $2), pg_temp.moment(number), pg_temp.chosen(number, 'ci', 'anna', 'bo')
FROM generate_series(1::bigint, $2) AS number
"""
TRAINING_JOB_VERSIONS = """
INSERT INTO training_job_version (
    id, workspace_id, training_job_id, number, status, status_message, algorithm_kind, built_in_algorithm, ai_engine,
    ai_engine_version, image, parameters, metrics, architecture, region, output_store, output_key, is_output_assigned,
    output_object_count, output_size_bytes, output_modified_at, output_checked_at, started_at, finished_at,
    revision, created_at, created_by
)
SELECT pg_temp.seeded_id('run', $1, number), $1, pg_temp.seeded_id('job', $1, 1 + (number - 1) % $3),
    1 + (number - 1) / $3, status,
    CASE status WHEN 'FAILED' THEN 'The process ended with exit code 137: out of memory.' END, algorithm_kind,
    CASE algorithm_kind WHEN 'BUILT_IN' THEN 'scikit_learn_classification' END,
    CASE algorithm_kind WHEN 'FRAMEWORK' THEN pg_temp.chosen(number / 4, 'PYTORCH', 'TENSORFLOW', 'XGBOOST') END,
    CASE algorithm_kind WHEN 'FRAMEWORK' THEN '2.' || number % 10 || '.0' END,
    CASE algorithm_kind WHEN 'CUSTOM_IMAGE' THEN 'registry.example.org/train/vision:' || number % 50 END,
    jsonb_build_array(
        jsonb_build_object('name', 'learning_rate', 'value', (0.0001 * (1 + number % 90))::text),
        jsonb_build_object('name', 'epochs', 'value', (5 + number % 60)::text)
    ),
    jsonb_build_array(
        jsonb_build_object('name', 'accuracy', 'value', 0.5 + number % 499 / 1000.0),
        jsonb_build_object('name', 'f1', 'value', 0.4 + number % 499 / 1000.0)
    ),
    CASE WHEN number % 5 > 0 THEN pg_temp.chosen(number, 'X86_64', 'AARCH64') END, 'local', 'default',
    'workspaces/' || $1 || '/training/' || number, number % 7 > 0,
    CASE WHEN number % 9 > 0 THEN 4 ELSE 0 END, CASE WHEN number % 9 > 0 THEN 20000 + number ELSE 0 END,
    CASE WHEN number % 9 > 0 THEN pg_temp.moment(number) + interval '1 day' END,
    pg_temp.moment(number) + interval '1 day',
    pg_temp.moment(number) + interval '1 minute',
    CASE WHEN status <> 'RUNNING' THEN pg_temp.moment(number) + number % 700 * interval '13 seconds' END,
    1 + number % 4, pg_temp.moment(number), pg_temp.chosen(number, 'ci', 'anna', 'bo')
FROM (
    SELECT number,
        pg_temp.chosen(number / 3, 'COMPLETED', 'COMPLETED', 'COMPLETED', 'FAILED', 'STOPPED', 'RUNNING') AS status,
        pg_temp.chosen(number, 'FRAMEWORK', 'FRAMEWORK', 'BUILT_IN', 'CUSTOM_IMAGE') AS algorithm_kind
    FROM generate_series(1::bigint, $2) AS number
) AS given
"""
MODELS = """
INSERT INTO model (id, workspace_id, name, last_version_number, version_count, revision, created_at, created_by)
SELECT pg_temp.seeded_id('model', $1, number), $1, 'model-' || lpad(number::text, 6, '0'), $3, $3, $3,
    pg_temp.moment(number), pg_temp.chosen(number, 'ci', 'anna', 'bo')
FROM generate_series(1::bigint, $2) AS number
"""
_VERSIONS = """
INSERT INTO model_version (
    id, workspace_id, model_id, model_name, version_number, status, description, labels, documents, origin, source_kind,
    training_job_version_id, source_store, source_key, chosen_deployment_types, minimum_cpu_count,
    minimum_memory_bytes, deployment_types, ai_engine, algorithm, requested_runtime, runtime, requirements, config,
    apis, dependencies, metrics, inference_code_path, model_path, size_bytes, digest, problems, warnings, imported_at,
    revision, created_at, created_by, deleted_at
)
SELECT pg_temp.seeded_id({kind}, $1, number), $1, {model_id}, {model_name}, {version_number}, status,
    CASE WHEN number % 4 > 0 THEN 'Recognises what lies on the belt; trained again after the change of light, run '
        || number || '.' END,
    CASE number % 5 WHEN 0 THEN '{{}}'::text[] WHEN 1 THEN ARRAY['vision']
        WHEN 2 THEN ARRAY['vision', 'line-' || number % 40]
        ELSE ARRAY['table', 'production', 'team-' || number % 37] END,
    CASE WHEN number % 6 = 0 THEN jsonb_build_array(jsonb_build_object(
        'name', 'Model-card', 'url', 'https://docs.example.org/cards/' || number)) ELSE '[]' END,
    pg_temp.chosen(number, 'CUSTOM_ALGORITHM', 'CUSTOM_ALGORITHM', 'BUILT_IN_ALGORITHM'), 'TRAINING_JOB',
    pg_temp.seeded_id('run', $1, {training_job_version}), 'default',
    'workspaces/' || $1 || '/training/' || {training_job_version} || '/model',
    CASE WHEN number % 8 = 0 THEN ARRAY['REAL_TIME'] END,
    CASE WHEN number % 3 = 0 THEN 0.5 * (1 + number % 8) END, CASE WHEN number % 3 = 0 THEN (1 + number % 8) << 30 END,
    CASE WHEN number % 8 = 0 THEN ARRAY['REAL_TIME'] ELSE ARRAY['REAL_TIME', 'BATCH'] END, ai_engine,
    pg_temp.chosen(number / 5, 'image_classification', 'object_detection', 'predict_analysis'), 'python3.11',
    'python3.11', ARRAY['numpy==2.1.' || number % 5, 'pillow>=11'],
    '{{"model_type": "' || ai_engine || '", "model_algorithm": "image_classification", "runtime": "python3.11", '
        || '"dependencies": [{{"installer": "pip", "packages": [{{"package_name": "numpy", "package_version": "2.1.'
        || number % 5 || '", "restraint": "EXACT"}}]}}], "metrics": {{"f1": 0.5, "recall": 0.' || number % 9 || '}}}}',
    json_build_array(json_build_object(
        'url', '/', 'method', 'post', 'protocol', 'http', 'request_content_type', 'multipart/form-data',
        'response_content_type', 'application/json',
        'inputs', json_build_array(json_build_object(
            'name', 'images', 'type', 'file', 'description', 'The picture.', 'schema', NULL)),
        'outputs', json_build_array(json_build_object(
            'name', 'predicted_label', 'type', 'string', 'description', 'The class.',
            'schema', json_build_object('type', 'string'))),
        'request_schema', NULL, 'response_schema', NULL
    )),
    jsonb_build_array(jsonb_build_object(
        'installer', 'pip', 'package', 'numpy', 'version', '2.1.' || number % 5, 'restraint', 'EXACT')),
    CASE WHEN number % 4 > 0 THEN jsonb_build_object(
        'f1', 0.5 + number % 499 / 1000.0, 'recall', 0.4, 'precision', 0.6, 'accuracy', 0.5 + number % 450 / 1000.0
    ) END,
    CASE WHEN number % 2 = 0 THEN 'customize_service.py' END, 'model.bin',
    CASE status WHEN 'NORMAL' THEN 20000 + number * 7919 % 400000000 END,
    CASE status WHEN 'NORMAL' THEN sha256(number::text::bytea) END,
    CASE status WHEN 'NORMAL' THEN '[]'::jsonb ELSE jsonb_build_array(jsonb_build_object(
        'code', CASE status WHEN 'BUILD_FAILED' THEN 'BUILD_FAILED' ELSE 'CONFIG_MISSING' END,
        'message', 'There is no config.json in the model directory.', 'hint', NULL, 'file', 'config.json',
        'pointer', NULL, 'expected', NULL, 'actual', NULL)) END,
    '[]', CASE status WHEN 'NORMAL' THEN pg_temp.moment(number) + interval '41 seconds' END, 2 + number % 3,
    pg_temp.moment(number), pg_temp.chosen(number, 'ci', 'anna', 'bo'),
    CASE WHEN number % 1000 = 999 THEN pg_temp.moment(number) + interval '1 day' END
FROM (
    SELECT number,
        CASE number % 20 WHEN 7 THEN 'IMPORT_FAILED' WHEN 14 THEN 'BUILD_FAILED' ELSE 'NORMAL' END AS status,
        pg_temp.chosen(number / 7, 'PYTORCH', 'TENSORFLOW', 'SCIKIT_LEARN', 'XGBOOST', 'ONNX', 'MINDSPORE') AS ai_engine
    FROM generate_series(1::bigint, {count}) AS number
) AS given
"""
VERSIONS_OF_MODELS = _VERSIONS.format(
    kind="'version'",
    model_id="pg_temp.seeded_id('model', $1, 1 + (number - 1) / $3)",
    model_name="'model-' || lpad((1 + (number - 1) / $3)::text, 6, '0')",
    version_number="1 + (number - 1) % $3",
    training_job_version="number",
    count="$2",
)
ONE_MODEL = """
INSERT INTO model (id, workspace_id, name, last_version_number, version_count, revision, created_at, created_by)
VALUES (pg_temp.seeded_id($2, $1, 0), $1, $2, $3::bigint - 1, $3, $3, pg_temp.moment(0), 'ci')
"""
ONE_MODEL_VERSIONS = _VERSIONS.format(
    kind="'version of ' || $2",
    model_id="pg_temp.seeded_id($2, $1, 0)",
    model_name="$2",
    version_number="number - 1",
    training_job_version="(1 + (number - 1) % $4)",
    count="$3",
)
FILES = """
WITH given AS (
    SELECT pg_temp.seeded_id('version', $1, number) AS model_version_id, path, position,
        1000 + number % 1000 * 317 + position AS size_bytes, sha256((path || number % 1000)::bytea) AS sha256
    FROM generate_series(1::bigint, $2) AS number,
        unnest(ARRAY['config.json', 'customize_service.py', 'model.bin', 'variables/labels.json'])
            WITH ORDINALITY AS file (path, position)
), blob AS (
    INSERT INTO stored_blob (sha256, size_bytes)
    SELECT sha256, min(size_bytes)
    FROM given
    GROUP BY sha256
    ON CONFLICT DO NOTHING
)
INSERT INTO model_file (
    workspace_id, model_version_id, path, size_bytes, sha256, source_etag, scan_state, scan_globals, scan_reason
)
SELECT $1, model_version_id, path, size_bytes, sha256, md5(path),
    CASE position WHEN 3 THEN 'UNKNOWN' ELSE 'CLEAN' END,
    CASE position WHEN 3 THEN ARRAY['torch._utils._rebuild_tensor_v2', 'collections.OrderedDict'] ELSE '{}' END, NULL
FROM given
"""
IMPORTS = """
INSERT INTO operation (
    id, workspace_id, kind, state, stage, progress, attempts, error, subject_id, created_at, created_by, started_at,
    finished_at
)
SELECT pg_temp.seeded_id('import', $1, number), $1, 'IMPORT_MODEL',
    CASE model_version.status WHEN 'NORMAL' THEN 'SUCCEEDED' ELSE 'FAILED' END, 'FINISHING', 1, 1,
    CASE WHEN model_version.status <> 'NORMAL' THEN model_version.problems -> 0 END, model_version.id,
    model_version.created_at, model_version.created_by, model_version.created_at + interval '1 second',
    model_version.created_at + interval '42 seconds'
FROM generate_series(1::bigint, $2) AS number
JOIN model_version
    ON model_version.workspace_id = $1
    AND model_version.id = pg_temp.seeded_id('version', $1, number)
"""
SERVICES = """
INSERT INTO service (
    id, workspace_id, name, description, deployment_type, desired_state, status, status_message, progress, revision,
    last_configuration_number, routed_configuration_number, resource_pool_id, created_at, created_by, deleted_at
)
SELECT pg_temp.seeded_id('service', $1, number), $1, 'service-' || lpad(number::text, 6, '0'),
    CASE WHEN number % 2 = 0 THEN 'Answers the cameras of line ' || number || '.' END, 'REAL_TIME',
    CASE WHEN number % 10 = 0 THEN 'DELETED' ELSE 'STOPPED' END, 'STOPPED', NULL, 1, 1 + number % 5, 1, 1,
    (SELECT id FROM resource_pool WHERE workspace_id = $1 AND kind = 'SHARED'),
    pg_temp.moment(number), pg_temp.chosen(number, 'ci', 'anna', 'bo'),
    CASE WHEN number % 10 = 0 THEN pg_temp.moment(number) + interval '1 day' END
FROM generate_series(1::bigint, $2) AS number
"""
SERVICE_CONFIGURATIONS = """
INSERT INTO service_configuration (id, workspace_id, service_id, number, created_at, created_by)
SELECT pg_temp.seeded_id('configuration', $1, number), $1, pg_temp.seeded_id('service', $1, number), 1,
    pg_temp.moment(number), 'ci'
FROM generate_series(1::bigint, $2) AS number
"""
SERVICE_TARGETS = """
INSERT INTO service_target (
    id, workspace_id, service_configuration_id, model_version_id, position, weight, inference_specification,
    cpu_count, memory_bytes, instance_count, environment
)
SELECT pg_temp.seeded_id('target', $1, number * 2 + position), $1, pg_temp.seeded_id('configuration', $1, number),
    pg_temp.seeded_id('version', $1, 1 + (number * 13 + position) % $3), position,
    CASE WHEN number % 4 = 0 THEN 50 ELSE 100 END, 'modelarts.vm.cpu.2u', 2, 8589934592, 1 + number % 3,
    jsonb_build_array(jsonb_build_object('name', 'THRESHOLD', 'value', (number % 100)::text))
FROM generate_series(1::bigint, $2) AS number,
    generate_series(0, CASE WHEN number % 4 = 0 THEN 1 ELSE 0 END) AS position
"""
SERVICE_OPERATIONS = """
INSERT INTO operation (
    id, workspace_id, kind, state, stage, progress, attempts, subject_id, created_at, created_by, started_at,
    finished_at
)
SELECT pg_temp.seeded_id(kind, $1, number), $1, kind, pg_temp.chosen(number, 'SUCCEEDED', 'SUCCEEDED', 'CANCELLED'),
    NULL, 1, 1, pg_temp.seeded_id('service', $1, number), pg_temp.moment(number), 'ci', pg_temp.moment(number),
    pg_temp.moment(number) + interval '5 seconds'
FROM generate_series(1::bigint, $2) AS number,
    unnest(ARRAY['DEPLOY_SERVICE', 'STOP_SERVICE']) AS kind
"""
EVENTS = """
WITH counter AS (
    UPDATE event_counter
    SET last_number = last_number + $2
    WHERE workspace_id = $1
    RETURNING last_number - $2 AS last_number
)
INSERT INTO event (workspace_id, number, kind, subject_id, actor, data, occurred_at)
SELECT $1, counter.last_number + number,
    pg_temp.chosen(number, 'MODEL_VERSION_IMPORTING', 'MODEL_VERSION_BUILDING', 'MODEL_VERSION_IMPORTED'),
    pg_temp.seeded_id('version', $1, 1 + number % $3), pg_temp.chosen(number, 'ci', 'anna', 'bo', 'worker'),
    jsonb_build_object('version', '0.0.' || number % 100), pg_temp.moment(number)
FROM counter, generate_series(1::bigint, $2) AS number
"""
