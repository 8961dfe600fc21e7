-- Which alerts were open at a time, and which events did each have before it?
-- @param first TIMESTAMP  how far back the events are read (inclusive)
-- @param until TIMESTAMP  the time (exclusive)
WITH earlier AS (
  SELECT
    alert_id, sequence, event, recorded_at, recorded_by, actor, cause, game_date, severity, rule, sentence, reason,
    silent_until, message_id, facts
  FROM prediction_on_call.alerts
  WHERE recorded_at >= @first AND recorded_at < @until
),
open_alerts AS (
  SELECT alert_id
  FROM earlier
  GROUP BY alert_id
  HAVING MAX(IF(event IN ('opened', 'reopened'), sequence, 0)) > MAX(IF(event = 'resolved', sequence, 0))
)
SELECT
  alert_id, sequence, event, recorded_at, recorded_by, actor, cause, game_date, severity, rule, sentence, reason,
  silent_until, message_id, TO_JSON_STRING(facts) AS facts
FROM earlier
JOIN open_alerts USING (alert_id)
