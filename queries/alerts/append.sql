-- Append one event to an alert. The job id is the claim: of two processes, one writes the row.
-- @param alert_id STRING  the alert
-- @param sequence INT64  sequence number of this event
-- @param event STRING  opened, worsened, updated, mending, acknowledged, silenced, resolved, reopened, telling, told, not told, escalating, escalated, not escalated
-- @param recorded_at TIMESTAMP  when the event was recorded
-- @param recorded_by STRING  host and process id of the writer
-- @param actor STRING  who caused the event
-- @param cause STRING  what the alert is about
-- @param game_date DATE  the game date, if the alert is about one
-- @param severity STRING  critical, unknown or warning
-- @param rule STRING  the leading rule
-- @param sentence STRING  what is wrong, or what was done
-- @param reason STRING  the actor's reason
-- @param silent_until TIMESTAMP  end of a silence
-- @param message_id STRING  id of the notification message
-- @param facts STRING  findings or delivery result, as JSON
INSERT INTO prediction_on_call.alerts (
  alert_id, sequence, event, recorded_at, recorded_by, actor, cause, game_date, severity, rule, sentence, reason,
  silent_until, message_id, facts
)
VALUES (
  @alert_id, @sequence, @event, @recorded_at, @recorded_by, @actor, @cause, @game_date, @severity, @rule, @sentence,
  @reason, @silent_until, @message_id, PARSE_JSON(@facts)
)
