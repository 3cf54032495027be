/** People's side of both WPP servers over HTTP, beside the platform's own calls: `/` is a page, `/control/…` for programs. */
import { ok, textIn, type WppAnswer, type WppCall, type WppRequest } from "./http.ts";
import { pageOf } from "./page.ts";
import { sentOf, sessionsOf, type WppServers } from "./view.ts";

/** Undefined: it is for the platform. */
export function controlCall(request: WppRequest, servers: WppServers): WppCall | undefined {
  const [root, place, session = "", verb = ""] = request.path;
  const call = (run: () => WppAnswer): WppCall => ({ name: "control", session: null, run });
  if (root === undefined) {
    const headers = { "content-type": "text/html; charset=utf-8" };
    return call(() => ({ status: 200, body: pageOf(servers), headers }));
  }
  if (root !== "control") return undefined;
  if (place === "state") {
    return call(() => ok({ sessions: sessionsOf(servers), sent: sentOf(servers) }));
  }
  return call(() => {
    if (request.method !== "POST" || place !== "sessions") {
      return { status: 404, body: { error: "not found" } };
    }
    try {
      return ok(act(servers, session, verb, request.body));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { status: 409, body: { error: error.message } };
    }
  });
}

/** Throws RangeError: it cannot be done now. */
function act(
  { platform, connect }: WppServers,
  session: string,
  verb: string,
  body: Record<string, unknown>,
): object {
  const phone = textIn(body["phone"]).replaceAll(/\D/g, "");
  const isConnect = connect.world.sessions.has(session);
  const needPhone = (): string => {
    if (/^[1-9][0-9]{5,14}$/.test(phone)) return phone;
    throw new RangeError("phone must be the digits of a phone");
  };
  switch (verb) {
    case "scan":
      if (isConnect) connect.link(session, needPhone());
      else platform.scan(session, needPhone());
      return { session, state: "connected" };
    case "say": {
      const text = textIn(body["text"]);
      if (text === "") throw new RangeError("text must say something");
      const messageId = isConnect
        ? connect.say(session, needPhone(), text)
        : platform.say(session, needPhone(), text);
      return { messageId };
    }
    case "offline":
      if (isConnect) connect.closeBrowser(session);
      else platform.drop(session, "offline");
      return { session, state: "offline" };
    case "logout":
      if (isConnect) connect.removeDevice(session);
      else platform.drop(session, "logout");
      return { session, state: "offline" };
    default:
      throw new RangeError("a session can: scan, say, offline, logout");
  }
}
