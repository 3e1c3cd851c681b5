-- Edge services: the nodes that run them, which nodes each configuration names, and what each node last said of each.

-- The token is kept as its digest alone. `runtime` is the interpreter that the node's agent has, as python3.11.
CREATE TABLE edge_node (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL REFERENCES workspace,
    name text NOT NULL,
    description text,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    status text NOT NULL DEFAULT 'REGISTERED' CHECK (status IN ('REGISTERED', 'RUNNING', 'UNCONNECTED', 'FAILED')),
    status_message text,
    architecture text,
    runtime text,
    agent_version text,
    isolation text,
    cpu_count double precision,
    memory_bytes bigint,
    last_seen_at timestamptz,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    deleted_at timestamptz,
    UNIQUE (workspace_id, id)
);
CREATE UNIQUE INDEX edge_node_name ON edge_node (workspace_id, name) WHERE deleted_at IS NULL;
CREATE INDEX edge_node_name_key ON edge_node (workspace_id, name COLLATE "C") WHERE deleted_at IS NULL;
CREATE INDEX edge_node_live ON edge_node (workspace_id, id) WHERE deleted_at IS NULL;
CREATE INDEX edge_node_seen ON edge_node (last_seen_at) WHERE deleted_at IS NULL AND status IN ('RUNNING', 'FAILED');

CREATE TABLE edge_service_node (
    workspace_id uuid NOT NULL,
    service_configuration_id uuid NOT NULL,
    edge_node_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, service_configuration_id, edge_node_id),
    FOREIGN KEY (workspace_id, service_configuration_id) REFERENCES service_configuration (workspace_id, id),
    FOREIGN KEY (workspace_id, edge_node_id) REFERENCES edge_node (workspace_id, id)
);
CREATE INDEX edge_service_node_node ON edge_service_node (workspace_id, edge_node_id);

-- A configuration that brings an earlier one back, or begins the last one anew, runs where that one ran.
CREATE FUNCTION keep_edge_nodes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO edge_service_node (workspace_id, service_configuration_id, edge_node_id)
    SELECT NEW.workspace_id, NEW.id, named.edge_node_id
    FROM service_configuration AS earlier
    JOIN edge_service_node AS named
        ON named.workspace_id = earlier.workspace_id AND named.service_configuration_id = earlier.id
    JOIN edge_node AS node
        ON node.workspace_id = named.workspace_id AND node.id = named.edge_node_id
    WHERE earlier.workspace_id = NEW.workspace_id
    AND earlier.service_id = NEW.service_id
    AND earlier.number = coalesce(NEW.restored_number, NEW.number - 1)
    AND node.deleted_at IS NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER keep_edge_nodes AFTER INSERT ON service_configuration
    FOR EACH ROW WHEN (NEW.cause IN ('ROLL_BACK', 'RESTART')) EXECUTE FUNCTION keep_edge_nodes();

-- What a node is to do about a service, and what it said last. `log_…`: up to where its lines were taken down.
CREATE TABLE edge_deployment (
    id uuid PRIMARY KEY DEFAULT new_id(),
    workspace_id uuid NOT NULL,
    service_id uuid NOT NULL,
    edge_node_id uuid NOT NULL,
    desired_state text NOT NULL DEFAULT 'RUNNING' CHECK (desired_state IN ('RUNNING', 'STOPPED')),
    state text NOT NULL DEFAULT 'PENDING' CHECK (state IN
        ('PENDING', 'PREPARING', 'RUNNING', 'NOT_READY', 'STOPPED', 'FAILED')),
    reason text,
    address text,
    configuration_number integer,
    reported_at timestamptz,
    log_id uuid,
    log_number bigint NOT NULL DEFAULT 0,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, service_id, edge_node_id),
    FOREIGN KEY (workspace_id, service_id) REFERENCES service (workspace_id, id),
    FOREIGN KEY (workspace_id, edge_node_id) REFERENCES edge_node (workspace_id, id)
);
CREATE INDEX edge_deployment_node ON edge_deployment (workspace_id, edge_node_id, id);

ALTER TABLE service_log_line ADD COLUMN edge_node_id uuid;

ALTER TABLE edge_node ALTER COLUMN workspace_id SET (n_distinct = 10);
ALTER TABLE edge_deployment ALTER COLUMN workspace_id SET (n_distinct = 10);

-- The views. Deleted nodes too: whoever deletes one is shown it once more.
CREATE VIEW reading.any_edge_node AS
SELECT id, workspace_id, name, name COLLATE "C" AS name_key, description, status, status_message, architecture,
    runtime, agent_version, isolation, cpu_count, memory_bytes, last_seen_at, revision, created_at, created_by,
    deleted_at
FROM public.edge_node;

CREATE VIEW reading.edge_node AS
SELECT *
FROM reading.any_edge_node
WHERE deleted_at IS NULL;

CREATE VIEW reading.edge_deployment AS
SELECT deployment.id, deployment.workspace_id, deployment.service_id, deployment.edge_node_id,
    node.name COLLATE "C" AS name_key, deployment.desired_state, deployment.state, deployment.reason,
    deployment.address, deployment.configuration_number, deployment.reported_at, deployment.revision
FROM public.edge_deployment AS deployment
JOIN public.edge_node AS node ON node.workspace_id = deployment.workspace_id AND node.id = deployment.edge_node_id;

CREATE OR REPLACE VIEW reading.log_line AS
SELECT workspace_id, service_id, number, service_instance_id AS instance_id, instance_number, model_version_id,
    written_at, text, edge_node_id
FROM public.service_log_line;
