# How apply.sh and undo.sh print and run their commands. Part of config.sh.

HERE=(--project="$PROJECT" --region="$REGION" --quiet)
BQ=(bq query --project_id="$PROJECT" --use_legacy_sql=false --quiet)
FAILED=()                                    # undo.sh's commands that failed, for its end

say() { printf '\n# %s\n' "$*"; }

show() { # a command as one could type it; FROM is its standard input: a file, or text
  printf '%q ' "$@"
  if [[ -f $FROM ]]; then printf '< %q' "$FROM"; elif [[ -n $FROM ]]; then printf '<<< %q' "$FROM"; fi
  echo
}

run() { FROM=''; show "$@"; [[ $DO == no ]] || require "$@"; }      # printed; run only with --do, where a failure ends the script
try() { FROM=''; show "$@"; [[ $DO == no ]] || attempt "$@"; }      # where "not found" is no failure, and others are counted
sql() { FROM=$1; shift; show "${BQ[@]}"; [[ $DO == no ]] || "${1:-require}" "${BQ[@]}"; }   # SQL by standard input: a file, or text

execute() { # runs a command with FROM, again while its error is one that passes; OUTPUT is what it printed
  local began=$SECONDS
  until OUTPUT=$(feed "$@" 2>&1); do
    if ! passes "$OUTPUT" || ((SECONDS - began >= RETRY_FOR)); then return 1; fi
    echo "# Not yet, after $((SECONDS - began)) s of at most $RETRY_FOR: $(head -1 <<<"$OUTPUT" | cut -c1-300)" >&2
    sleep "$RETRY_EVERY"
  done
}

feed() { if [[ -f $FROM ]]; then "$@" <"$FROM"; elif [[ -n $FROM ]]; then "$@" <<<"$FROM"; else "$@" </dev/null; fi; }

passes() { # Google knows a new account, API, metric or policy everywhere only after a while
  case $1 in
    *"Cannot find metric"* | *"has not been used in project"* | *"concurrent policy changes"* | *"$NAME-"*"does not exist"*) ;;
    *) return 1 ;;
  esac
}

is_missing() { [[ $1 =~ NOT_FOUND|[Nn]ot\ found|could\ not\ be\ found|Cannot\ find|does\ not\ exist ]]; }

require() {
  if execute "$@"; then [[ -z $OUTPUT ]] || printf '%s\n' "$OUTPUT"; else stop; fi
}

attempt() {
  if execute "$@"; then return; fi
  if is_missing "$OUTPUT"; then echo "# It is not there."; else
    printf '%s\n' "$OUTPUT" >&2
    FAILED+=("$(show "$@")")
  fi
}

ask() { FROM='' execute "$@" || stop; printf '%s' "$OUTPUT"; }      # what a command prints; only with --do

exists() { # whether a describe finds its resource; any other failure ends the script
  FROM=''
  execute "$@" && return
  is_missing "$OUTPUT" || stop
  return 1
}

stop() { # prints OUTPUT, and one sentence that says what to do
  printf '%s\n' "$OUTPUT" >&2
  case $OUTPUT in
    *"has not been used in project"*) echo "Stopped: an API is off. Turn it on at the address in the message, then run this again." >&2 ;;
    *UNAUTHENTICATED* | *"active account"* | *"auth login"*) echo "Stopped: nobody is signed in. Run: gcloud auth login" >&2 ;;
    *PERMISSION_DENIED* | *"does not have permission"* | *"ermission denied"* | *"Access Denied"* | *"may not exist"*)
      echo "Stopped: Google refused it to this account (gcloud config get account) in $PROJECT. Ask an owner of the project for roles/owner while you deploy, or check PROJECT." >&2 ;;
    *"Cannot find metric"*) echo "Stopped: after $RETRY_FOR s a new metric is still unknown to the alert policies." >&2 ;;
    *) if is_missing "$OUTPUT"; then echo "Stopped: the command above names something that is not there; its name is a variable of deploy/config.sh." >&2
       else echo "Stopped: the command above failed." >&2; fi ;;
  esac
  exit 1
}

check_tools() { # before anything is changed
  local tool version
  for tool in gcloud bq; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed: https://cloud.google.com/sdk/docs/install has both gcloud and bq." >&2; exit 1; }
  done
  version=$(gcloud version --format='value("Google Cloud SDK")' 2>/dev/null </dev/null) || true
  [[ ${version%%.*} =~ ^[0-9]+$ && ${version%%.*} -ge $OLDEST_GCLOUD ]] || {
    echo "gcloud ${version:-of unknown version} is older than $OLDEST_GCLOUD: run gcloud components update, or install a newer one." >&2; exit 1; }
}

