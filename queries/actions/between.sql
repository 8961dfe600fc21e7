-- Which action events were recorded in a time range?
-- @listable
-- @param start TIMESTAMP  start of the range (inclusive)
-- @param until TIMESTAMP  end of the range (exclusive)
SELECT
  action_id, event, recorded_at, recorded_by, action_key, attempt, verb, target, title, actor, role, reason, state,
  sentence, plan, facts, eligible, active_before, active_after
FROM prediction_on_call.actions
WHERE recorded_at >= @start AND recorded_at < @until
