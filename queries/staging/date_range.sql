-- Which range of game dates do these staging tables cover?
-- @table staging  tables of one schema
SELECT MIN(game_date) AS first_date, MAX(game_date) AS last_date
FROM {staging}
