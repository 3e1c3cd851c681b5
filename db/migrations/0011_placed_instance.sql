-- What is placed in a pool is found from the instances that have a place, of which there are few.
CREATE INDEX service_instance_placed ON service_instance (workspace_id, service_id) WHERE placed_at IS NOT NULL;

-- The services of a pool, in the order in which they are listed.
DROP INDEX service_resource_pool;
CREATE INDEX service_resource_pool ON service (workspace_id, resource_pool_id, id) WHERE deleted_at IS NULL;
