/**
 * Fills the screens of a flow that books a table. TLS is for whatever stands in front of it.
 *
 *     FLOW_SECRET=whsec_… PORT=8080 node flow-handler.ts
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { FlowReply, FlowRequest } from "@manyline/contracts";

const { FLOW_SECRET, PORT = "8080" } = process.env;
if (!FLOW_SECRET) throw new Error("FLOW_SECRET is needed");
const key = Buffer.from(FLOW_SECRET.replace("whsec_", ""), "base64");
const OLDEST_SECONDS = 300;
const free = ["18:00", "20:00"];
/** Requests may come twice: a booking is made once for each token. */
const booked = new Map<string, string>();

/** Throw for what cannot be answered: the phone says that something went wrong. */
function answer({ action, data, flowToken, sent }: FlowRequest): FlowReply {
  // Not a flow that we have sent: nobody knows whose it is.
  if (!sent || flowToken === null) return { invalidToken: true, message: "Please ask us again." };
  const time = booked.get(flowToken);
  if (action !== "data_exchange") {
    return time === undefined
      ? { screen: "TIME", data: { free } }
      : { invalidToken: true, message: `Your table is booked for ${time}.` };
  }
  const wish = String(data["time"]);
  if (time === undefined && !free.includes(wish)) {
    return { screen: "TIME", data: { free, error_message: "This table is gone." } };
  }
  booked.set(flowToken, time ?? wish);
  const params = { flow_token: flowToken, time: booked.get(flowToken) };
  // The flow ends; what is in `params` comes as message.received with a flowReply.
  return { screen: "SUCCESS", data: { extension_message_response: { params } } };
}

/** Whether it was signed with our secret, lately. */
function isSigned({ headers }: IncomingMessage, body: Buffer): boolean {
  const [id, at] = [String(headers["webhook-id"]), String(headers["webhook-timestamp"])];
  const age = Math.abs(Date.now() / 1_000 - Number(at));
  const own = createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest();
  const given = String(headers["webhook-signature"]).split(" ");
  return age < OLDEST_SECONDS && given.some((one) => isSame(own, one));
}

function isSame(own: Buffer, given: string): boolean {
  const bytes = Buffer.from(given.replace("v1,", ""), "base64");
  return bytes.length === own.length && timingSafeEqual(own, bytes);
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    if (!isSigned(request, body)) {
      response.writeHead(401).end();
      return;
    }
    try {
      const reply = answer(JSON.parse(body.toString()) as FlowRequest);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply));
    } catch {
      response.writeHead(500).end();
    }
  });
});
server.listen(Number(PORT), "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify(server.address())}\n`);
});
process.once("SIGTERM", () => server.close());
