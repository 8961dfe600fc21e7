-- Which names have odds on a date? One row per name, bookmaker and snapshot.
-- @listable
-- @optional bookmaker  without it the newest line of each is not known
-- @optional points_line  without it no line can be compared
-- @param game_date DATE  the slate, in US Eastern
SELECT
  player_lookup,
  player_name,
  game_id,
  away_team_abbr,
  home_team_abbr,
  game_start_time,
  snapshot_timestamp,
  bookmaker,
  points_line
FROM nba_raw.odds_api_player_points_props
WHERE game_date = @game_date
