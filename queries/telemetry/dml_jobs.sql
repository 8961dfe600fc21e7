-- Which statements changed a table in a time range, the rejected ones included?
-- @param start TIMESTAMP  first creation time
-- @param until TIMESTAMP  end of the creation times (exclusive)
-- @param dataset STRING  the table's dataset
-- @param table_name STRING  the table
-- @param statements ARRAY<STRING>  statement types to count
-- @table jobs  the region's JOBS view
SELECT
  job_id,
  creation_time,
  end_time,
  state,
  statement_type,
  user_email,
  error_result.reason AS reason,
  error_result.message AS message
FROM {jobs}
WHERE creation_time >= @start AND creation_time < @until
  AND job_type = 'QUERY'
  AND statement_type IN UNNEST(@statements)
  AND destination_table.dataset_id = @dataset
  AND destination_table.table_id = @table_name
ORDER BY creation_time
