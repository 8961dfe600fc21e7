-- Which range of game dates do these staging tables cover?
-- @table staging  the tables' common prefix, ending in *
-- @param suffixes ARRAY<STRING>  each table's name without the prefix
SELECT MIN(game_date) AS first_date, MAX(game_date) AS last_date
FROM {staging}
WHERE _TABLE_SUFFIX IN UNNEST(@suffixes)
