-- How did each batch leave the coverage of its date? One row per finished batch, for the history.
CREATE TABLE IF NOT EXISTS prediction_on_call.coverage (
  game_date DATE NOT NULL,
  batch_id STRING NOT NULL,
  recorded_at TIMESTAMP NOT NULL,
  eligible INT64,
  active_players INT64,
  active_rows INT64,
  coverage_pct FLOAT64,
  verdict STRING OPTIONS (description = "ok, warning, critical, unknown, none expected")
)
PARTITION BY game_date
CLUSTER BY batch_id
OPTIONS (description = "How did each batch leave the coverage of its date? One row per finished batch, for the history.")
