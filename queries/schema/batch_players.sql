-- What became of each player of a batch? Written in one call per change of state, never one job per player.
CREATE TABLE IF NOT EXISTS prediction_on_call.batch_players (
  batch_id STRING NOT NULL,
  game_date DATE NOT NULL,
  player_lookup STRING NOT NULL,
  unit STRING NOT NULL OPTIONS (description = "the unit of work, the same for every delivery of it"),
  outcome STRING NOT NULL OPTIONS (description = "staged, not generated, write rejected, no answer"),
  reason STRING,
  message STRING,
  produced_rows INT64,
  staged_rows INT64,
  staging_table STRING,
  load_job_id STRING,
  attempts INT64,
  recorded_at TIMESTAMP NOT NULL
)
PARTITION BY game_date
CLUSTER BY batch_id, player_lookup
OPTIONS (description = "What became of each player of a batch? Written in one call per change of state, never one job per player.")
