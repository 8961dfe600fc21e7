-- How many players have a box score of each game date, of which teams?
-- @step order  80
-- @step title  Box scores
-- @step phase  after
-- @step owner  Analytics
-- @step unit  players
-- @step parts  teams
-- @step due  +1 07:00
-- @step processor  PlayerGameSummaryProcessor
-- @step service  nba-phase3-analytics-processors
-- @step fix  gcloud scheduler jobs run overnight-phase3 --location={region} --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNT(DISTINCT player_lookup) AS found,
  MAX(processed_at) AS done_at,
  ARRAY_AGG(DISTINCT team_abbr) AS parts
FROM nba_analytics.player_game_summary
WHERE game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
