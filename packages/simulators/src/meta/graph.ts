/** The Graph API: paths, tokens, and what each call does. */
import { randomBytes } from "node:crypto";
import { assertProof, isExpired, noSuchThing, numberFor, tokenOf, wabaFor } from "./access.ts";
import { GraphError } from "./errors.ts";
import type { FaultEffect, FaultMatch, Faults } from "./faults.ts";
import { readFlowKey } from "./flow-crypto.ts";
import type { MediaShelf } from "./media.ts";
import type { Sending } from "./sending.ts";
import type { AccessToken, BusinessNumber, MetaWorld } from "./world.ts";

type Json = Record<string, unknown>;

/** Versions that live; a call to an older one is served by the first. */
export const LIVING_VERSIONS = ["v21.0", "v22.0", "v23.0", "v24.0", "v25.0", "v26.0"] as const;

export type GraphCall = {
  method: string;
  /** Without the version. */
  path: readonly string[];
  version: string;
  query: URLSearchParams;
  authorization: string | undefined;
  /** Read when it is needed; it throws when it is not what it says. */
  json: () => Json;
  form: () => Promise<FormData>;
  origin: string;
};

export type GraphAnswer = { status: number; body: object; headers: Record<string, string> };

/** What the calls work on. */
export type GraphParts = {
  world: MetaWorld;
  sending: Sending;
  media: MediaShelf;
  faults: Faults;
  /** Asks a callback whether it is the app's. */
  handshake: (url: string, verifyToken: string) => Promise<boolean>;
};

/** A call that is to get no answer. */
export class CutError extends Error {}

/** One call; a GraphError becomes an answer by the caller. */
export async function answerGraph(parts: GraphParts, call: GraphCall): Promise<GraphAnswer> {
  const version = servedVersion(call.version);
  const effects = parts.faults.meet(matchOf(call));
  await before(effects);
  const body = await route(parts, call, effects);
  if (effects.some((effect) => "cut" in effect && effect.cut === "after")) throw new CutError();
  return { status: 200, body, headers: { "facebook-api-version": version } };
}

function servedVersion(version: string): string {
  const [major, minor] = version.slice(1).split(".").map(Number);
  const [oldest] = LIVING_VERSIONS;
  const newest = LIVING_VERSIONS.at(-1) ?? oldest;
  if (major === undefined || minor !== 0 || major > Number(newest.slice(1, 3)) || major < 2) {
    throw new GraphError({ code: 2_500, message: `Unknown path components: /${version}` });
  }
  return LIVING_VERSIONS.find((one) => one === version) ?? oldest;
}

function matchOf(call: GraphCall): FaultMatch & { part: NonNullable<FaultMatch["part"]> } {
  const [id = "", name] = call.path;
  const isSending = name === "messages" && call.method === "POST";
  const part = isSending ? "messages" : name === "media" ? "media" : "other";
  const to = isSending ? call.json()["to"] : undefined;
  return {
    part,
    phoneNumberId: id,
    ...(typeof to === "string" ? { to: to.replaceAll(/[^0-9]/g, "") } : {}),
  };
}

async function before(effects: readonly FaultEffect[]): Promise<void> {
  for (const effect of effects) {
    if ("delayMs" in effect) {
      await new Promise((resolve) => {
        setTimeout(resolve, effect.delayMs);
      });
    }
    if ("cut" in effect && effect.cut === "before") throw new CutError();
    if ("error" in effect) throw new GraphError(effect.error);
  }
}

async function route(parts: GraphParts, call: GraphCall, effects: FaultEffect[]): Promise<object> {
  const { world } = parts;
  const [id = "", name = ""] = call.path;
  if (id === "debug_token") return debugToken(world, call);
  const token = tokenOf(world, call.authorization);
  assertProof(world, token, call.query.get("appsecret_proof"));
  if (world.numbers.has(id)) return ofNumber(parts, call, token, name, effects);
  if (world.wabas.has(id)) return ofAccount(world, call, token, name);
  if (world.apps.has(id) && name === "subscriptions") return subscribe(parts, call, id);
  if (parts.media.files.has(id) && name === "") return ofFile(parts, call, token, id);
  throw noSuchThing(id);
}

