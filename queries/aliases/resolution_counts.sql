-- How many names of the odds lead into the context of their date by themselves, how many through an alias, how many not at all?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part resolved_odds_names  where each leads
SELECT
  led.game_date,
  COUNTIF(led.how = 'exact') AS exact,
  COUNTIF(led.how = 'through an alias') AS by_alias,
  COUNTIF(led.how = 'unresolved') AS unresolved
FROM {resolved_odds_names} AS led
GROUP BY led.game_date
ORDER BY led.game_date
