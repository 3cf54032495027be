/** The simulated WhatsApp as a process of its own, so that its processor time is counted apart. */
import { join } from "node:path";
import { BenchProcess } from "./child-process.ts";

const MAIN = join(import.meta.dirname, "../../../packages/simulators/src/whatsapp/main.ts");

/** One login of a device, as the simulator saw it; times are milliseconds of this machine's clock. */
export type Login = {
  phone: string;
  /** The worker's name, given in the address of its connections. */
  label: string | null;
  openedAt: number;
  closedAt: number | null;
};

export type SimulatorProcess = {
  process: BenchProcess;
  /** For WA_URL. */
  url: string;
  /** The control API. */
  httpUrl: string;
  rootKey: string;
  /** Connections that are open now. */
  connected: () => Promise<number>;
  /** Logins that were open at `since` or later. */
  logins: (since: number) => Promise<Login[]>;
};

export async function startSimulator(folder: string): Promise<SimulatorProcess> {
  let facts: { url: string; httpUrl: string; rootPublicKey: string } | undefined;
  const simulator = await BenchProcess.start({
    name: "simulator",
    args: [MAIN, "--port=0", "--quiet"],
    logFile: join(folder, "simulator.log"),
    isReady: (log) => {
      const [line] = log.split("\n");
      if (!log.includes("\n") || line === undefined) return false;
      facts = JSON.parse(line) as typeof facts;
      return true;
    },
  });
  if (facts === undefined) throw new Error("the simulator did not say where it is");
  const { url, httpUrl, rootPublicKey } = facts;
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${httpUrl}${path}`);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  return {
    process: simulator,
    url,
    httpUrl,
    rootKey: rootPublicKey,
    connected: async () => (await get<{ connected: number }>("/stats")).connected,
    logins: async (since) => {
      const answer = await get<{ logins: Login[] }>(`/record?since=${since}`);
      return answer.logins;
    },
  };
}
