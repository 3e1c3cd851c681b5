-- Events that tell of something that should not be so, as kinds end; modelarts calls them abnormal.
ALTER TABLE event
    ADD COLUMN is_abnormal boolean NOT NULL
        GENERATED ALWAYS AS (kind ~ '_(FAILED|DIED|PENDING|CONCERNING|TIMED_OUT|DISAPPEARED|DRIFTED)$') STORED;
CREATE INDEX event_abnormal ON event (workspace_id, is_abnormal, number);

-- So few are abnormal that a sample has none, and an index that tells them from the rest would seem of no use.
ALTER TABLE event ALTER COLUMN is_abnormal SET (n_distinct = 2);

CREATE OR REPLACE VIEW reading.audit_event AS
SELECT workspace_id, number, kind, subject_id, actor, data, occurred_at, is_abnormal
FROM public.event;
