-- The customer's log of worker runs: one row per player message, buffered by the worker, so absence proves nothing.
CREATE TABLE IF NOT EXISTS nba_predictions.prediction_worker_runs (
  request_id STRING NOT NULL,
  worker_id STRING,
  run_date TIMESTAMP NOT NULL,
  player_lookup STRING NOT NULL,
  game_date DATE NOT NULL,
  game_id STRING,
  success BOOL NOT NULL,
  duration_seconds FLOAT64,
  predictions_generated INT64,
  skip_reason STRING,
  feature_quality_score FLOAT64,
  error_message STRING,
  error_type STRING,
  write_bigquery_seconds FLOAT64,
  circuit_breaker_triggered BOOL,
  cloud_run_service STRING,
  cloud_run_revision STRING,
  retry_attempt INT64,
  batch_id STRING,
  trigger_source STRING,
  created_at TIMESTAMP
)
PARTITION BY DATE(run_date)
CLUSTER BY player_lookup, success, game_date