grants() { # every grant on resources of these kinds: VERB (grant or revoke) KIND…
  local verb=$1 who role kind target; shift
  while read -r who role kind target; do
    [[ -z $who || $who == \#* || " $* " != *" $kind "* ]] && continue
    [[ $target =~ ^[A-Z_]+$ ]] && target=${!target}
    [[ $kind != project && -z $target ]] && continue
    "$verb" "${role/#projects\/PROJECT/projects/$PROJECT}" "$kind" "$target" $(members "$who")
  done <deploy/permissions.txt
}

members() { # the accounts of `read,act`, those that this deployment has
  local who account
  for who in ${1//,/ }; do
    account=${who^^}
    [[ -z ${!account} ]] || printf '%s ' "serviceAccount:${!account}"
  done
}

change_policy() { # add|remove RUNNER ROLE KIND TARGET MEMBER…
  local verb=$1-iam-policy-binding runner=$2 role=$3 kind=$4 target=$5 member; shift 5
  for member in "$@"; do
    case $kind in
      project) "$runner" gcloud projects "$verb" "$PROJECT" --member="$member" --role="$role" --condition=None --quiet ;;
      account) "$runner" gcloud iam service-accounts "$verb" "$target" --project="$PROJECT" --member="$member" --role="$role" --quiet ;;
      secret) "$runner" gcloud secrets "$verb" "$target" --project="$PROJECT" --member="$member" --role="$role" --quiet ;;
      service | job) "$runner" gcloud run "${kind}s" "$verb" "$target" "${HERE[@]}" --member="$member" --role="$role" ;;
    esac
  done
}

quoted() { local member list=''; for member in "$@"; do list+=", \"$member\""; done; printf '%s' "${list#, }"; }

grant() { # ROLE KIND TARGET MEMBER…
  if [[ $2 == dataset ]]; then [[ $# -eq 3 ]] || sql "GRANT \`$1\` ON SCHEMA \`$PROJECT.$3\` TO $(quoted "${@:4}")"
  else change_policy add run "$@"; fi
}

revoke() {
  if [[ $2 == dataset ]]; then [[ $# -eq 3 ]] || sql "REVOKE \`$1\` ON SCHEMA \`$PROJECT.$3\` FROM $(quoted "${@:4}")" attempt
  else change_policy remove try "$@"; fi
}

print_state() { # what is there now; a question that fails says so and stops nothing
  local command
  say "What is there now"
  while IFS= read -r command; do
    echo "$command"
    [[ $DO == no ]] || bash -c "$command" 2>&1 </dev/null | sed 's/^/#   /' || true
  done <<COMMANDS
gcloud run services list --project=$PROJECT --region=$REGION --filter='metadata.name:$NAME' --format='table[no-heading](metadata.name,status.url,spec.template.spec.containers[0].image)'
gcloud run jobs list --project=$PROJECT --region=$REGION --filter='metadata.name:$NAME' --format='table[no-heading](metadata.name)'
gcloud scheduler jobs list --project=$PROJECT --location=$REGION --filter='name:$NAME' --format='table[no-heading](name.basename(),schedule,state)'
gcloud alpha monitoring policies list --project=$PROJECT --filter='displayName:Predictions' --format='table[no-heading](displayName,notificationChannels.list())'
bq ls --project_id=$PROJECT $PROJECT:prediction_on_call
COMMANDS
}

job_role() { # a role of our own: run, pause and resume scheduled jobs, and nothing else
  local verb=create
  if [[ $DO == yes ]] && exists gcloud iam roles describe predictionOnCallJobs --project="$PROJECT"; then
    verb=update
    if [[ $OUTPUT == *"deleted: true"* ]]; then run gcloud iam roles undelete predictionOnCallJobs --project="$PROJECT" --quiet; fi
  fi
  run gcloud iam roles "$verb" predictionOnCallJobs --project="$PROJECT" --title="On-call dashboard: scheduled jobs" --stage=GA \
    --permissions=cloudscheduler.jobs.run,cloudscheduler.jobs.pause,cloudscheduler.jobs.enable --quiet
}

account() { # ADDRESS TITLE
  if [[ $DO == no ]] || ! exists gcloud iam service-accounts describe "$1" --project="$PROJECT"; then
    run gcloud iam service-accounts create "${1%%@*}" --project="$PROJECT" --display-name="$2" --quiet
  fi
}

finish() { # at the end, also that of a failure
  local code=$?
  trap - EXIT
  print_state
  if [[ $code -ne 0 ]]; then
    echo "# It did not come to its end. What is done stays: run the same command again and it goes on, or take it back with deploy/undo.sh --do." >&2
  elif [[ $DO == no ]]; then printf '\n# Nothing was changed. Run it with --do to apply.\n'; fi
  exit "$code"
}