async function ofNumber(
  parts: GraphParts,
  call: GraphCall,
  token: AccessToken,
  name: string,
  effects: FaultEffect[],
): Promise<object> {
  const { world } = parts;
  const id = call.path[0] ?? "";
  const messaging = (): BusinessNumber =>
    numberFor(world, token, id, "whatsapp_business_messaging");
  const managed = (): BusinessNumber => numberFor(world, token, id, "whatsapp_business_management");
  switch (`${call.method} ${name}`) {
    case "POST messages":
    case "PUT messages":
      return parts.sending.send(messaging(), call.json(), effects);
    case "POST media":
      return upload(parts, call, messaging());
    case "GET ":
      return numberFields(managed(), call.query.get("fields"));
    case "POST register":
      Object.assign(managed(), { isRegistered: true, encryptionStatus: "MISMATCH" });
      return { success: true };
    case "POST deregister":
      managed().isRegistered = false;
      return { success: true };
    case "POST whatsapp_business_encryption": {
      const key = (await call.form()).get("business_public_key");
      if (typeof key !== "string" || !isFlowKey(key)) {
        throw new GraphError({ code: 100, details: "business_public_key is no public key" });
      }
      Object.assign(managed(), { encryptionKey: key, encryptionStatus: "VALID" });
      return { success: true };
    }
    case "GET whatsapp_business_encryption": {
      const { encryptionKey, encryptionStatus } = managed();
      if (encryptionKey === null) return { data: [] };
      const status = { business_public_key_signature_status: encryptionStatus };
      return { data: [{ business_public_key: encryptionKey, ...status }] };
    }
    default:
      throw noSuchThing(`${id}/${name}`);
  }
}

function isFlowKey(pem: string): boolean {
  try {
    return pem.includes("BEGIN PUBLIC KEY") && readFlowKey(pem).type === "public";
  } catch {
    return false;
  }
}

function numberFields(number: BusinessNumber, fields: string | null): object {
  const all: Json = {
    display_phone_number: `+${number.phone}`,
    verified_name: number.name,
    quality_rating: number.quality,
    status: number.isRegistered ? "CONNECTED" : "PENDING",
    code_verification_status: "VERIFIED",
    throughput: { level: number.perSecond >= 1_000 ? "HIGH" : "STANDARD" },
    whatsapp_business_manager_messaging_limit: "TIER_2K",
    is_on_biz_app: number.isOnApp,
    platform_type: "CLOUD_API",
  };
  const wanted = fields?.split(",") ?? ["display_phone_number", "verified_name", "quality_rating"];
  const picked = wanted.flatMap((name) => (name in all ? [[name, all[name]] as const] : []));
  return { ...Object.fromEntries(picked), id: number.id };
}

async function upload(
  { media }: GraphParts,
  call: GraphCall,
  number: BusinessNumber,
): Promise<object> {
  const form = await call.form();
  const file = form.get("file");
  if (form.get("messaging_product") !== "whatsapp" || !(file instanceof Blob)) {
    throw new GraphError({ code: 100, details: "messaging_product and file are required" });
  }
  const type = form.get("type");
  const mimeType = typeof type === "string" && type !== "" ? type : file.type;
  const bytes = Buffer.from(await file.arrayBuffer());
  const { id } = media.add({ phoneNumberId: number.id, wabaId: number.wabaId, mimeType, bytes });
  return { id };
}

function ofFile(
  { world, media }: GraphParts,
  call: GraphCall,
  token: AccessToken,
  id: string,
): object {
  const file = media.files.get(id);
  if (!file) throw noSuchThing(id);
  numberFor(world, token, file.phoneNumberId, "whatsapp_business_messaging");
  if (call.method === "DELETE") {
    media.files.delete(id);
    return { success: true };
  }
  return media.resolve(id, call.query.get("phone_number_id"), call.origin);
}

