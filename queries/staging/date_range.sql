-- Which game dates do the rows of these staging tables belong to?
-- @table staging  the tables' common prefix, ending in *
-- @param suffixes ARRAY<STRING>  what follows the prefix in each table's name
SELECT MIN(game_date) AS first_date, MAX(game_date) AS last_date
FROM {staging}
WHERE _TABLE_SUFFIX IN UNNEST(@suffixes)
