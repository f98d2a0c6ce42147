// healthcheck.js HOST:PORT: exit 0 when the sidecar with that admin port is ready.

const [admin = "127.0.0.1:15000"] = process.argv.slice(2);
const answer = await fetch(`http://${admin}/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
process.exitCode = answer?.status === 200 ? 0 : 1;
