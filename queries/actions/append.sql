-- Append one event to the action log. INSERT is not mutating DML, so it never queues behind other statements.
-- @param action_id STRING  the action
-- @param event STRING  intent, step, heartbeat, outcome
-- @param recorded_at TIMESTAMP  when the event was recorded
-- @param recorded_by STRING  host and process id of the writer
-- @param action_key STRING  verb, target and plan hash
-- @param attempt INT64  number of the attempt with this key
-- @param verb STRING  verb id
-- @param target STRING  what the action changes
-- @param title STRING  one-line summary of the plan
-- @param actor STRING  who started the action
-- @param role STRING  the actor's role
-- @param reason STRING  the actor's reason
-- @param state STRING  under way, done, failed, refused, denied, unverified
-- @param sentence STRING  what happened, in one sentence
-- @param plan STRING  the whole plan as JSON
-- @param facts STRING  details of this event as JSON
-- @param eligible INT64  eligible players of the game date, where the action is about coverage
-- @param active_before INT64  active players before the action
-- @param active_after INT64  active players after the action
INSERT INTO prediction_on_call.actions (
  action_id, event, recorded_at, recorded_by, action_key, attempt, verb, target, title, actor, role, reason, state,
  sentence, plan, facts, eligible, active_before, active_after
)
VALUES (
  @action_id, @event, @recorded_at, @recorded_by, @action_key, @attempt, @verb, @target, @title, @actor, @role,
  @reason, @state, @sentence, PARSE_JSON(@plan), PARSE_JSON(@facts), @eligible, @active_before, @active_after
)
