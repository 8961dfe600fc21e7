-- How many players does the injury report name for each game date?
-- @step order  20
-- @step title  Injury report
-- @step phase  before
-- @step owner  Data ingestion
-- @step unit  players
-- @step due  11:00
-- @step usual_pct  40
-- @step processor  NbacInjuryReportProcessor
-- @step service  nba-phase2-raw-processors
-- @step fix  gcloud scheduler jobs run nba-injury-report-scraper --location={region} --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNT(DISTINCT player_lookup) AS found,
  MAX(processed_at) AS done_at
FROM nba_raw.nbac_injury_report
WHERE report_date BETWEEN DATE_SUB(@first_date, INTERVAL 1 DAY) AND @last_date
  AND game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
