-- How many active rows of each game date are made for a placeholder in place of a bookmaker's line?
-- @step order  110
-- @step title  Placeholder lines
-- @step phase  quality
-- @step owner  Data ingestion
-- @step unit  rows
-- @step due  18:00
-- @step allowed  0..20
-- @step service  prediction-coordinator
-- @step fix  gcloud scheduler jobs run nba-odds-props-scraper --location={region} --project={project}
-- @part predictions  the predictions table
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNTIF(current_points_line = 20.0 OR line_source != 'ACTUAL_PROP') AS found,
  COUNT(*) AS total,
  MAX(created_at) AS done_at
FROM {predictions}
WHERE game_date BETWEEN @first_date AND @last_date AND is_active
GROUP BY game_date
