-- How many players have features in the feature store on each game date?
-- @step order  50
-- @step title  Features
-- @step phase  before
-- @step owner  Machine learning
-- @step unit  players
-- @step due  11:30
-- @step processor  MLFeatureStoreProcessor
-- @step service  nba-phase4-precompute-processors
-- @step fix  gcloud scheduler jobs run same-day-phase4 --location={region} --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNT(DISTINCT player_lookup) AS found,
  MAX(created_at) AS done_at
FROM nba_predictions.ml_feature_store_v2
WHERE game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
