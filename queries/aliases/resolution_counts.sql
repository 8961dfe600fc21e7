-- How many odds-feed names resolve exactly, through an alias, or not at all, per date?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part resolved_odds_names  the method of each name
SELECT
  resolution.game_date,
  COUNTIF(resolution.method = 'exact') AS exact,
  COUNTIF(resolution.method = 'through an alias') AS by_alias,
  COUNTIF(resolution.method = 'unresolved') AS unresolved
FROM {resolved_odds_names} AS resolution
GROUP BY resolution.game_date
ORDER BY resolution.game_date
