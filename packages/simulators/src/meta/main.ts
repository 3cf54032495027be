import { createHmac } from "node:crypto";
import { parseArgs } from "node:util";
import { startMetaSimulator } from "./simulator.ts";

// The simulator as a process of its own. Prints one JSON line when it is ready; see README.md for the options.

const { values } = parseArgs({
  options: {
    port: { type: "string", default: process.env["META_SIM_PORT"] ?? "7100" },
    host: { type: "string", default: process.env["META_SIM_HOST"] ?? "127.0.0.1" },
    speed: { type: "string", default: process.env["META_SIM_SPEED"] ?? "1" },
    webhook: { type: "string", default: process.env["META_SIM_WEBHOOK"] ?? "" },
  },
});

const simulator = await startMetaSimulator({
  port: Number(values.port),
  host: values.host,
  speed: Number(values.speed),
});
const secret = process.env["META_APP_SECRET"];
const verifyToken = process.env["META_VERIFY_TOKEN"];
// An app with a number, so that there is something to look at. Secrets come by the environment, not by arguments.
const app = simulator.world.addApp({
  ...(secret ? { secret } : {}),
  ...(verifyToken ? { verifyToken } : {}),
  callbackUrl: values.webhook === "" ? null : values.webhook,
});
// The same after a restart, for whoever has registered it.
const waba = simulator.world.addWaba({ id: "800000000962302", apps: [app.id] });
simulator.world.addNumber({ id: "900000000962302", wabaId: waba.id, phone: "15550100001" });
const text = createHmac("sha256", app.secret).update("token").digest("base64url");
simulator.world.addToken({ wabas: [waba.id], appId: app.id, token: `EAA${text}` });
simulator.world.addPerson({ phone: "79007654321", name: "Ann" });
process.stdout.write(`${JSON.stringify({ url: simulator.url, appId: app.id })}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void simulator.close());
}
