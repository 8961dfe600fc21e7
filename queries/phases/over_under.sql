-- How many of the active OVER and UNDER rows of each game date are OVER?
-- @step order  150
-- @step title  OVER/UNDER mix
-- @step phase  quality
-- @step owner  Machine learning
-- @step unit  rows
-- @step due  18:00
-- @step allowed  25..75
-- @step service  prediction-worker
-- @step fix  gcloud run services describe prediction-worker --region={region} --project={project}
-- @part predictions  the predictions table
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNTIF(recommendation = 'OVER') AS found,
  COUNTIF(recommendation IN ('OVER', 'UNDER')) AS total,
  MAX(created_at) AS done_at
FROM {predictions}
WHERE game_date BETWEEN @first_date AND @last_date AND is_active
GROUP BY game_date
