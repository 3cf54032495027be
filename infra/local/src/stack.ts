import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { isPortTaken } from "@manyline/testkit";
import { buildConsole } from "./console-build.ts";
import { ensureDemoCompany, ensureDemoMetaNumber, makePairingLink, readMetaLine } from "./demo.ts";
import type { Environments } from "./environment.ts";
import { environments, publicUrl } from "./environment.ts";
import type { DataPaths } from "./paths.ts";
import { createProgram, isHealthy } from "./program.ts";
import type { Progress } from "./progress.ts";
import { excerpt } from "./progress.ts";
import { Refusal } from "./refusal.ts";
import { createRest } from "./rest.ts";
import { loadSecrets } from "./secrets.ts";
import { startServers } from "./servers.ts";
import type { PortName, Settings } from "./settings.ts";
import { portVariable } from "./settings.ts";
import type { SimulatorFacts } from "./simulator.ts";
import {
  createInbox,
  createMetaSimulator,
  createSimulator,
  createWppSimulator,
  INBOX_NAME,
  META_SIMULATOR_NAME,
  WPP_SIMULATOR_NAME,
} from "./simulator.ts";
import { Supervisor } from "./supervisor.ts";

const run = promisify(execFile);

const SERVER_NAMES = new Set(["Postgres", "NATS", "Redis"]);
const SIMULATOR_NAMES = new Set([
  "whatsapp-simulator",
  META_SIMULATOR_NAME,
  WPP_SIMULATOR_NAME,
  INBOX_NAME,
]);

export type StackOptions = {
  root: string;
  paths: DataPaths;
  settings: Settings;
  isReal: boolean;
  /** How many session-workers; each takes a port of its own, from the first one's on. */
  workers: number;
  env: NodeJS.ProcessEnv;
  report: Progress;
};

/** What is where, for the table at the end of the start. */
export type StackFacts = {
  pairingLink: string;
  phonePage: string | undefined;
  metaPage: string | undefined;
  wppPage: string | undefined;
  /** The mails and SMS that were sent; undefined: they really go out. */
  inboxPage: string | undefined;
};

/** Everything that `npm start` runs, in its order. */
export class Stack {
  readonly #options: StackOptions;
  readonly #supervisor: Supervisor;
  #starting: Promise<StackFacts> | undefined;

  constructor(options: StackOptions) {
    this.#options = options;
    this.#supervisor = new Supervisor(options.report);
  }

  start(): Promise<StackFacts> {
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<StackFacts> {
    const { signal } = this.#supervisor;
    const { root, paths, settings, report, env, isReal } = this.#options;
    await this.#assertPortsFree();
    const secrets = await loadSecrets(paths);
    const urls = await startServers(paths, settings, report, (server) => {
      this.#supervisor.adopt(server);
    });
    signal.throwIfAborted();
    const consoleDir = await buildConsole(root, report);
    const simulator = isReal ? undefined : await this.#startSimulator(consoleDir);
    const mediaStore = env["MEDIA_STORE"] ?? paths.media;
    const base = { base: env, settings, secrets, urls, simulator, consoleDir, mediaStore };
    const envs = environments(base);
    signal.throwIfAborted();
    await this.#migrate(envs.migrate);
    if (!isReal) await this.#startMetaSimulator(envs.webhookIngest);
    if (!isReal) await this.#startWppSimulator(secrets.wppSecret);
    if (!isReal) await this.#startInbox(envs.notifier);
    await this.#startServices(envs);
    const rest = createRest(publicUrl(settings), secrets.adminToken);
    if (await ensureDemoCompany(rest)) report("demo company 962302 made");
    // Makes the company's first number, which the link is for; the one at Meta is a further one.
    const pairingLink = await makePairingLink(rest, "962302");
    const metaPage = isReal ? undefined : `http://127.0.0.1:${settings.ports.metaSimulator}`;
    const metaLine = metaPage === undefined ? undefined : await readMetaLine(metaPage);
    if (metaLine && (await ensureDemoMetaNumber(rest, metaLine)))
      report("demo number at Meta made");
    return {
      pairingLink,
      phonePage: simulator?.pageUrl,
      metaPage,
      wppPage: isReal ? undefined : `http://127.0.0.1:${settings.ports.wppSimulator}`,
      inboxPage: isReal ? undefined : `http://127.0.0.1:${settings.ports.inbox}`,
    };
  }

  /** First the services, then the simulated WhatsApp, then the servers they all need. */
  async stop(): Promise<void> {
    const { report } = this.#options;
    await this.#supervisor.beginStop();
    // A step of the start that is under way ends by itself; what it started is stopped then.
    await Promise.allSettled([this.#starting]);
    report("stopping the services");
    await this.#supervisor.stop(
      ({ spec }) => !SERVER_NAMES.has(spec.name) && !SIMULATOR_NAMES.has(spec.name),
    );
    await this.#supervisor.stop(({ spec }) => SIMULATOR_NAMES.has(spec.name));
    report("stopping the servers");
    await this.#supervisor.stop(() => true);
  }

  async kill(): Promise<void> {
    await this.#supervisor.beginStop();
    await this.#supervisor.kill();
  }

  async #assertPortsFree(): Promise<void> {
    const { settings, isReal, workers } = this.#options;
    for (let index = 1; index < workers; index += 1) {
      const port = settings.ports.workerHealth + index;
      if (!(await isPortTaken(port))) continue;
      throw new Refusal(
        `Port ${port}, of a further worker, is in use; choose where they begin with WORKER_HEALTH_PORT.`,
      );
    }
    const wanted: [PortName, boolean][] = [
      ["gateway", true],
      ["workerHealth", true],
      ["ingest", true],
      ["notifier", true],
      ["simulator", !isReal],
      ["metaSimulator", !isReal],
      ["wppSimulator", !isReal],
      ["wppConnectSimulator", !isReal],
      ["inbox", !isReal],
      ["inboxSmtp", !isReal],
      ["postgres", settings.databaseUrl === undefined],
      ["nats", settings.natsUrl === undefined],
      ["redis", settings.redisUrl === undefined],
    ];
    for (const [name, isWanted] of wanted) {
      const port = settings.ports[name];
      if (!isWanted || !(await isPortTaken(port))) continue;
      throw new Refusal(
        `Port ${port} is in use by another program; stop that one, or choose another port with ${portVariable(name)}.`,
      );
    }
  }

  async #startSimulator(page: string): Promise<SimulatorFacts> {
    const { root, paths, settings, env, report } = this.#options;
    const { server, facts } = await createSimulator({
      root,
      logs: paths.logs,
      stateFolder: paths.simulator,
      page,
      settings,
      env,
    });
    await this.#supervisor.start(server);
    report(`simulated WhatsApp on port ${server.port}`);
    return facts();
  }

