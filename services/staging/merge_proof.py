"""Proof before a staging table is dropped: how many of its rows the predictions table does not hold, or that nobody can say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from google.api_core.exceptions import NotFound

from services.batches.ids import DATASET, STAGING, parse_name
from services.core.errors import BadInput, MissingInWarehouse, OnCallError
from services.core.result import Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from

AT_ONCE = 8


@dataclass(frozen=True)
class Proof:
    """What is known of one table. `trouble` says why nothing could be proven; then every count is None."""

    table: str
    exists: bool
    rows: int | None = None
    absent: int | None = None  # rows whose business key the predictions table does not have
    differing: int | None = None  # rows whose key is there, but never with these values
    fingerprint: int | None = None
    etag: str = ""
    trouble: str = ""

    @property
    def unmerged(self) -> int | None:
        return None if self.absent is None or self.differing is None else self.absent + self.differing

    @property
    def merged(self) -> bool:
        """Every row of it is in the predictions table, and that is proven."""
        return self.exists and not self.trouble and self.unmerged == 0

    @property
    def sentence(self) -> str:
        if not self.exists:
            return "is not there"
        if self.trouble or self.unmerged is None:
            return f"not proven: {self.trouble}"
        if self.merged:
            return f"all {self.rows} rows are in the predictions table"
        return f"{self.absent} of {self.rows} rows are not in the predictions table, {self.differing} differ"


@dataclass(frozen=True)
class Proofs:
    proofs: tuple[Proof, ...]
    sources: tuple[Source, ...]

    @property
    def bytes_billed(self) -> int:
        return sum(source.bytes_billed for source in self.sources)


def names_of(tables: Any) -> tuple[str, ...]:
    """The tables asked for, without their dataset; raises BadInput for none at all or for one that is not staging."""
    if not isinstance(tables, list | tuple) or not tables:
        raise BadInput("No staging table was chosen, so there is nothing to do.", "Choose the tables first.")
    names = tuple(sorted({str(name).removeprefix(f"{DATASET}.") for name in tables}))
    for name in names:
        if not name.startswith(STAGING) or not name.replace("_", "").isalnum():
            raise BadInput(f"{name!r} is not a staging table.", f"Staging tables begin with {STAGING}.")
    return names


def read_proofs(cloud: Cloud, names: Sequence[str]) -> Proofs:
    """The proof of each table, in one query per batch; where that fails, table by table, so that one bad table spoils no other."""
    about = describe(cloud, names)
    sources = [Source("BigQuery tables.get", cloud.now())]
    found: dict[str, Mapping[str, Any]] = {}
    troubles: dict[str, str] = {}
    for prefix, group in _by_batch([name for name in names if about[name] is not None]).items():
        try:
            found |= _ask(cloud, prefix, group, sources)
        except OnCallError:
            _ask_each(cloud, group, found, troubles, sources)
    return Proofs(
        tuple(_proof(name, about[name], found.get(name), troubles.get(name, "")) for name in names), tuple(sources)
    )


def describe(cloud: Cloud, names: Sequence[str]) -> dict[str, Any]:
    """What tables.get says of each table now; None for one that is not there."""

    def get(name: str) -> Any:
        try:
            with reading_from(f"BigQuery ({name})"):
                return cloud.bigquery.get_table(f"{DATASET}.{name}", timeout=cloud.settings.query_timeout_s)
        except MissingInWarehouse as missing:
            if isinstance(missing.__cause__, NotFound):
                return None
            raise

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(names, pool.map(get, names), strict=True))


def _by_batch(names: Iterable[str]) -> dict[str, list[str]]:
    """Tables under the prefix that one batch's names share."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        worker = parse_name(name)[1]
        groups[name.removesuffix(worker) if worker and name.endswith(worker) else name[:-1]].append(name)
    return groups


def _ask(cloud: Cloud, prefix: str, group: Sequence[str], sources: list[Source]) -> dict[str, Mapping[str, Any]]:
    # A wildcard stands for one character at least, so the prefix must be shorter than every name.
    if len(group) == 1:
        prefix = group[0][:-1]
    tables, suffixes = {"staging": f"{DATASET}.{prefix}*"}, [name.removeprefix(prefix) for name in group]
    first, last = _dates(cloud, group, tables, suffixes, sources)
    answer = catalog.run(cloud, "actions.proof", tables=tables, suffixes=suffixes, first_date=first, last_date=last)
    sources.append(answer.source)
    return {f"{prefix}{row['suffix']}": row for row in answer.rows}


def _dates(
    cloud: Cloud, group: Sequence[str], tables: Mapping[str, str], suffixes: list[str], sources: list[Source]
) -> tuple[date | None, date | None]:
    """The game dates to look at: from the name, or, where the name tells none, from the rows."""
    told = parse_name(group[0])[2]
    if told is not None:
        return told, told
    answer = catalog.run(cloud, "actions.staged_dates", tables=tables, suffixes=suffixes)
    sources.append(answer.source)
    return answer.rows[0]["first_date"], answer.rows[0]["last_date"]


def _ask_each(
    cloud: Cloud,
    group: Sequence[str],
    found: dict[str, Mapping[str, Any]],
    troubles: dict[str, str],
    sources: list[Source],
) -> None:
    def one(name: str) -> tuple[str, dict[str, Mapping[str, Any]], str]:
        try:
            return name, _ask(cloud, name[:-1], [name], sources), ""
        except OnCallError as error:
            return name, {}, error.sentence

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, rows, trouble in pool.map(one, group):
            found |= rows
            if trouble:
                troubles[name] = trouble


def _proof(name: str, about: Any, row: Mapping[str, Any] | None, trouble: str) -> Proof:
    if about is None:
        return Proof(name, exists=False)
    if about.streaming_buffer is not None:
        trouble = "rows are still being streamed into it"
    if row is None and not trouble and about.num_rows == 0:
        return Proof(name, True, 0, 0, 0, 0, about.etag)
    if row is None or trouble:
        return Proof(name, True, etag=about.etag, trouble=trouble or "its rows could not be read")
    return Proof(
        name, True, row["staged_rows"], row["absent_rows"], row["differing_rows"], row["fingerprint"], about.etag
    )


def state_of(proof: Proof) -> dict[str, Any]:
    """What the decision to drop a table hangs on."""
    return {
        "rows": proof.rows,
        "not in predictions": proof.absent,
        "differing": proof.differing,
        "content": str(proof.fingerprint),
        "there": proof.exists,
        "etag": proof.etag,
    }
