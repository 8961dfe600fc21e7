-- Which events does each alert have?
-- @listable
SELECT
  alert_id, sequence, event, recorded_at, recorded_by, actor, cause, game_date, severity, rule, sentence, reason,
  silent_until, message_id, facts
FROM prediction_on_call.alerts
