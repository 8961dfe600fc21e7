-- How many players have a context row on each game date, of which teams?
-- @step order  40
-- @step title  Context
-- @step phase  before
-- @step owner  Analytics
-- @step unit  players
-- @step parts  teams
-- @step due  11:05
-- @step processor  UpcomingPlayerGameContextProcessor
-- @step service  nba-phase3-analytics-processors
-- @step fix  gcloud scheduler jobs run same-day-phase3 --location={region} --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNT(DISTINCT player_lookup) AS found,
  MAX(created_at) AS done_at,
  ARRAY_AGG(DISTINCT team_abbr) AS parts
FROM nba_analytics.upcoming_player_game_context
WHERE game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
