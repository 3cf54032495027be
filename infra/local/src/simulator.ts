import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ManagedServer } from "@manyline/testkit";
import type { SimulatorAddress } from "./environment.ts";
import { createProgram } from "./program.ts";
import type { Settings } from "./settings.ts";

export const META_SIMULATOR_NAME = "meta-simulator";
export const WPP_SIMULATOR_NAME = "wpp-simulator";
export const INBOX_NAME = "inbox-simulator";

/** What the simulated WhatsApp prints when it is ready. */
export type SimulatorFacts = SimulatorAddress & { pageUrl: string };

/** The simulated WhatsApp with its phones, as a process. Its phones live in one file under `.data`. */
export async function createSimulator(input: {
  root: string;
  logs: string;
  stateFolder: string;
  page: string;
  settings: Settings;
  env: NodeJS.ProcessEnv;
}): Promise<{ server: ManagedServer; facts: () => SimulatorFacts }> {
  await mkdir(input.stateFolder, { recursive: true, mode: 0o700 });
  const port = input.settings.ports.simulator;
  const speed = input.env["TIME_SCALE"] ?? "";
  let facts: SimulatorFacts | undefined;
  const server = createProgram({
    name: "whatsapp-simulator",
    root: input.root,
    room: "packages/simulators",
    entry: "src/whatsapp/main.ts",
    args: [
      `--port=${port}`,
      `--state=${join(input.stateFolder, "whatsapp.json")}`,
      `--page=${input.page}`,
      ...(speed === "" ? [] : [`--speed=${speed}`]),
    ],
    env: input.env,
    port,
    logs: input.logs,
    isReady: (log) => {
      facts = parseFacts(log);
      return Promise.resolve(facts !== undefined);
    },
  });
  return {
    server,
    facts: () => {
      if (facts === undefined) throw new Error("the simulator has not started yet");
      return facts;
    },
  };
}

/** The simulated Meta, which sends its webhooks to our webhook-ingest. It keeps nothing. */
export function createMetaSimulator(input: {
  root: string;
  logs: string;
  settings: Settings;
  env: NodeJS.ProcessEnv;
}): ManagedServer {
  const { metaSimulator: port, ingest } = input.settings.ports;
  const speed = input.env["TIME_SCALE"] ?? "";
  return createProgram({
    name: META_SIMULATOR_NAME,
    root: input.root,
    room: "packages/simulators",
    entry: "src/meta/main.ts",
    args: [
      `--port=${port}`,
      `--webhook=http://127.0.0.1:${ingest}/webhooks/meta`,
      ...(speed === "" ? [] : [`--speed=${speed}`]),
    ],
    env: input.env,
    port,
    logs: input.logs,
    isReady: (log) => Promise.resolve(log.includes('"appId"')),
  });
}

/** The simulated WPP servers. Who has a number there keeps it: their clients live in one file under `.data`. */
export function createWppSimulator(input: {
  root: string;
  logs: string;
  stateFolder: string;
  settings: Settings;
  env: NodeJS.ProcessEnv;
}): ManagedServer {
  const { wppSimulator: port, wppConnectSimulator } = input.settings.ports;
  return createProgram({
    name: WPP_SIMULATOR_NAME,
    root: input.root,
    room: "packages/simulators",
    entry: "src/wpp/main.ts",
    args: [
      `--port=${port}`,
      `--connect-port=${wppConnectSimulator}`,
      `--state=${join(input.stateFolder, "wpp.json")}`,
    ],
    env: input.env,
    port,
    logs: input.logs,
    isReady: (log) => Promise.resolve(log.includes('"connectUrl"')),
  });
}

/** Takes the mails and SMS, and shows them on a page. */
export function createInbox(input: {
  root: string;
  logs: string;
  settings: Settings;
  env: NodeJS.ProcessEnv;
}): ManagedServer {
  const { inbox: port, inboxSmtp } = input.settings.ports;
  return createProgram({
    name: INBOX_NAME,
    root: input.root,
    room: "packages/simulators",
    entry: "src/inbox/main.ts",
    args: [`--port=${port}`, `--smtp-port=${inboxSmtp}`],
    env: input.env,
    port,
    logs: input.logs,
    isReady: (log) => Promise.resolve(log.includes('"smtpUrl"')),
  });
}

/** Finds the line `{"url", "httpUrl", "rootPublicKey"}` among what the simulator wrote. */
export function parseFacts(log: string): SimulatorFacts | undefined {
  for (const line of log.split("\n")) {
    if (!line.startsWith("{") || !line.endsWith("}")) continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      continue;
    }
    const fields = new Map<string, unknown>(Object.entries(value ?? {}));
    const [url, httpUrl, key] = ["url", "httpUrl", "rootPublicKey"].map((name) => fields.get(name));
    if (typeof url === "string" && typeof httpUrl === "string" && typeof key === "string") {
      return { waUrl: url, waRootKey: key, pageUrl: httpUrl };
    }
  }
  return undefined;
}
