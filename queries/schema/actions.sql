-- Who wanted what, what was planned, and what came of it? A row when it is meant, a row when it has ended; never changed.
CREATE TABLE IF NOT EXISTS prediction_on_call.actions (
  action_id STRING NOT NULL,
  event STRING NOT NULL OPTIONS (description = "intent, step, heartbeat, outcome"),
  recorded_at TIMESTAMP NOT NULL,
  recorded_by STRING NOT NULL OPTIONS (description = "the process that wrote this row: host and process id"),
  action_key STRING NOT NULL OPTIONS (description = "verb, target and plan hash: two clicks with one key are one action"),
  attempt INT64 NOT NULL OPTIONS (description = "counts the attempts with this key; an attempt can be claimed once"),
  verb STRING NOT NULL,
  target STRING NOT NULL,
  title STRING NOT NULL,
  actor STRING NOT NULL,
  role STRING NOT NULL,
  reason STRING,
  state STRING NOT NULL OPTIONS (description = "under way, done, failed, refused, denied, unverified"),
  sentence STRING NOT NULL,
  plan JSON,
  facts JSON OPTIONS (description = "what was found or made on the way: job ids, batch ids, the state after"),
  eligible INT64,
  active_before INT64,
  active_after INT64
)
PARTITION BY DATE(recorded_at)
CLUSTER BY action_key, action_id
OPTIONS (description = "Who wanted what, what was planned, and what came of it? A row when it is meant, a row when it has ended; never changed.")
