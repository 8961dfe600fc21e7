// What Google's clients for Node get from the sandbox; prints one JSON object.
// node google_clients.cjs <bigquery|run|logging> <the sandbox's address> <an account of the sandbox>
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');

const [, , part, url, account] = process.argv;
const projectId = 'nba-props-platform';
const { hostname, port } = new URL(url);

/** Credentials of the account, whose address is its token in the sandbox. */
function credentials() {
  const client = new (require('google-auth-library').OAuth2Client)();
  client.setCredentials({ access_token: account });
  return client;
}

/** Options of the generated clients: REST by plain HTTP. */
function restOptions() {
  const address = { apiEndpoint: hostname, port: Number(port), protocol: 'http', fallback: true };
  return { ...address, projectId, authClient: credentials() };
}

async function bigquery() {
  const { BigQuery } = require('@google-cloud/bigquery');
  const client = new BigQuery({
    projectId,
    apiEndpoint: url,
    authClient: credentials(),
    useAuthWithCustomEndpoint: true,
  });
  const dataset = client.dataset('node_client');
  await dataset.create();
  const [table] = await dataset.createTable('lines', { schema: 'player:STRING,line:FLOAT,night:DATE' });
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'rows-')), 'rows.json');
  fs.writeFileSync(file, '{"player":"a","line":20.5,"night":"2025-12-29"}\n{"player":"b","line":7}\n');
  const [load] = await table.load(file, { sourceFormat: 'NEWLINE_DELIMITED_JSON' });
  const [rows] = await client.query({
    query: 'SELECT player, line, night FROM node_client.lines WHERE player = @player AND line > @least',
    params: { player: 'a', least: 1.5 },
  });
  const [dry] = await client.createQueryJob({ query: 'SELECT player FROM node_client.lines', dryRun: true });
  await table.copy(dataset.table('copied'));
  await table.insert([{ player: 'c', line: 1 }]);
  const [tables] = await dataset.getTables();
  const [listed] = await dataset.table('copied').getRows();
  const [jobs] = await client.getJobs({ maxResults: 3 });
  const [metadata] = await jobs[0].getMetadata();
  const refusal = await client.query('SELECT nothing FROM node_client.lines').catch((error) => error.message);
  await dataset.delete({ force: true });
  return {
    load: load.status.state,
    rows: rows.map((row) => ({ ...row, night: row.night.value })),
    dry: dry.metadata.status.state,
    tables: tables.map((t) => t.id),
    listed: listed.length,
    job: metadata.status.state,
    refusal,
  };
}

async function run() {
  const { ServicesClient, RevisionsClient } = require('@google-cloud/run').v2;
  const client = new ServicesClient(restOptions());
  const name = client.servicePath(projectId, 'us-west2', 'prediction-worker');
  const [service] = await client.getService({ name });
  const [services] = await client.listServices({ parent: client.locationPath(projectId, 'us-west2') });
  const [revisions] = await new RevisionsClient(restOptions()).listRevisions({ parent: name });
  service.template.maxInstanceRequestConcurrency = 4;
  const [operation] = await client.updateService({ service, updateMask: { paths: ['template.max_instance_request_concurrency'] } });
  const [updated] = await operation.promise();
  return {
    services: services.map((s) => s.name.split('/').pop()),
    revisions: revisions.length,
    changed: service.etag !== updated.etag,
    concurrency: updated.template.maxInstanceRequestConcurrency,
  };
}

async function logging() {
  const { Logging } = require('@google-cloud/logging');
  const client = new Logging(restOptions());
  const log = client.log('node-client');
  await log.write(log.entry({ severity: 'ERROR', timestamp: new Date('2025-12-30T06:00:00Z') }, { message: 'from node' }));
  const filter = `logName="projects/${projectId}/logs/node-client" AND timestamp>="2025-12-29T00:00:00Z"`;
  for (let tries = 0; tries < 50; tries += 1) {
    const [entries] = await client.getEntries({ filter, autoPaginate: false });
    if (entries.length) return { severity: entries[0].metadata.severity, data: entries[0].data };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {};
}

({ bigquery, run, logging })[part]().then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
