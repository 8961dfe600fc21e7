-- Which players' rows stand in the staging tables of a date?
-- @table staging  every staging table of the date, as a prefix ending in *
-- @param game_date DATE  the slate, in US Eastern
SELECT player_lookup, _TABLE_SUFFIX AS suffix, COUNT(*) AS staged_rows
FROM {staging}
WHERE game_date = @game_date
GROUP BY player_lookup, suffix
ORDER BY player_lookup, suffix
