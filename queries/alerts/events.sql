-- Which alerts are open or were lately touched, with all their events in order?
-- @param since TIMESTAMP  alerts that ended before this are left out
SELECT
  alert_id, sequence, event, recorded_at, recorded_by, actor, cause, game_date, severity, rule, sentence, reason,
  silent_until, message_id, TO_JSON_STRING(facts) AS facts
FROM (
  SELECT
    *,
    MAX(recorded_at) OVER (PARTITION BY alert_id) AS newest,
    MAX(IF(event IN ('opened', 'reopened'), sequence, 0)) OVER (PARTITION BY alert_id) AS last_opened,
    MAX(IF(event = 'resolved', sequence, 0)) OVER (PARTITION BY alert_id) AS last_resolved
  FROM prediction_on_call.alerts
)
WHERE newest >= @since OR last_opened > last_resolved
ORDER BY alert_id, sequence
