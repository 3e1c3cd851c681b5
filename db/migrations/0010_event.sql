-- Events that tell of something that should not be so, as kinds end; modelarts calls them abnormal.
CREATE OR REPLACE VIEW reading.audit_event AS
SELECT workspace_id, number, kind, subject_id, actor, data, occurred_at,
    kind ~ '_(FAILED|DIED|PENDING|CONCERNING|TIMED_OUT|DISAPPEARED|DRIFTED)$' AS is_abnormal
FROM public.event;

CREATE INDEX event_abnormal ON event
    (workspace_id, (kind ~ '_(FAILED|DIED|PENDING|CONCERNING|TIMED_OUT|DISAPPEARED|DRIFTED)$'), number);
