-- When was the newest row of odds and of context made, at all and by the run deadline? One row per date with odds and source.
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @param deadline_min INT64  minutes from the run deadline to the first tip-off
WITH refreshes AS (
  SELECT game_date, 'odds' AS source, snapshot_timestamp AS made_at
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @first_date AND @last_date
  UNION ALL
  SELECT game_date, 'context' AS source, created_at AS made_at
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date BETWEEN @first_date AND @last_date
),
deadlines AS (
  SELECT game_date, TIMESTAMP_SUB(MIN(game_start_time), INTERVAL @deadline_min MINUTE) AS deadline
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @first_date AND @last_date
  GROUP BY game_date
)
SELECT
  deadlines.game_date,
  deadlines.deadline,
  refreshes.source,
  MAX(refreshes.made_at) AS newest,
  MAX(IF(refreshes.made_at <= deadlines.deadline, refreshes.made_at, NULL)) AS newest_at_deadline
FROM deadlines
JOIN refreshes ON refreshes.game_date = deadlines.game_date
GROUP BY deadlines.game_date, deadlines.deadline, refreshes.source
ORDER BY deadlines.game_date, refreshes.source
