import { Refusal } from "./refusal.ts";

/** The ports of `npm start`, each with the variable that moves it. Below the range of outgoing connections. */
const PORTS = {
  gateway: { variable: "GATEWAY_PORT", fallback: 3000 },
  workerHealth: { variable: "WORKER_HEALTH_PORT", fallback: 3010 },
  ingest: { variable: "INGEST_PORT", fallback: 3020 },
  notifier: { variable: "NOTIFIER_PORT", fallback: 3030 },
  simulator: { variable: "SIMULATOR_PORT", fallback: 7000 },
  metaSimulator: { variable: "META_SIMULATOR_PORT", fallback: 7100 },
  wppSimulator: { variable: "WPP_SIMULATOR_PORT", fallback: 7300 },
  wppConnectSimulator: { variable: "WPPCONNECT_SIMULATOR_PORT", fallback: 7301 },
  inbox: { variable: "INBOX_PORT", fallback: 7200 },
  inboxSmtp: { variable: "INBOX_SMTP_PORT", fallback: 7225 },
  postgres: { variable: "POSTGRES_PORT", fallback: 25432 },
  nats: { variable: "NATS_PORT", fallback: 24222 },
  redis: { variable: "REDIS_PORT", fallback: 26380 },
} as const;

export type PortName = keyof typeof PORTS;

export type Settings = {
  ports: Record<PortName, number>;
  /** Servers that somebody else runs. */
  databaseUrl: string | undefined;
  natsUrl: string | undefined;
  redisUrl: string | undefined;
};

/** What the environment says about where things are. Throws a Refusal that names the variable. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const ports = {
    gateway: readPort(env, "gateway"),
    workerHealth: readPort(env, "workerHealth"),
    ingest: readPort(env, "ingest"),
    notifier: readPort(env, "notifier"),
    simulator: readPort(env, "simulator"),
    metaSimulator: readPort(env, "metaSimulator"),
    wppSimulator: readPort(env, "wppSimulator"),
    wppConnectSimulator: readPort(env, "wppConnectSimulator"),
    inbox: readPort(env, "inbox"),
    inboxSmtp: readPort(env, "inboxSmtp"),
    postgres: readPort(env, "postgres"),
    nats: readPort(env, "nats"),
    redis: readPort(env, "redis"),
  };
  const numbers = Object.values(ports);
  if (new Set(numbers).size !== numbers.length) {
    const variables = Object.values(PORTS).map(({ variable }) => variable);
    throw new Refusal(`Two of ${variables.join(", ")} are the same port.`);
  }
  return {
    ports,
    databaseUrl: readUrl(env, "DATABASE_URL", ["postgres:", "postgresql:"]),
    natsUrl: readUrl(env, "NATS_URL", ["nats:", "tls:"]),
    redisUrl: readUrl(env, "REDIS_URL", ["redis:", "rediss:"]),
  };
}

/** The variable that moves a port. */
export function portVariable(name: PortName): string {
  return PORTS[name].variable;
}

function readPort(env: NodeJS.ProcessEnv, name: PortName): number {
  const { variable, fallback } = PORTS[name];
  const text = env[variable] ?? "";
  if (text === "") return fallback;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Refusal(`${variable} must be a port from 1 to 65535, not "${text}".`);
}

function readUrl(env: NodeJS.ProcessEnv, name: string, schemes: string[]): string | undefined {
  const text = env[name] ?? "";
  if (text === "") return undefined;
  if (URL.canParse(text) && schemes.includes(new URL(text).protocol)) return text;
  // Not repeated here: it may hold a password.
  throw new Refusal(`${name} must be a URL that starts with ${schemes.join("// or ")}//.`);
}
