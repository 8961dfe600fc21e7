-- Does a context row make its player one to predict? A condition, for where the row's columns are in scope.
-- services/policy/eligibility.py gives the parameters (eligibility_params) and the same answers.
-- @param minutes_needed FLOAT64  average minutes below which a player is not eligible
-- @param ineligible_statuses ARRAY<STRING>  statuses, in upper case, of players who are not expected to play
IFNULL(CAST(avg_minutes_per_game_last_7 AS FLOAT64) >= @minutes_needed, FALSE)
AND IFNULL(is_production_ready, FALSE)
AND UPPER(IFNULL(player_status, '')) NOT IN UNNEST(@ineligible_statuses)
