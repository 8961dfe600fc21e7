"""How long an answer may be shown before its source is read again: every such value, for all caches, in one table.

It is in core because services/gcp and services/batches use it as well as the dashboard. `_TTL_S` is in seconds: an answer younger
than that is returned without a read. The two caches are stacked, so the age on screen is at most the sum of theirs:

1. app/state/background_cache.py: whole answers, shared by all viewers; an expired one is shown while it is read again.
2. services/gcp/read_cache.py: rows, log lines and the contents of staging tables, held as long as their tables report no change.
"""

from __future__ import annotations

from datetime import timedelta

# --- 1. the dashboard's reads (app/state/reads.py) ---------------------------------------------------------------------
# Behind each is cache 2, so reading again is free while nothing has changed: 30 s is the pace of the pages' refresh.

NIGHT_TTL_S = 30.0
WRITES_TTL_S = 30.0
STAGING_TTL_S = 30.0
BATCHES_TTL_S = 30.0
RUN_VERIFICATION_TTL_S = 30.0
LAST_HEARTBEAT_TTL_S = 30.0
SERVICE_CAPACITIES_TTL_S = 15.0  # a new revision takes over within a minute: three reads of it
DEPLOYS_TTL_S = 30.0  # the revisions of the services: one call each
WORKER_CAPACITY_TTL_S = 5.0  # read while an operator scales and waits for the result
ALERTS_TTL_S = 5.0  # acknowledged or silenced by one operator, seen by the others at their next refresh
ACTION_LOG_TTL_S = 1.0  # an action's progress, refreshed every 1.5 s
RUN_PROGRESS_TTL_S = 1.0  # a run's progress, refreshed every 2 s
NAMES_TTL_S = 60.0  # costs the most computing of all reads; names change when the odds feed does
LOG_LINES_TTL_S = 60.0  # Cloud Logging allows 60 reads a minute for the whole project
CONNECTION_CHECKS_TTL_S = 60.0  # each check calls every API once
HISTORY_TTL_S = 120.0  # past game dates, which seldom change
USUAL_NIGHTS_TTL_S = 600.0  # the nights before the chosen one; a watchdog keeps them as long
PHASES_TTL_S = 60.0  # the steps before and after the predictions, each of which runs a few times a day
SCHEDULE_TTL_S = 120.0  # Cloud Scheduler's jobs, which change by deployment
EXPLORE_TTL_S = 120.0  # counts over a range of dates
EXPLORE_COST_TTL_S = 600.0  # what they would read, which changes with the tables' size
FIRST_NIGHT_TTL_S = 3_600.0  # the earliest game date, which changes when old partitions are deleted

# --- 1. how the dashboard waits and falls back (app/state/background_cache.py) ------------------------------------------

# Each is what a whole page waits, for all its sources together.
FIRST_LOAD_TIMEOUT_S = 1.8  # before it reports that a source has not answered yet, and looks again 2 s later
SLOW_NOTICE_S = 0.5  # before it says which source it waits for
RETRY_TIMEOUT_S = 1.5  # the same for a source that failed the last time
SILENT_WAIT_S = 0.3  # for a source that has been silent for longer than that, asked by anybody
SILENCE_KEPT_S = 60.0  # how long its silence counts after the last read that failed of it
REVALIDATE_WAIT_S = 0.05  # for answers of which it can show older ones meanwhile
MAX_OUTDATED_S = 3_600.0  # how old an answer may be to be shown, marked as outdated, while its source cannot be read
STALE_WITHOUT_RERUN_S = (
    10.0  # how old it may be before the page refreshes early: a slow source must not rerun it all the time
)
PEEK_MAX_AGE_S = 300.0  # how old an answer that another page has read may be to be counted in the sidebar
NEGATIVE_TTL_S = 10.0  # how soon a source that failed is read again, by any viewer

# --- 2. rows and log lines (services/gcp/read_cache.py) -----------------------------------------------------------------

VERSION_TTL_S = 3.0  # how often a table is checked (free) for changes, however many viewers there are
OWN_TABLE_VERSION_TTL_S = 0.5  # the same for our own tables: what was just recorded must be visible
UNTRACKED_TTL_S = 15.0  # views, external tables and a streaming buffer do not report every change
# A table that is streamed into, without a buffer now: a new buffer shows within 12 s, the rows of an old one after some minutes.
STREAMED_TTL_S = 300.0
OPEN_WINDOW_TTL_S = 60.0  # log lines of a window to which more may come
TAIL_TTL_S = 10.0  # the newest log lines, while somebody follows them
FINAL_AFTER = timedelta(hours=1)  # a log line may arrive this late; older windows cannot change any more
WATCHDOG_CACHE_MAX_AGE = timedelta(
    minutes=10
)  # streamed rows may not show in a table's metadata immediately: start afresh

# --- 2. staging tables (services/batches/staged_rows.py, in the same cache) ---------------------------------------------

MUTABLE_AGE = timedelta(hours=6)  # a table this new may still be written to: its metadata is read every time
STAGING_METADATA_TTL_S = 3_600.0  # an older table's metadata is read again after so long

# --- sign-in keys (services/auth/sign_in.py) ----------------------------------------------------------------------------

JWKS_TTL_S = 3_600.0  # the proxy's public keys: Google announces a new one well before it signs with it
JWKS_MAX_AGE_S = 86_400.0  # how long known keys still count while they cannot be renewed
JWKS_COOLDOWN_S = 30.0  # an unknown key id must not make us fetch more often than this
