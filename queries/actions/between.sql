-- What was meant and done between two instants?
-- @listable
-- @param start TIMESTAMP  first instant
-- @param until TIMESTAMP  first instant that no longer counts
SELECT
  action_id, event, recorded_at, recorded_by, action_key, attempt, verb, target, title, actor, role, reason, state,
  sentence, plan, facts, eligible, active_before, active_after
FROM prediction_on_call.actions
WHERE recorded_at >= @start AND recorded_at < @until
