"""The resolver's SQL asked about any names, so that tests can compare it with the one in Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from google.cloud import bigquery

from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.names.resolver import Resolution, ResolutionMethod

RESOLVED_SQL = """
-- Where does each of these names resolve in the registry: to itself, through one alias, or nowhere?
-- @param names ARRAY<STRING>  names as the odds spell them
-- @part name_resolution  the method of each
WITH candidates AS (
  SELECT DISTINCT 'registry' AS scope, player_lookup AS `lookup` FROM nba_reference.nba_players_registry
),
names AS (
  SELECT DISTINCT 'registry' AS scope, name FROM UNNEST(@names) AS name
)
SELECT resolution.name, resolution.lookup, resolution.method
FROM {name_resolution} AS resolution
ORDER BY resolution.name
""".lstrip()


def read_resolutions(clients: Clients, names: Collection[str]) -> Mapping[str, Resolution]:
    """Where each name resolves in the registry, by the SQL part that the product's queries share."""
    query = query_catalog.parse("tests.resolved", RESOLVED_SQL)
    config = bigquery.QueryJobConfig(query_parameters=query.bind(names=sorted(set(names))))
    rows = clients.bigquery.query(query.sql, config).result()
    return {row["name"]: Resolution(ResolutionMethod(row["method"]), row["lookup"]) for row in rows}
