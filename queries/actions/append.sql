-- Write one row of an action's record. INSERT is not mutating DML: it waits for nobody and nobody waits for it.
-- @param action_id STRING  the action
-- @param event STRING  intent, step, outcome
-- @param recorded_at TIMESTAMP  now
-- @param recorded_by STRING  the process that writes
-- @param action_key STRING  verb, target and plan hash
-- @param attempt INT64  the attempt with this key
-- @param verb STRING  what is done
-- @param target STRING  what it is done to
-- @param title STRING  the plan in one line
-- @param actor STRING  who
-- @param role STRING  as what
-- @param reason STRING  why, in the actor's words
-- @param state STRING  under way, done, failed, refused, denied, unverified
-- @param sentence STRING  what happened
-- @param plan STRING  the whole plan as JSON
-- @param facts STRING  what was found or made, as JSON
-- @param eligible INT64  players eligible on the date, where it is about coverage
-- @param active_before INT64  players active before
-- @param active_after INT64  players active after
INSERT INTO prediction_on_call.actions (
  action_id, event, recorded_at, recorded_by, action_key, attempt, verb, target, title, actor, role, reason, state,
  sentence, plan, facts, eligible, active_before, active_after
)
VALUES (
  @action_id, @event, @recorded_at, @recorded_by, @action_key, @attempt, @verb, @target, @title, @actor, @role,
  @reason, @state, @sentence, PARSE_JSON(@plan), PARSE_JSON(@facts), @eligible, @active_before, @active_after
)
