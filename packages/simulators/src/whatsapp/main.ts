import { parseArgs } from "node:util";
import { muteLibsignal } from "./libsignal.ts";
import { startWhatsAppSimulator } from "./start.ts";

// The simulator as a process of its own. Prints one JSON line when it is ready; see README.md for the options.

const { values } = parseArgs({
  options: {
    port: { type: "string", default: process.env["WHATSAPP_SIM_PORT"] ?? "7000" },
    host: { type: "string", default: process.env["WHATSAPP_SIM_HOST"] ?? "127.0.0.1" },
    speed: { type: "string", default: process.env["WHATSAPP_SIM_SPEED"] ?? "1" },
    state: { type: "string", default: process.env["WHATSAPP_SIM_STATE"] ?? "" },
    page: { type: "string", default: process.env["WHATSAPP_SIM_PAGE"] ?? "" },
    quiet: { type: "boolean", default: false },
  },
});

muteLibsignal();
const simulator = await startWhatsAppSimulator({
  port: number("port", values.port, (value) => Number.isInteger(value) && value >= 0),
  host: values.host,
  speed: number("speed", values.speed, (value) => value > 0),
  ...(values.state === "" ? {} : { stateFile: values.state }),
  ...(values.page === "" ? {} : { page: values.page }),
});
const { url, httpUrl, rootPublicKey, server } = simulator;
process.stdout.write(`${JSON.stringify({ url, httpUrl, rootPublicKey })}\n`);
if (!values.quiet) {
  server.events.on("linked", ({ account }) => report("linked", account.phone));
  server.events.on("unlinked", ({ account }) => report("unlinked", account.phone));
  server.events.on("code-requested", ({ account }) => report("code requested", account.phone));
  server.events.on("undecryptable", ({ phone, id, error }) => {
    const why = error instanceof Error ? error.message : String(error);
    report(`cannot read ${id} (${why})`, phone.account.phone);
  });
  server.events.on("error", (error) => process.stderr.write(`error: ${error.message}\n`));
}
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => void simulator.close());
}

function number(name: string, text: string, isFit: (value: number) => boolean): number {
  const value = Number(text);
  if (text.trim() === "" || !isFit(value)) throw new Error(`--${name} does not take "${text}"`);
  return value;
}

/** Numbers are shown by their last digits only, as everywhere in a log. */
function report(event: string, phone: string): void {
  process.stderr.write(`${event} …${phone.slice(-4)}\n`);
}
