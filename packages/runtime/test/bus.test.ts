/**
 * The contract of `Bus`: one suite on both client packages, on the nats-server of PATH (2.9 on
 * Debian) and, where `NATS_SERVER_BIN` names a newer one, on that as well.
 */
import { connectWithNats } from "../src/bus/nats-bus.ts";
import type { Connect } from "../src/bus/wire.ts";
import { defineConsumersSuite } from "./suite-consumers.ts";
import { defineCoreSuite } from "./suite-core.ts";
import { defineReadingSuite } from "./suite-reading.ts";
import { defineStreamsSuite } from "./suite-streams.ts";
import { connectWithV3 } from "./wire-v3.ts";

const { NATS_SERVER_BIN: newerServer, ...pathOnly } = process.env;
const clients: [name: string, connect: Connect][] = [
  ["nats 2", connectWithNats],
  ["@nats-io 3", connectWithV3],
];
const servers: [name: string, env: NodeJS.ProcessEnv][] = [["server on PATH", pathOnly]];
if (newerServer !== undefined && newerServer !== "") servers.push(["newer server", process.env]);

for (const [server, env] of servers) {
  for (const [client, connect] of clients) {
    const title = `${client}, ${server}`;
    defineCoreSuite(title, connect, env);
    defineStreamsSuite(title, connect, env);
    defineConsumersSuite(title, connect, env);
    defineReadingSuite(title, connect, env);
  }
}
