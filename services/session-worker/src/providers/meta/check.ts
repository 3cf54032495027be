/** What stands in a number's way, step by step: asked of Meta with the number's own token. */
import type { SetupCheck } from "@manyline/contracts";
import type { FlowKeyRow, MetaTraffic } from "@manyline/db";
import type { NumberRef } from "../provider.ts";
import { judgeFlowKey, readFlowKey } from "./flow-keys.ts";
import { type Graph, GraphRefusal } from "./graph.ts";
import type { MetaParts } from "./login.ts";
import { createSteps, tokenState } from "./steps.ts";
import type { MetaPlace } from "./store.ts";

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

/** Each step is asked by itself: one that fails does not keep the others from being told. */
export async function checkMetaNumber(
  number: NumberRef,
  parts: Pick<MetaParts, "graph" | "store" | "logger">,
): Promise<SetupCheck[]> {
  const place = await parts.store.load(number);
  const checks = await checksOf(number, place, parts);
  const steps = createSteps(parts.logger, number, place?.token);
  for (const { name, state } of checks) steps.note("checked", { check: `${name} ${state}` });
  return checks;
}

async function checksOf(
  { fence, companyId }: NumberRef,
  place: MetaPlace | undefined,
  { graph, store }: Pick<MetaParts, "graph" | "store">,
): Promise<SetupCheck[]> {
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
  const [shared, isElsewhere, traffic, keys] = await Promise.all([
    store.sharers(fence, place.token),
    store.isElsewhere(fence, place.token),
    store.traffic(fence),
    store.flowKeys(fence),
  ]);
  const [token, number, account, apps, key] = await Promise.all([
    asked(() => checkToken(graph, place), "token", `${setOf(place)}. `),
    asked(() => checkNumber(graph, place), "number"),
    asked(() => checkAccount(graph, place), "account"),
    asked(() => checkSubscription(graph, place), "subscription"),
    asked(() => checkKey(graph, place, keys), "encryption_key"),
  ]);
  return [
    ...token,
    checkAlone(shared, isElsewhere),
    ...number,
    ...account,
    ...apps,
    checkHandshake(traffic, companyId),
    checkEvents(traffic),
    ...key,
  ];
}

/** Of another company it is told that it has the token, not which company it is. */
function checkAlone(shared: number, isElsewhere: boolean): SetupCheck {
  if (shared === 0 && !isElsewhere)
    return step("token_alone", "ok", "No other number has this token.");
  const within = shared === 0 ? [] : [`${shared} other numbers of the company have this token.`];
  const beyond = isElsewhere ? ["A number of another company has this token."] : [];
  return step(
    "token_alone",
    "warning",
    [...within, ...beyond].join(" "),
    isElsewhere
      ? "Make a token of its own for this number and take the shared one back: whoever has it writes for all of them."
      : "Give each number a token of its own: what ends one, ends all.",
  );
}

/** Meta asks for the verify token when the callback is set; afterwards the answer is all there is to see. */
function checkHandshake({ ownAppSince, handshakeAt }: MetaTraffic, companyId: string): SetupCheck {
  const whose = ownAppSince === null ? "the app of all companies" : "the company's own app";
  const path = ownAppSince === null ? "/webhooks/meta" : `/webhooks/meta/${companyId}`;
  const toDo = `Set the callback to ${path} and the verify token in Meta's app dashboard; it is proved when you save.`;
  if (handshakeAt === null) {
    const detail = `Meta has not proved the address for ${whose}.`;
    return step("verify_token", "warning", detail, toDo);
  }
  const detail = `Meta has proved the address for ${whose} at ${handshakeAt.toISOString()}.`;
  // Another token since then is not asked for until the callback is set again: what works goes on working.
  const isOlder = ownAppSince !== null && handshakeAt < ownAppSince;
  return isOlder
    ? step("verify_token", "warning", `${detail} The app was set again after that.`, toDo)
    : step("verify_token", "ok", detail);
}

function checkEvents({ webhookAt }: MetaTraffic): SetupCheck {
  return webhookAt === null
    ? step(
        "test_event",
        "warning",
        "No signed webhook for this number is among the company's latest events.",
        "Write to the number from a phone. If nothing comes: see that the app is subscribed, to the field messages as well, and look into the list of what belongs to nobody.",
      )
    : step("test_event", "ok", `A signed webhook came at ${webhookAt.toISOString()}.`);
}

/** A step that Meta refuses to answer has failed; the others go on. */
async function asked(
  work: () => Promise<SetupCheck[]>,
  name: SetupCheck["name"],
  known = "",
): Promise<SetupCheck[]> {
  try {
    return await work();
  } catch (error) {
    const isRefusal = error instanceof GraphRefusal;
    const said = isRefusal ? `Meta answers with error ${error.code}.` : "Meta does not answer.";
    const toDo = isRefusal
      ? "See that the token is valid and sees the account."
      : "Try again; see that this machine reaches the Graph API.";
    return [step(name, "failed", `${known}${said}`, toDo)];
  }
}

/** What may be shown of a number's token. */
function setOf({ token, hasCommonToken }: MetaPlace): string {
  return `${tokenState(token)}${hasCommonToken ? ", that of META_ACCESS_TOKEN" : ""}`;
}

