-- How many players' predictions of each game date are graded?
-- @step order  90
-- @step title  Grading
-- @step phase  after
-- @step owner  Grading
-- @step unit  players
-- @step due  +1 12:00
-- @step processor  PredictionAccuracyProcessor
-- @step service  phase5b-grading
-- @step fix  gcloud pubsub topics publish nba-grading-trigger --message='{{"target_date":"{date}"}}' --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNT(DISTINCT player_lookup) AS found,
  MAX(graded_at) AS done_at
FROM nba_predictions.prediction_accuracy
WHERE game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
