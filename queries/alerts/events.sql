-- Which events of alerts were recorded since a time?
-- @listable
-- @param start TIMESTAMP  the time (inclusive)
SELECT
  alert_id, sequence, event, recorded_at, recorded_by, actor, cause, game_date, severity, rule, sentence, reason,
  silent_until, message_id, facts
FROM prediction_on_call.alerts
WHERE recorded_at >= @start
