"""For Dagster's own Python: a job of one op, executed once a night in this process. Standard input: [night, fails] for each."""

import json
import os
import sys
from pathlib import Path

from dagster import DagsterInstance, DailyPartitionsDefinition, Definitions, job, op


@op
def predict(context):
    if context.has_tag("fails"):
        raise RuntimeError("too many concurrent writes")


@job(partitions_def=DailyPartitionsDefinition(start_date="2025-07-01"))
def nights():
    predict()


definitions = Definitions(jobs=[nights])


def main():
    # Neither its sign-up dialog nor its script from the internet is part of the page.
    Path(os.environ["DAGSTER_HOME"], "dagster.yaml").write_text("nux: {enabled: false}\ntelemetry: {enabled: false}\n")
    with DagsterInstance.get() as instance:
        for night, fails in json.load(sys.stdin):
            nights.execute_in_process(
                instance=instance, partition_key=night, tags={"fails": "yes"} if fails else {}, raise_on_error=False
            )


if __name__ == "__main__":
    main()
