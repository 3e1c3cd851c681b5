-- How far the code that a service runs is kept from the machine that it runs on.

-- From the weakest to the strongest, so that the least of several is that of them all.
CREATE TYPE isolation_level AS ENUM ('NONE', 'USER', 'BUBBLEWRAP');

-- What an agent told in words of its own is not known.
UPDATE edge_node
SET isolation = NULL
WHERE isolation NOT IN ('NONE', 'USER', 'BUBBLEWRAP');

ALTER TABLE edge_node ADD CHECK (isolation IN ('NONE', 'USER', 'BUBBLEWRAP'));
ALTER TABLE service_instance ADD CHECK (isolation IN ('NONE', 'USER', 'BUBBLEWRAP'));

CREATE OR REPLACE VIEW reading.any_service AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, description, deployment_type, status, status_message,
    progress, desired_state, revision, created_at, created_by, deleted_at, last_configuration_number,
    routed_configuration_number, resource_pool_id, access, max_body_bytes, timeout_seconds, requests_per_second,
    request_burst, checks_inputs, auto_stop_after_seconds, auto_stop_at, updated_at, started_at, finished_at,
    CASE deployment_type
        WHEN 'REAL_TIME' THEN 'RealTimeService'
        WHEN 'BATCH' THEN 'BatchService'
        ELSE 'EdgeService'
    END AS type_name,
    least(
        (
            SELECT min(instance.isolation::isolation_level)
            FROM public.service_instance AS instance
            WHERE instance.workspace_id = service.workspace_id
            AND instance.service_id = service.id
            AND instance.state IN ('STARTING', 'READY')
        ),
        (
            SELECT min(node.isolation::isolation_level)
            FROM public.edge_deployment AS deployment
            JOIN public.edge_node AS node
                ON node.workspace_id = deployment.workspace_id AND node.id = deployment.edge_node_id
            WHERE deployment.workspace_id = service.workspace_id
            AND deployment.service_id = service.id
            AND deployment.state IN ('NOT_READY', 'RUNNING')
        )
    )::text AS isolation
FROM public.service;

CREATE OR REPLACE VIEW reading.service AS
SELECT *
FROM reading.any_service
WHERE deleted_at IS NULL;

-- Made anew, since its own column comes last.
DROP VIEW reading.service_of_model_version;
CREATE VIEW reading.service_of_model_version AS
SELECT service.*, target.model_version_id
FROM reading.service AS service
JOIN public.service_configuration AS configuration
    ON configuration.workspace_id = service.workspace_id
    AND configuration.service_id = service.id
    AND configuration.number = service.last_configuration_number
JOIN public.service_target AS target
    ON target.workspace_id = configuration.workspace_id AND target.service_configuration_id = configuration.id;
