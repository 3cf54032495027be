import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startWppConnect } from "./connect.ts";
import type { ConnectSession } from "./connect-world.ts";
import { controlCall } from "./control.ts";
import { startWppPlatform } from "./platform.ts";
import type { PlatformState } from "./platform-world.ts";
import type { WppServers } from "./view.ts";

// Both servers as a process of its own. Prints one JSON line when it is ready; see README.md for the options.

const { values } = parseArgs({
  options: {
    port: { type: "string", default: process.env["WPP_SIM_PORT"] ?? "7300" },
    "connect-port": { type: "string", default: process.env["WPP_SIM_CONNECT_PORT"] ?? "7301" },
    host: { type: "string", default: process.env["WPP_SIM_HOST"] ?? "127.0.0.1" },
    state: { type: "string", default: process.env["WPP_SIM_STATE"] ?? "" },
  },
});

// Slow enough to be watched. Secrets come by the environment, not by arguments.
const secret = process.env["WPP_SECRET"];
const connectSecret = process.env["WPPCONNECT_SECRET"];
const pace = { host: values.host, qrMs: 500, stepMs: 300 };
const connect = await startWppConnect({
  ...pace,
  port: Number(values["connect-port"]),
  ...(connectSecret ? { secret: connectSecret } : {}),
});
const platform = await startWppPlatform({
  ...pace,
  port: Number(values.port),
  // As a text it can be drawn, and looks like a QR.
  qrForm: "text",
  ...(secret ? { secret } : {}),
  beside: (request) => controlCall(request, servers),
});
const servers: WppServers = { platform, connect };

// Who made a number keeps its key: after a restart it must still be good.
type Kept = { platform: PlatformState; connect: ConnectSession[] };
let written = "";
if (values.state !== "" && existsSync(values.state)) {
  written = readFileSync(values.state, "utf8");
  const kept = JSON.parse(written) as Kept;
  platform.world.restore(kept.platform);
  connect.world.restore(kept.connect);
}
const keep = (): void => {
  const kept: Kept = { platform: platform.world.state(), connect: connect.world.state() };
  const text = JSON.stringify(kept);
  if (values.state === "" || text === written) return;
  writeFileSync(`${values.state}.new`, text, { mode: 0o600 });
  renameSync(`${values.state}.new`, values.state);
  written = text;
};
const keeping = setInterval(keep, 250);

process.stdout.write(`${JSON.stringify({ url: platform.url, connectUrl: connect.url })}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    clearInterval(keeping);
    keep();
    void Promise.all([platform.close(), connect.close()]);
  });
}
