-- Nothing is asked: the job itself tells what time BigQuery's clock shows.
SELECT 1 AS nothing
