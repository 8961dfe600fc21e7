-- Which events were recorded for one action?
-- @param action_id STRING  the action
SELECT
  action_id, event, recorded_at, recorded_by, action_key, attempt, verb, target, title, actor, role, reason, state,
  sentence, TO_JSON_STRING(plan) AS plan, TO_JSON_STRING(facts) AS facts, eligible, active_before, active_after
FROM prediction_on_call.actions
WHERE action_id = @action_id
ORDER BY recorded_at