function ofAccount(world: MetaWorld, call: GraphCall, token: AccessToken, name: string): object {
  const waba = wabaFor(world, token, call.path[0] ?? "", "whatsapp_business_management");
  switch (`${call.method} ${name}`) {
    case "GET ":
      return {
        id: waba.id,
        name: "Manyline Test",
        message_template_namespace: "test",
        ...(call.query.get("fields")?.includes("owner_business_info")
          ? { owner_business_info: { id: waba.portfolioId, name: "Manyline Test" } }
          : {}),
      };
    case "GET phone_numbers": {
      const numbers = [...world.numbers.values()].filter(({ wabaId }) => wabaId === waba.id);
      return { data: numbers.map((number) => numberFields(number, null)) };
    }
    case "GET subscribed_apps":
      return {
        data: [...waba.subscribedApps].map((id) => ({
          whatsapp_business_api_data: { id, name: "Manyline Test" },
        })),
      };
    case "POST subscribed_apps":
      waba.subscribedApps.add(token.appId);
      return { success: true };
    case "DELETE subscribed_apps":
      waba.subscribedApps.delete(token.appId);
      return { success: true };
    case "GET message_templates": {
      const wanted = call.query.get("name");
      const templates = world.templates.filter(
        (one) => one.wabaId === waba.id && (wanted === null || one.name.includes(wanted)),
      );
      return {
        data: templates.map(({ name: title, language, isApproved, flowId }) => ({
          name: title,
          language,
          status: isApproved ? "APPROVED" : "PENDING",
          components: flowId === null ? [] : [{ type: "BUTTONS", buttons: buttonsTo(flowId) }],
        })),
      };
    }
    default:
      throw noSuchThing(`${waba.id}/${name}`);
  }
}

function buttonsTo(flowId: string): object[] {
  return [
    { type: "QUICK_REPLY", text: "No, thanks" },
    { type: "FLOW", text: "Choose", flow_id: Number(flowId), flow_action: "DATA_EXCHANGE" },
  ];
}

/** Sets where an app's webhooks go, once that address has proved that it is the app's. */
async function subscribe(
  { world, handshake }: GraphParts,
  call: GraphCall,
  appId: string,
): Promise<object> {
  const app = world.apps.get(appId);
  if (!app) throw noSuchThing(appId);
  if (call.method === "GET") {
    const fields = [{ name: "messages", version: "v26.0" }];
    const object = "whatsapp_business_account";
    const entry = { object, callback_url: app.callbackUrl, active: true, fields };
    return { data: app.callbackUrl === null ? [] : [entry] };
  }
  const given = new Map<string, unknown>(Object.entries(call.json()));
  const [url, verifyToken] = ["callback_url", "verify_token"].map((name) => given.get(name));
  if (typeof url !== "string" || typeof verifyToken !== "string") {
    throw new GraphError({ code: 100, details: "callback_url and verify_token are required" });
  }
  if (!(await handshake(url, verifyToken))) {
    throw new GraphError({ code: 2_200, message: "(#2200) Callback verification failed" });
  }
  Object.assign(app, { callbackUrl: url, verifyToken });
  return { success: true };
}

function debugToken(world: MetaWorld, call: GraphCall): object {
  const token = tokenOf(world, call.authorization);
  assertProof(world, token, call.query.get("appsecret_proof"));
  const asked = world.tokens.get(call.query.get("input_token") ?? "");
  if (!asked) {
    return {
      data: { is_valid: false, error: { code: 190, message: "Invalid OAuth access token" } },
    };
  }
  const isValid = !asked.isRevoked && !isExpired(asked);
  return {
    data: {
      app_id: asked.appId,
      type: asked.kind === "user" ? "USER" : "SYSTEM_USER",
      is_valid: isValid,
      expires_at: asked.expiresAt,
      data_access_expires_at: asked.expiresAt,
      scopes: asked.scopes,
      granular_scopes: asked.scopes.map((scope) => ({ scope, target_ids: asked.wabas })),
      user_id: "1",
    },
  };
}

export const newTraceId = (): string => randomBytes(8).toString("base64url");