async function checkToken(graph: Graph, place: MetaPlace): Promise<SetupCheck[]> {
  const data = Object((await graph.call("GET", debugPath(place), place))["data"]) as Json;
  const set = setOf(place);
  if (data["is_valid"] !== true) {
    return [step("token", "failed", `${set}, not valid`, "Make a new system-user token.")];
  }
  const scopes = new Set(Array.isArray(data["scopes"]) ? data["scopes"] : []);
  const missing = SCOPES.filter((scope) => !scopes.has(scope));
  const endsAt = Number(data["expires_at"] ?? 0) * 1_000;
  const isShort = endsAt > 0 && endsAt - Date.now() < SHORT_MS;
  const isOfPerson = data["type"] === "USER";
  return [
    step("token", "ok", `${set}, valid`),
    missing.length === 0
      ? step("scopes", "ok", SCOPES.join(", "))
      : step("scopes", "failed", `missing: ${missing.join(", ")}`, "Add them to the system user."),
    endsAt === 0 && !isOfPerson
      ? step("expiry", "ok", "The token does not expire.")
      : step(
          "expiry",
          "warning",
          [
            endsAt === 0
              ? "The token names no end."
              : `The token expires at ${new Date(endsAt).toISOString()}.`,
            isShort || isOfPerson ? "It is one for development, which lives 24 hours." : "",
          ]
            .join(" ")
            .trim(),
          "Use a system-user token that does not expire.",
        ),
  ];
}

async function checkNumber(graph: Graph, place: MetaPlace): Promise<SetupCheck[]> {
  const fields = "display_phone_number,verified_name,quality_rating,status";
  const number = await graph.call("GET", `${place.phoneNumberId}?fields=${fields}`, place);
  const status = String(number["status"]);
  const detail = `${String(number["verified_name"])}, status ${status}, quality ${String(number["quality_rating"])}`;
  const state = status === "CONNECTED" ? "ok" : "failed";
  return [step("number", state, detail, "Register the number in WhatsApp Manager.")];
}

async function checkAccount(graph: Graph, place: MetaPlace): Promise<SetupCheck[]> {
  const { wabaId, phoneNumberId } = place;
  const list = await graph.call("GET", `${wabaId}/phone_numbers?fields=id&limit=500`, place);
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

/** Any app that is subscribed gets the account's webhooks; mostly it is the one the token is of. */
async function checkSubscription(graph: Graph, place: MetaPlace): Promise<SetupCheck[]> {
  const [{ data }, about] = await Promise.all([
    graph.call("GET", `${place.wabaId}/subscribed_apps`, place),
    graph.call("GET", debugPath(place), place),
  ]);
  const apps: unknown[] = Array.isArray(data) ? data : [];
  const ids = apps.flatMap((app) => idOf(Object(app)["whatsapp_business_api_data"]) ?? []);
  const own = idOf({ id: Object(about["data"])["app_id"] });
  const toDo = "POST /<account>/subscribed_apps with this token; without it no webhook comes.";
  const detail = `${apps.length} apps are subscribed`;
  if (apps.length === 0) return [step("subscription", "failed", detail, toDo)];
  const isOther = own !== undefined && ids.length > 0 && !ids.includes(own);
  return isOther
    ? [step("subscription", "warning", `${detail}, not the one this token is of`, toDo)]
    : [step("subscription", "ok", detail)];
}

const debugPath = ({ token }: MetaPlace): string =>
  `debug_token?input_token=${encodeURIComponent(token)}`;

function idOf(value: unknown): string | undefined {
  const id: unknown = Object(value)["id"];
  return typeof id === "string" || typeof id === "number" ? String(id) || undefined : undefined;
}

/** Only whoever has the private part of the key that Meta has can read what a phone sends in a flow. */
async function checkKey(
  graph: Graph,
  place: MetaPlace,
  keys: readonly FlowKeyRow[],
): Promise<SetupCheck[]> {
  const { pem, status } = await readFlowKey(graph, place);
  const { state, key } = judgeFlowKey(keys, pem, status);
  const upload = "Give Meta the company's current key: POST …/numbers/<number>/flow-key.";
  const said = `Meta says ${status ?? "nothing of its signature"}.`;
  const told = (level: SetupCheck["state"], detail: string, toDo = upload): SetupCheck[] => [
    step("encryption_key", level, detail, toDo),
  ];
  switch (state) {
    case "none":
      return told("warning", "Meta has no key for this number.", `Only flows need one. ${upload}`);
    case "valid":
      return told("ok", `Meta has the company's current key. ${said}`);
    case "mismatch":
      return told(
        "failed",
        `Meta has the company's current key, but not from this number. ${said}`,
      );
    case "former":
      return told(
        "warning",
        `Meta has a former key of the company, which answers until ${key?.retiresAt?.toISOString() ?? "its end"}. ${said}`,
      );
    case "foreign":
      return keys.length === 0
        ? told(
            "warning",
            "Meta has a key that is kept elsewhere; the company has none here.",
            "If its flows are to be answered here: make a key, and give it to Meta.",
          )
        : told(
            "failed",
            `Meta has a key that is none of the company's: its flows cannot be read here. ${said}`,
          );
  }
}
