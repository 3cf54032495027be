/**
 * How long a person waits for a pairing code: `POST …/pairing-code` through gateway, Postgres, NATS and worker,
 * beside what the bare library needs for the same (a new socket, the request, WhatsApp's answer), by turns in
 * the same run against the same simulated WhatsApp. Budget: p50 at most 100 ms and p95 at most 250 ms more than
 * the bare library.
 */
import { cpus } from "node:os";
import { startLocalStack } from "@manyline/local/testing";
import {
  BufferJSON,
  Curve,
  initAuthCreds,
  makeWASocket,
  WA_CERT_DETAILS,
  type BinaryNode,
} from "@whiskeysockets/baileys";

const ROUNDS = Number(process.argv[2] ?? 30);
const WARM_UP = 3;
const BUDGET_MS = { p50: 100, p95: 250 };

const silent = {
  level: "silent",
  child: () => silent,
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** From nothing to WhatsApp's acceptance, with stock settings. */
async function bare(url: string, phone: string): Promise<number> {
  const startedAt = performance.now();
  const sock = makeWASocket({
    auth: { creds: initAuthCreds(), keys: { get: () => ({}), set: () => undefined } },
    waWebSocketUrl: url,
    logger: silent,
    browser: ["Mac OS", "Chrome", "14.4.1"],
  });
  const accepted = Promise.withResolvers<void>();
  sock.ws.on("CB:iq,,link_code_companion_reg", (node: BinaryNode) => {
    if (node.attrs["type"] === "result") accepted.resolve();
  });
  await new Promise<void>((resolve) => {
    sock.ev.on("connection.update", ({ qr }) => {
      if (qr !== undefined) resolve();
    });
  });
  await sock.requestPairingCode(phone);
  await accepted.promise;
  const tookMs = performance.now() - startedAt;
  await sock.end(undefined);
  return tookMs;
}

function percentile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

await using stack = await startLocalStack();
const root = await stack.simulator("GET", "/root");
WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(String(root.body["rootPublicKey"]), "hex");
// A fixed seed of the process: the first key pair pays for loading the native parts.
Curve.generateKeyPair();
JSON.stringify({}, BufferJSON.replacer);

const ours: number[] = [];
const theirs: number[] = [];
for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
  const id = `bench-${round}`;
  await stack.rest("POST", "/api/whatsapp/companies", { id, name: id });
  const phone = `7903${String(1_000_000 + round)}`;
  // The page has long been open when a person asks: the number exists, its worker knows it.
  await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-link`, {});
  await new Promise((resolve) => setTimeout(resolve, 300));
  const startedAt = performance.now();
  const answer = await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-code`, {
    phoneNumber: phone,
  });
  const tookMs = performance.now() - startedAt;
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
  await stack.rest("POST", `/api/whatsapp/sessions/${id}/cancel-pairing`, {});
  const bareMs = await bare(String(root.body["url"]), `7904${String(1_000_000 + round)}`);
  if (round < WARM_UP) continue;
  ours.push(tookMs);
  theirs.push(bareMs);
}

const figures = { ours, "bare Baileys": theirs };
const say = (line: string): void => void process.stdout.write(`${line}\n`);
say(
  `pairing code, ${ROUNDS} rounds, ${cpus().length} × ${cpus()[0]?.model ?? "?"}, Node ${process.version}`,
);
for (const [name, values] of Object.entries(figures)) {
  say(
    `${name.padEnd(14)} p50 ${percentile(values, 0.5).toFixed(0)} ms   p95 ${percentile(values, 0.95).toFixed(0)} ms`,
  );
}
const over = {
  p50: percentile(ours, 0.5) - percentile(theirs, 0.5),
  p95: percentile(ours, 0.95) - percentile(theirs, 0.95),
};
say(
  `ours is p50 ${over.p50.toFixed(0)} ms, p95 ${over.p95.toFixed(0)} ms above (budget ${BUDGET_MS.p50} and ${BUDGET_MS.p95})`,
);
say(`ratio of the medians ${(percentile(ours, 0.5) / percentile(theirs, 0.5)).toFixed(2)}`);
if (over.p50 > 3 * BUDGET_MS.p50 || over.p95 > 3 * BUDGET_MS.p95) process.exitCode = 1;
setTimeout(() => process.exit(), 1_000).unref();
