import {
  engineOf,
  ManylineError,
  newLinkedMessageId,
  parseCompanyId,
  sendPayload,
  shardPoke,
  whyNot,
} from "@manyline/contracts";
import type { Capability, ChatAddress, Media, Message, SendMessage } from "@manyline/contracts";
import {
  addressOf,
  enqueueMessage,
  findRequest,
  getMedia,
  getMessage,
  insertMedia,
  withCompany,
} from "@manyline/db";
import type { CompanyRow, NumberRow, Recipient, StoredEvent, Tx } from "@manyline/db";
import { currentTraceparent } from "@manyline/runtime";
import type { Deps } from "../deps.ts";
import { numberIdOf } from "../domain/ids.ts";
import { companyRow, findNumber } from "../numbers.ts";
import type { Principal, Tenant } from "../request-types.ts";
import { assertChangeable } from "./change-rules.ts";
import { assertSendable } from "./media-intake.ts";
import type { ReadyFile } from "./media-intake.ts";
import { recipientOf } from "./recipient.ts";
import { requestHash } from "./request-hash.ts";
import { isChange, isFile } from "./send-body.ts";
import type { FileMessage, SignalMessage } from "./send-body.ts";
import { said } from "./send-content.ts";

/** Who asks, from which number. */
export type Caller = {
  readonly tenant: Tenant;
  readonly principal: Principal;
  /** `?number=` */
  readonly wanted: string | undefined;
};

export type SendRequest = Caller & {
  readonly body: Exclude<SendMessage, SignalMessage>;
  readonly key: string | undefined;
};

export type Sent = { readonly message: Message; readonly isRepeated: boolean };

type SendDeps = Pick<Deps, "appDb" | "intake" | "relay" | "bus" | "clock">;
type Line = { readonly company: CompanyRow; readonly number: NumberRow };
/** `poke`: the owner of the number, unless there is nothing new for it. */
type Queued = Sent & {
  readonly events: StoredEvent[];
  readonly poke: Pick<NumberRow, "shardId" | "numberNo"> | undefined;
};

/**
 * Checks a message, takes its file in, and puts it into the queue of its number; pokes the owner after the
 * commit. Whether the number is connected does not matter: the message waits or expires. Throws what is wrong
 * before anything is queued.
 */
export async function sendMessage(deps: SendDeps, request: SendRequest): Promise<Sent> {
  const { tenant, principal, key, body } = request;
  // Two tokens of a number each, which need not name it, mean two messages.
  const { numberNo: bound } = principal;
  const number = bound === null ? (request.wanted ?? null) : { bound, wanted: request.wanted };
  const idempotency = key === undefined ? undefined : { key, hash: requestHash({ number, body }) };
  const inCompany = <T>(work: (tx: Tx) => Promise<T>): Promise<T> =>
    withCompany(deps.appDb, tenant.companyNo, work);

  let file: ReadyFile | undefined;
  if (isFile(body) && body.url !== undefined) {
    // Everything that can be refused without the file is refused before somebody's server is asked for it.
    const known = await inCompany(async (tx) => {
      const repeated = await repeatedOf(tx, tenant, idempotency);
      if (!repeated) await recipientFor(deps, tx, request, await lineFor(tx, request));
      return repeated;
    });
    if (known) return known;
    file = await deps.intake.fetch(tenant.companyNo, wishOf(body, body.url));
  }
  let queued: Queued | undefined;
  try {
    queued = await inCompany((tx) => enqueue(deps, tx, request, idempotency, file));
  } finally {
    if (file && (queued === undefined || queued.isRepeated)) await deps.intake.drop(file);
  }
  const { events, poke, ...sent } = queued;
  if (events.length > 0) deps.relay.publish(events);
  if (poke) deps.bus.poke(shardPoke(poke.shardId), sendPayload(poke.numberNo));
  return sent;
}

