/** The simulated WhatsApp as a process of its own, so that it goes on whatever the test's own process does. */
import { join } from "node:path";
import { freePort } from "@manyline/testkit";
import { createProgram } from "../program.ts";
import { parseFacts } from "../simulator.ts";
import type { SimulatedWhatsApp } from "./fleet.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..", "..");

/** @param folder of its log, `whatsapp-simulator.log` */
export async function startSimulatorProcess(folder: string): Promise<SimulatedWhatsApp> {
  const port = await freePort();
  let facts: ReturnType<typeof parseFacts>;
  const server = createProgram({
    name: "whatsapp-simulator",
    root: ROOT,
    room: "packages/simulators",
    entry: "src/whatsapp/main.ts",
    args: [`--port=${port}`],
    env: { PATH: process.env["PATH"] ?? "" },
    port,
    logs: folder,
    isReady: (log) => {
      facts = parseFacts(log);
      return Promise.resolve(facts !== undefined);
    },
  });
  await server.start();
  if (!facts) throw new Error("the simulator did not say where it is");
  return {
    url: facts.waUrl,
    httpUrl: facts.pageUrl,
    rootPublicKey: facts.waRootKey,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
