-- How many players have odds on each game date, in games of which teams?
-- @step order  30
-- @step title  Odds lines
-- @step phase  before
-- @step owner  Data ingestion
-- @step unit  players
-- @step parts  teams
-- @step due  16:00
-- @step processor  OddsApiPropsProcessor
-- @step service  nba-phase2-raw-processors
-- @step fix  gcloud scheduler jobs run nba-odds-props-scraper --location={region} --project={project}
-- @param first_date DATE  first game date, in US Eastern
-- @param last_date DATE  last game date
SELECT
  game_date,
  COUNT(DISTINCT player_lookup) AS found,
  MAX(snapshot_timestamp) AS done_at,
  ARRAY_CONCAT(ARRAY_AGG(DISTINCT home_team_abbr), ARRAY_AGG(DISTINCT away_team_abbr)) AS parts
FROM nba_raw.odds_api_player_points_props
WHERE game_date BETWEEN @first_date AND @last_date
GROUP BY game_date
