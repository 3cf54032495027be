import { parseArgs } from "node:util";
import { startInboxSimulator } from "./simulator.ts";

// The sinks as a process of their own. Prints one JSON line when they are ready; see README.md for the options.

const { values } = parseArgs({
  options: {
    port: { type: "string", default: process.env["INBOX_SIM_PORT"] ?? "7200" },
    "smtp-port": { type: "string", default: process.env["INBOX_SIM_SMTP_PORT"] ?? "7225" },
    host: { type: "string", default: process.env["INBOX_SIM_HOST"] ?? "127.0.0.1" },
  },
});
const { TWILIO_ACCOUNT_SID: sid, TWILIO_AUTH_TOKEN: token } = process.env;
const inbox = await startInboxSimulator({
  port: Number(values.port),
  smtpPort: Number(values["smtp-port"]),
  host: values.host,
  ...(sid && token ? { account: { sid, token } } : {}),
});
process.stdout.write(`${JSON.stringify({ url: inbox.url, smtpUrl: inbox.smtpUrl })}\n`);
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void inbox.close());
}
