-- A no-op query: the job's own timestamps show BigQuery's clock.
SELECT 1 AS ping
