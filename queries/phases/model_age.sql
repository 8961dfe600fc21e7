-- How many days before each game date was its oldest model trained?
-- @step order  140
-- @step title  Model age
-- @step phase  quality
-- @step owner  Machine learning
-- @step unit  days
-- @step due  18:00
-- @step allowed  0..60
-- @step service  prediction-worker
-- @step fix  gcloud run services describe prediction-worker --region={region} --project={project}
-- @part predictions  the predictions table
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  MAX(DATE_DIFF(game_date, DATE(model_trained_at), DAY)) AS found,
  MAX(created_at) AS done_at
FROM {predictions}
WHERE game_date BETWEEN @first_date AND @last_date AND is_active AND model_trained_at IS NOT NULL
GROUP BY game_date