  /** With the secrets of webhook-ingest, which it signs for. */
  async #startMetaSimulator(ingest: NodeJS.ProcessEnv): Promise<void> {
    const { root, paths, settings, env, report } = this.#options;
    const { META_APP_SECRET, META_VERIFY_TOKEN } = ingest;
    const server = createMetaSimulator({
      root,
      logs: paths.logs,
      settings,
      env: { ...env, META_APP_SECRET, META_VERIFY_TOKEN },
    });
    await this.#supervisor.start(server);
    report(`simulated Meta on port ${settings.ports.metaSimulator}`);
  }

  async #startWppSimulator(secret: string): Promise<void> {
    const { root, paths, settings, env, report } = this.#options;
    const server = createWppSimulator({
      root,
      logs: paths.logs,
      stateFolder: paths.simulator,
      settings,
      env: { ...env, WPP_SECRET: secret, WPPCONNECT_SECRET: secret },
    });
    await this.#supervisor.start(server);
    report(`simulated WPP servers on port ${settings.ports.wppSimulator}`);
  }

  /** With the account that the notifier logs in with. */
  async #startInbox(notifier: NodeJS.ProcessEnv): Promise<void> {
    const { root, paths, settings, env, report } = this.#options;
    const { TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN } = notifier;
    const server = createInbox({
      root,
      logs: paths.logs,
      settings,
      env: { ...env, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN },
    });
    await this.#supervisor.start(server);
    report(`inbox of mails and SMS on port ${settings.ports.inbox}`);
  }

  /** A process of its own, as in production: only it knows the owner's URL. */
  async #migrate(env: NodeJS.ProcessEnv): Promise<void> {
    const { root, paths, report } = this.#options;
    const log = join(paths.logs, "migrate.log");
    try {
      const script = join(root, "packages", "db", "src", "migrate-main.ts");
      const { stdout, stderr } = await run(process.execPath, [script], { env, cwd: root });
      await writeFile(log, stdout + stderr);
    } catch (cause) {
      const output = ["stdout", "stderr"].map((name) => textOf(cause, name)).join("");
      await writeFile(log, output);
      throw new Refusal(`The database cannot be migrated (${log}):\n${excerpt(output, 10)}`, {
        cause,
      });
    }
    report("database migrated");
  }

  async #startServices(envs: Environments): Promise<void> {
    const { root, paths, settings, report, workers } = this.#options;
    const { gateway, workerHealth, ingest, notifier } = settings.ports;
    const common = { root, logs: paths.logs, entry: "src/main.ts", hasTelemetry: true };
    const services = [
      createProgram({
        ...common,
        name: "gateway",
        room: "services/gateway",
        env: envs.gateway,
        port: gateway,
        isReady: () => isHealthy(gateway),
      }),
      createProgram({
        ...common,
        name: "webhook-ingest",
        room: "services/webhook-ingest",
        env: envs.webhookIngest,
        port: ingest,
        isReady: () => isHealthy(ingest),
      }),
      createProgram({
        ...common,
        name: "notifier",
        room: "services/notifier",
        env: envs.notifier,
        port: notifier,
        isReady: () => isHealthy(notifier),
      }),
      ...Array.from({ length: workers }, (_, index) => {
        const name = index === 0 ? "session-worker" : `session-worker-${index + 1}`;
        const port = workerHealth + index;
        return createProgram({
          ...common,
          name,
          room: "services/session-worker",
          // Its README says why.
          nodeArgs: ["--max-semi-space-size=8"],
          env: {
            WORKER_HOST: `worker-${index + 1}`,
            ...envs.sessionWorker,
            HEALTH_PORT: String(port),
          },
          port,
          isReady: () => isHealthy(port),
        });
      }),
    ];
    const starts = services.map(async (service) => {
      await this.#supervisor.start(service);
      report(`${service.spec.name} ready`);
    });
    await Promise.allSettled(starts);
    await Promise.all(starts);
  }
}

function textOf(error: unknown, name: string): string {
  if (typeof error !== "object" || error === null) return "";
  const value: unknown = Object.getOwnPropertyDescriptor(error, name)?.value;
  return typeof value === "string" ? value : "";
}
