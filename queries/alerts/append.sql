-- Add one event to an alert. The job's id is the claim: of two processes one writes the row.
-- @param alert_id STRING  the alert
-- @param sequence INT64  the number of this event
-- @param event STRING  opened, worsened, updated, mending, acknowledged, silenced, resolved, reopened, telling, told, not told
-- @param recorded_at TIMESTAMP  now
-- @param recorded_by STRING  the process that writes
-- @param actor STRING  who
-- @param cause STRING  what the alert is about
-- @param game_date DATE  the night it is about, if it is about one
-- @param severity STRING  critical, unknown or warning
-- @param rule STRING  the rule that leads
-- @param sentence STRING  what is wrong, or what was done
-- @param reason STRING  why, in the actor's words
-- @param silent_until TIMESTAMP  end of a silence
-- @param message_id STRING  the message that tells it
-- @param facts STRING  findings or delivery, as JSON
INSERT INTO prediction_on_call.alerts (
  alert_id, sequence, event, recorded_at, recorded_by, actor, cause, game_date, severity, rule, sentence, reason,
  silent_until, message_id, facts
)
VALUES (
  @alert_id, @sequence, @event, @recorded_at, @recorded_by, @actor, @cause, @game_date, @severity, @rule, @sentence,
  @reason, @silent_until, @message_id, PARSE_JSON(@facts)
)
