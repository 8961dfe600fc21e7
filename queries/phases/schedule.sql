-- How many games are on the schedule of each game date, of which teams?
-- @step order  10
-- @step title  Schedule
-- @step phase  before
-- @step owner  Data ingestion
-- @step unit  games
-- @step parts  teams
-- @step due  08:00
-- @step usual_pct  0
-- @step processor  NbacScheduleProcessor
-- @step service  nba-phase2-raw-processors
-- @step fix  gcloud scheduler jobs run nba-schedule-scraper --location={region} --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNT(DISTINCT game_id) AS found,
  MAX(processed_at) AS done_at,
  ARRAY_CONCAT(ARRAY_AGG(DISTINCT home_team_tricode), ARRAY_AGG(DISTINCT away_team_tricode)) AS parts
FROM nba_raw.nbac_schedule
WHERE game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
