-- What became of each processor's runs for each date: how many, the newest failure, and which are still "running"?
-- @param first_date DATE  first date that was processed, in US Eastern
-- @param last_date DATE  last date
WITH latest AS (
  SELECT
    data_date,
    processor_name,
    status,
    started_at,
    COALESCE(processed_at, started_at) AS ended_at,
    duration_seconds,
    LEFT(TO_JSON_STRING(errors), 500) AS error,
    cloud_run_service
  FROM nba_reference.processor_run_history
  WHERE data_date BETWEEN @first_date AND @last_date
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY data_date, processor_name, run_id
    ORDER BY IF(status = 'running', 0, 1) DESC, processed_at DESC
  ) = 1
)
SELECT
  data_date,
  processor_name,
  COUNT(*) AS runs,
  COUNTIF(status = 'success') AS succeeded,
  COUNTIF(status = 'failed') AS failed,
  COUNTIF(status = 'running') AS unfinished,
  MIN(IF(status = 'running', started_at, NULL)) AS unfinished_since,
  MAX(IF(status = 'success', duration_seconds, NULL)) AS longest_s,
  MAX(IF(status = 'success', ended_at, NULL)) AS succeeded_at,
  MAX(IF(status = 'failed', ended_at, NULL)) AS failed_at,
  ANY_VALUE(error HAVING MAX IF(status = 'failed', ended_at, NULL)) AS error,
  MAX(cloud_run_service) AS service
FROM latest
GROUP BY data_date, processor_name
