/** What stands in a number's way, step by step: asked of Meta with the number's own token. */
import type { SetupCheck } from "@manyline/contracts";
import type { NumberRef } from "../provider.ts";
import { type Graph, GraphRefusal } from "./graph.ts";
import type { MetaPlace, MetaStore } from "./store.ts";

const SCOPES = [
  "business_management",
  "whatsapp_business_management",
  "whatsapp_business_messaging",
] as const;
/** Tokens for development live a day. */
const SHORT_MS = 25 * 3_600_000;

type Json = Record<string, unknown>;

const step = (
  name: SetupCheck["name"],
  state: SetupCheck["state"],
  detail: string,
  toDo: string | null = null,
): SetupCheck => ({ name, state, detail, toDo: state === "ok" ? null : toDo });

export async function checkMetaNumber(
  { fence }: NumberRef,
  graph: Graph,
  store: MetaStore,
): Promise<SetupCheck[]> {
  const place = await store.load(fence);
  if (!place) {
    return [
      step(
        "token",
        "failed",
        "NULL: there is no token, or no account and phone number id",
        "Set accessToken, wabaId and phoneNumberId.",
      ),
    ];
  }
  const shared = await store.sharers(fence, place.token);
  const [token, number, account, apps, key] = await Promise.all([
    asked(() => checkToken(graph, place), "token"),
    asked(() => checkNumber(graph, place), "number"),
    asked(() => checkAccount(graph, place), "account"),
    asked(() => checkSubscription(graph, place), "subscription"),
    asked(() => checkKey(graph, place), "encryption_key"),
  ]);
  const alone =
    shared === 0
      ? step("token_alone", "ok", "No other number of the company has this token.")
      : step(
          "token_alone",
          "warning",
          `${shared} other numbers of the company have this token.`,
          "Give each number a token of its own: what ends one, ends all.",
        );
  return [...token, alone, ...number, ...account, ...apps, ...key];
}

/** A step that Meta refuses to answer has failed; the others go on. */
async function asked(
  work: () => Promise<SetupCheck[]>,
  name: SetupCheck["name"],
): Promise<SetupCheck[]> {
  try {
    return await work();
  } catch (error) {
    const isRefusal = error instanceof GraphRefusal;
    const detail = isRefusal ? `Meta answers with error ${error.code}.` : "Meta does not answer.";
    const toDo = isRefusal
      ? "See that the token is valid and sees the account."
      : "Try again; see that this machine reaches the Graph API.";
    return [step(name, "failed", detail, toDo)];
  }
}

async function checkToken(graph: Graph, { token }: MetaPlace): Promise<SetupCheck[]> {
  const path = `debug_token?input_token=${encodeURIComponent(token)}`;
  const data = Object((await graph.call("GET", path, token))["data"]) as Json;
  const set = `SET (${token.length} chars)`;
  if (data["is_valid"] !== true) {
    return [step("token", "failed", `${set}, not valid`, "Make a new system-user token.")];
  }
  const scopes = new Set(Array.isArray(data["scopes"]) ? data["scopes"] : []);
  const missing = SCOPES.filter((scope) => !scopes.has(scope));
  const endsAt = Number(data["expires_at"] ?? 0) * 1_000;
  const isShort = endsAt > 0 && endsAt - Date.now() < SHORT_MS;
  return [
    step("token", "ok", `${set}, valid`),
    missing.length === 0
      ? step("scopes", "ok", SCOPES.join(", "))
      : step("scopes", "failed", `missing: ${missing.join(", ")}`, "Add them to the system user."),
    endsAt === 0
      ? step("expiry", "ok", "The token does not expire.")
      : step(
          "expiry",
          isShort ? "failed" : "warning",
          `The token expires at ${new Date(endsAt).toISOString()}.`,
          "Use a system-user token that does not expire, not one for 24 hours.",
        ),
  ];
}

async function checkNumber(
  graph: Graph,
  { phoneNumberId, token }: MetaPlace,
): Promise<SetupCheck[]> {
  const fields = "display_phone_number,verified_name,quality_rating,status";
  const number = await graph.call("GET", `${phoneNumberId}?fields=${fields}`, token);
  const status = String(number["status"]);
  const detail = `${String(number["verified_name"])}, status ${status}, quality ${String(number["quality_rating"])}`;
  const state = status === "CONNECTED" ? "ok" : "failed";
  return [step("number", state, detail, "Register the number in WhatsApp Manager.")];
}

async function checkAccount(
  graph: Graph,
  { wabaId, phoneNumberId, token }: MetaPlace,
): Promise<SetupCheck[]> {
  const list = await graph.call("GET", `${wabaId}/phone_numbers?fields=id&limit=500`, token);
  const data: unknown[] = Array.isArray(list["data"]) ? list["data"] : [];
  const isThere = data.some((one) => String(Object(one)["id"]) === phoneNumberId);
  return [
    isThere
      ? step("account", "ok", "The account has this number.")
      : step(
          "account",
          "failed",
          "The account does not have this number.",
          "Compare wabaId and phoneNumberId with WhatsApp Manager.",
        ),
  ];
}

async function checkSubscription(
  graph: Graph,
  { wabaId, token }: MetaPlace,
): Promise<SetupCheck[]> {
  const { data } = await graph.call("GET", `${wabaId}/subscribed_apps`, token);
  const count = Array.isArray(data) ? data.length : 0;
  const toDo = "POST /<account>/subscribed_apps with this token; without it no webhook comes.";
  return [step("subscription", count > 0 ? "ok" : "failed", `${count} apps are subscribed`, toDo)];
}

async function checkKey(graph: Graph, { phoneNumberId, token }: MetaPlace): Promise<SetupCheck[]> {
  const path = `${phoneNumberId}/whatsapp_business_encryption`;
  const answer = await graph.call("GET", path, token);
  // Meta's documents show it flat, its collection in a list.
  const inner: unknown = Array.isArray(answer["data"]) ? answer["data"][0] : answer;
  const status: unknown = Object(inner)["business_public_key_signature_status"];
  if (typeof status !== "string") {
    return [step("encryption_key", "warning", "No key is set.", "Only flows need one.")];
  }
  const state = status === "VALID" ? "ok" : "failed";
  return [step("encryption_key", state, status, "Upload the company's key again.")];
}
