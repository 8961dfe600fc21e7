-- Which events were recorded for the actions with this key?
-- @param action_key STRING  verb, target and plan hash
SELECT
  action_id, event, recorded_at, recorded_by, action_key, attempt, verb, target, title, actor, role, reason, state,
  sentence, TO_JSON_STRING(plan) AS plan, TO_JSON_STRING(facts) AS facts, eligible, active_before, active_after
FROM prediction_on_call.actions
WHERE action_key = @action_key
ORDER BY recorded_at