/** The number that sends. Throws COMPANY_DISABLED, NUMBER_NOT_FOUND, NUMBER_DISABLED. */
export async function lineFor(tx: Tx, { tenant, principal, wanted }: Caller): Promise<Line> {
  const company = await companyRow(tx, tenant);
  if (!company.whatsappEnabled) throw new ManylineError("COMPANY_DISABLED");
  const number = await findNumber(tx, tenant, principal, wanted);
  if (!number) {
    throw new ManylineError("NUMBER_NOT_FOUND", { detail: "The company has no number yet." });
  }
  if (number.desiredState !== "connected") throw new ManylineError("NUMBER_DISABLED");
  return { company, number };
}

/** Throws PROVIDER_NOT_SUPPORTED, which says why. */
export function assertCan(
  number: Pick<NumberRow, "provider" | "wppServer">,
  ...wanted: readonly Capability[]
): void {
  const engine = engineOf(number);
  for (const one of wanted) {
    const why = whyNot(engine, one);
    if (why === undefined) continue;
    const detail = `This number (${engine}) cannot do "${one}". ${why}`;
    throw new ManylineError("PROVIDER_NOT_SUPPORTED", { detail });
  }
}

/** What a message asks of its number; `address`: where its chat, contact or phone leads, if that is known. */
function asked(body: SendRequest["body"], address: ChatAddress | undefined): Capability[] {
  const isReply = "replyTo" in body && body.replyTo !== undefined;
  const hasText = "caption" in body && body.caption !== undefined && body.type !== "image";
  const isViewOnce = "isViewOnce" in body && (body.isViewOnce ?? false);
  const { phone = null, lid = null, groupId = null } = address ?? {};
  const isByLid = groupId === null && phone === null && lid !== null;
  return [
    body.type,
    ...(isReply ? (["reply"] as const) : []),
    ...(hasText ? (["file_caption"] as const) : []),
    ...(isViewOnce ? (["view_once"] as const) : []),
    // Meta's own groups have other addresses.
    ...(groupId?.endsWith("@g.us") === true ? (["group"] as const) : []),
    ...(isByLid ? (["lid"] as const) : []),
  ];
}

/** Throws INVALID_RECIPIENT. */
export function recipient(to: string, company: CompanyRow): Recipient {
  const found = recipientOf(to, company.country);
  if (!found) throw new ManylineError("INVALID_RECIPIENT");
  return found;
}

/** The message that a request with this key made before. Throws IDEMPOTENCY_MISMATCH. */
async function repeatedOf(
  tx: Tx,
  { companyNo }: Tenant,
  idempotency: { key: string; hash: Buffer } | undefined,
): Promise<Sent | undefined> {
  if (!idempotency) return undefined;
  const before = await findRequest(tx, companyNo, idempotency.key);
  if (!before) return undefined;
  const { messageId } = before;
  if (!before.hash.equals(idempotency.hash)) {
    throw new ManylineError("IDEMPOTENCY_MISMATCH", { messageId });
  }
  return { message: await messageRow(tx, companyNo, messageId), isRepeated: true };
}

