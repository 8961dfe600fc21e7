-- How many players did the successful exports of each game date publish?
-- @step order  70
-- @step title  Export
-- @step phase  after
-- @step owner  Publishing
-- @step unit  players
-- @step due  18:00
-- @step processor  Phase6Export
-- @step service  phase6-export
-- @step fix  gcloud pubsub topics publish nba-phase6-export-trigger --message='{{"target_date":"{date}"}}' --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  data_date AS game_date,
  MAX(records_processed) AS found,
  MAX(processed_at) AS done_at
FROM nba_reference.processor_run_history
WHERE data_date BETWEEN @first_date AND @last_date AND processor_name = 'Phase6Export' AND status = 'success'
GROUP BY data_date
