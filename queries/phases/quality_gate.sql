-- How many players of each game date have features below the quality gate's 70 of 100?
-- @step order  130
-- @step title  Quality gate
-- @step phase  quality
-- @step owner  Machine learning
-- @step unit  players
-- @step due  11:30
-- @step allowed  0..10
-- @step processor  MLFeatureStoreProcessor
-- @step service  nba-phase4-precompute-processors
-- @step fix  gcloud scheduler jobs run same-day-phase4 --location={region} --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNTIF(feature_quality_score < 70) AS found,
  COUNTIF(feature_quality_score IS NOT NULL) AS total,
  MAX(created_at) AS done_at
FROM nba_predictions.ml_feature_store_v2
WHERE game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