async function enqueue(
  deps: SendDeps,
  tx: Tx,
  request: SendRequest,
  idempotency: { key: string; hash: Buffer } | undefined,
  file: ReadyFile | undefined,
): Promise<Queued> {
  const { tenant, body } = request;
  const { companyNo } = tenant;
  const known = await repeatedOf(tx, tenant, idempotency);
  if (known) return { ...known, events: [], poke: undefined };
  const line = await lineFor(tx, request);
  const { number, company } = line;
  const { to, contextId } = await recipientFor(deps, tx, request, line);
  const media = isFile(body) ? await mediaFor(tx, request, body, file) : undefined;
  const companyId = parseCompanyId(tenant.companyId);
  if (companyId === undefined) throw new Error("a stored company has no valid id");
  const { messageId, isRepeated, events, message } = await enqueueMessage(tx, {
    companyNo,
    numberNo: number.numberNo,
    companyId,
    numberId: numberIdOf(number),
    provider: number.provider,
    phone: number.phone,
    service: "gateway",
    traceparent: currentTraceparent(),
    to,
    contextId,
    ...said(body, media),
    providerMessageId: newLinkedMessageId(),
    idempotency,
    isBulk: "isBulk" in body && (body.isBulk ?? false),
    ...(body.expiresInSeconds === undefined ? {} : { lifeSeconds: body.expiresInSeconds }),
    ...queueLength(company),
  });
  if (file && !isRepeated) {
    await insertMedia(tx, { ...file, companyNo, numberNo: number.numberNo });
  }
  return {
    message: message ?? (await messageRow(tx, companyNo, messageId)),
    isRepeated,
    events,
    poke: isRepeated ? undefined : number,
  };
}

/**
 * Who gets it, and the message that it answers or changes: that one's chat is where a change goes. Throws
 * INVALID_RECIPIENT, MESSAGE_NOT_FOUND, NOT_CHANGEABLE, PROVIDER_NOT_SUPPORTED.
 */
async function recipientFor(
  deps: Pick<SendDeps, "clock">,
  tx: Tx,
  { tenant, body }: SendRequest,
  { company, number }: Line,
): Promise<{ to: Recipient; contextId: string | undefined }> {
  if (isChange(body)) assertCan(number, body.type);
  else {
    const to = recipient(body.to, company);
    assertCan(number, ...asked(body, await addressOf(tx, number, to)));
    return { to, contextId: body.replyTo };
  }
  const message = await getMessage(tx, tenant.companyNo, body.messageId);
  if (message?.numberId !== number.numberId) throw new ManylineError("MESSAGE_NOT_FOUND");
  assertChangeable(message, body.type, deps.clock.now());
  return { to: { chatId: message.chat.id }, contextId: body.messageId };
}

/** Throws MEDIA_NOT_FOUND, MEDIA_NOT_READY, MEDIA_REFUSED. */
async function mediaFor(
  tx: Tx,
  { tenant: { companyNo }, principal }: Caller,
  body: FileMessage,
  fetched: ReadyFile | undefined,
): Promise<Media> {
  let file: Omit<Media, "id"> & { mediaId: string };
  if (fetched) file = fetched;
  else {
    const row = await getMedia(tx, companyNo, body.mediaId ?? "");
    // A token for one number has that one's files.
    const isForeign = principal.numberNo !== null && row?.numberNo !== principal.numberNo;
    if (!row || isForeign) throw new ManylineError("MEDIA_NOT_FOUND");
    assertSendable(row, body.type);
    file = row;
  }
  const { mediaId, mimeType, bytes, sha256 } = file;
  const fileName = ("fileName" in body ? body.fileName : undefined) ?? file.fileName;
  const seconds = "seconds" in body ? body.seconds : undefined;
  return {
    id: mediaId,
    mimeType,
    bytes,
    sha256,
    fileName,
    ...(seconds === undefined ? {} : { seconds }),
  };
}

function wishOf(body: FileMessage, url: string): Parameters<Deps["intake"]["fetch"]>[1] {
  const fileName = "fileName" in body ? body.fileName : undefined;
  return { url, kind: body.type, mimeType: body.mimeType, fileName };
}

function queueLength({ whatsappConfig }: CompanyRow): { queueLength?: number } {
  const { maxQueuedMessages } = whatsappConfig;
  return maxQueuedMessages === undefined ? {} : { queueLength: maxQueuedMessages };
}

async function messageRow(tx: Tx, companyNo: number, messageId: string): Promise<Message> {
  const message = await getMessage(tx, companyNo, messageId);
  // A key is remembered longer than the messages of a number that was removed.
  if (!message) throw new ManylineError("MESSAGE_NOT_FOUND");
  return message;
}
