# Configuration that apply.sh and undo.sh share. Every value comes from the environment; none is a secret.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${PROJECT:?Set PROJECT to the Google Cloud project, for example nba-props-platform.}"
: "${REGION:=us-west2}"
: "${LOCATION:=}"                            # of the BigQuery datasets; looked up when empty
: "${NAME:=prediction-on-call}"              # the dashboard's service; the others are named after it
: "${IMAGE:=$REGION-docker.pkg.dev/$PROJECT/$NAME/$NAME:latest}"
: "${PROJECT_NUMBER:=}"                      # looked up when empty
: "${OPERATORS:=}"                           # e-mail addresses that may act, with commas between
: "${PEOPLE:=}"                              # who may open the dashboard: group:on-call@example.com,user:nora@example.com
: "${WATCHED_WORKER:=prediction-worker}"     # the customer's own services, never deployed from here
: "${WATCHED_COORDINATOR:=prediction-coordinator}"
: "${WATCHED_RUNTIME:=}"                     # the watched worker's service account; needed to scale it down and restore it
: "${WITH_WRITE_PATH:=no}"                   # yes: also our own worker and coordinator, under names of their own
: "${SLACK_SECRET:=}"                        # Secret Manager's name of the Slack address; empty: none
: "${ESCALATE_AFTER_MIN:=0}"                # minutes until an alert that nobody acknowledged goes to the second channel; 0: never
: "${ESCALATION_FORMAT:=pagerduty}"          # or opsgenie, or webhook
: "${ESCALATION_KEY_SECRET:=}"               # Secret Manager's name of the second channel's key; empty: none
: "${ESCALATION_URL_SECRET:=}"               # … of its address; empty: the one of PagerDuty or Opsgenie
: "${CHANNEL:=}"                             # Cloud Monitoring's notification channel; empty: its policies reach nobody
: "${ADDRESS:=}"                             # the dashboard's own, where it is not the one Cloud Run gives
: "${EVERY:=*/5 * * * *}"                    # how often the watchdog checks; a job is billed by the started minute
: "${RETRY_FOR:=600}"                        # seconds; how long to wait for a new account, API or metric to be known everywhere
: "${RETRY_EVERY:=15}"

OLDEST_GCLOUD=528                            # the oldest version that the commands were run with
READ="$NAME-read@$PROJECT.iam.gserviceaccount.com"
ACT="$NAME-act@$PROJECT.iam.gserviceaccount.com"
TICK="$NAME-tick@$PROJECT.iam.gserviceaccount.com"
WATCHDOG="$NAME-watchdog"
WORKER='' COORDINATOR='' PIPELINE=''
if [[ $WITH_WRITE_PATH == yes ]]; then
  WORKER="$NAME-worker" COORDINATOR="$NAME-coordinator" PIPELINE="$NAME-pipeline@$PROJECT.iam.gserviceaccount.com"
fi
MAX_INSTANCES=20 CONCURRENCY=5               # of our worker; an upgrade keeps what the dashboard has set

for name in PROJECT REGION NAME WATCHED_WORKER WATCHED_COORDINATOR; do
  [[ ${!name} =~ ^[A-Za-z][A-Za-z0-9-]{1,62}$ ]] || { echo "$name='${!name}' is not a name: letters, digits and - only." >&2; exit 2; }
done
[[ $ESCALATE_AFTER_MIN =~ ^[0-9]{1,5}$ ]] || { echo "ESCALATE_AFTER_MIN='$ESCALATE_AFTER_MIN' is not a number of minutes." >&2; exit 2; }
[[ $ESCALATION_FORMAT =~ ^(webhook|pagerduty|opsgenie)$ ]] || { echo "ESCALATION_FORMAT='$ESCALATION_FORMAT' is not webhook, pagerduty or opsgenie." >&2; exit 2; }
[[ $LOCATION =~ ^[A-Za-z0-9-]*$ ]] || { echo "LOCATION='$LOCATION' is not a location." >&2; exit 2; }
[[ $IMAGE =~ ^[A-Za-z0-9./_:@-]+$ ]] || { echo "IMAGE='$IMAGE' is not an image." >&2; exit 2; }
[[ $OPERATORS =~ ^[A-Za-z0-9.@,+_\ -]*$ ]] || { echo "OPERATORS must be e-mail addresses with commas between." >&2; exit 2; }
[[ $CHANNEL =~ ^[A-Za-z0-9./_-]*$ ]] || { echo "CHANNEL='$CHANNEL' is not a notification channel." >&2; exit 2; }
[[ ${#NAME} -le 20 ]] || { echo "NAME='$NAME' is too long: a service account's name has 30 characters." >&2; exit 2; }
[[ -z $ADDRESS || $ADDRESS =~ ^https://[A-Za-z0-9.-]+$ ]] || { echo "ADDRESS='$ADDRESS' is not https:// and a name." >&2; exit 2; }

THRESHOLDS=()                                # NAME=value of deploy/thresholds.env: the same for every part
while IFS= read -r line || [[ -n $line ]]; do   # the last line may lack its newline
  [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
  [[ $line =~ ^[A-Z][A-Z0-9_]*=[A-Za-z0-9_.,=-]*$ ]] || { echo "deploy/thresholds.env: '$line' is not NAME=value." >&2; exit 2; }
  THRESHOLDS+=("$line")
done <deploy/thresholds.env

DO=no
case "${1:---dry-run}" in
  --dry-run) ;;
  --do) DO=yes ;;
  *) echo "Usage: $0 [--dry-run | --do]   (without --do it only prints)" >&2; exit 2 ;;
esac
source deploy/commands.sh
