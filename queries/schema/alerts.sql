-- What did the watchdog raise, who was told, and who did what about it? Rows are only ever added; an alert's events are numbered.
CREATE TABLE IF NOT EXISTS prediction_on_call.alerts (
  alert_id STRING NOT NULL,
  sequence INT64 NOT NULL OPTIONS (description = "1, 2, 3 … of one alert; each number is claimed once, by one process"),
  event STRING NOT NULL OPTIONS (description = "opened, worsened, updated, mending, acknowledged, silenced, resolved, reopened, telling, told, not told, escalating, escalated, not escalated"),
  recorded_at TIMESTAMP NOT NULL,
  recorded_by STRING NOT NULL OPTIONS (description = "the process that wrote this row: host and process id"),
  actor STRING NOT NULL,
  cause STRING NOT NULL,
  game_date DATE OPTIONS (description = "the night it is about, where it is about one"),
  severity STRING NOT NULL,
  rule STRING NOT NULL OPTIONS (description = "the rule that leads"),
  sentence STRING NOT NULL,
  reason STRING,
  silent_until TIMESTAMP,
  message_id STRING,
  facts JSON OPTIONS (description = "every finding of the incident, or how the delivery went")
)
PARTITION BY DATE(recorded_at)
CLUSTER BY alert_id
OPTIONS (description = "What did the watchdog raise, who was told, and who did what about it? Rows are only ever added; an alert's events are numbered.")
