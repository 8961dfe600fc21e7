-- Record one state of a batch. The job id is batch and sequence, or date and start: of two processes, one records it.
-- @param batch_id STRING  the batch id
-- @param game_date DATE  the slate, in US Eastern
-- @param sequence INT64  number of this state; the batch's highest is its current one
-- @param state STRING  requested, running, staged, consolidating, consolidated, consolidation failed, stalled, stopped
-- @param recorded_at TIMESTAMP  when the state was recorded
-- @param holder STRING  the coordinator instance that records it
-- @param started_by STRING  who asked for the run
-- @param reason STRING  why the batch is in this state, in a sentence
-- @param eligible INT64  eligible players of the game date
-- @param requested INT64  players requested
-- @param generated INT64  players whose predictions were generated
-- @param produced_rows INT64  rows that the workers produced
-- @param staged_rows INT64  rows in staging
-- @param staged_tables INT64  staging tables
-- @param distinct_keys INT64  business keys staged
-- @param collapsed_rows INT64  staged rows that shared a business key with a newer one
-- @param inserted INT64  rows that the MERGE inserted
-- @param updated INT64  rows that it updated
-- @param unchanged INT64  keys that were in the table already
-- @param deactivated INT64  rows of other lines set inactive
-- @param active_players INT64  players with an active row after the MERGE
-- @param active_rows INT64  active rows after the MERGE
-- @param merge_job_id STRING  job of the MERGE
-- @param fence INT64  lease number that the consolidation held
-- @param details STRING  further facts, as JSON
INSERT INTO prediction_on_call.batches (
  batch_id, game_date, sequence, state, recorded_at, holder, started_by, reason, eligible, requested, generated,
  produced_rows, staged_rows, staged_tables, distinct_keys, collapsed_rows, inserted, updated, unchanged,
  deactivated, active_players, active_rows, merge_job_id, fence, details
)
VALUES (
  @batch_id, @game_date, @sequence, @state, @recorded_at, @holder, @started_by, @reason, @eligible, @requested,
  @generated, @produced_rows, @staged_rows, @staged_tables, @distinct_keys, @collapsed_rows, @inserted, @updated,
  @unchanged, @deactivated, @active_players, @active_rows, @merge_job_id, @fence, PARSE_JSON(@details)
)
