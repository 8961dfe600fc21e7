-- Where is each batch, and do its sums hold? One row per change of state; the newest row of a batch counts.
CREATE TABLE IF NOT EXISTS prediction_on_call.batches (
  batch_id STRING NOT NULL,
  game_date DATE NOT NULL,
  sequence INT64 NOT NULL OPTIONS (description = "counts the batch's changes of state; the highest row is its state now"),
  state STRING NOT NULL OPTIONS (description = "requested, running, staged, consolidating, consolidated, consolidation failed, stalled, stopped, abandoned"),
  recorded_at TIMESTAMP NOT NULL,
  holder STRING OPTIONS (description = "the coordinator instance that wrote this row"),
  started_by STRING OPTIONS (description = "who asked for the run: scheduler, an e-mail address, the watchdog"),
  reason STRING OPTIONS (description = "why the batch is in this state, in a sentence"),
  eligible INT64,
  requested INT64,
  generated INT64 OPTIONS (description = "players whose predictions were generated"),
  produced_rows INT64,
  staged_rows INT64,
  staged_tables INT64,
  distinct_keys INT64,
  collapsed_rows INT64 OPTIONS (description = "staged rows that shared a business key with a newer one"),
  inserted INT64,
  updated INT64,
  unchanged INT64,
  deactivated INT64,
  active_players INT64,
  active_rows INT64,
  merge_job_id STRING,
  fence INT64 OPTIONS (description = "the lease number the consolidation held"),
  details JSON
)
PARTITION BY game_date
CLUSTER BY batch_id
OPTIONS (description = "Where is each batch, and do its sums hold? One row per change of state; the newest row of a batch counts.")
