/** `POST /{phone_number_id}/messages`: what Meta checks at once, and what it tells afterwards. */
import { GraphError } from "./errors.ts";
import type { Faults } from "./faults.ts";
import type { SendLimits } from "./limits.ts";
import { newWamid, type Webhooks } from "./webhooks.ts";
import type { BusinessNumber, MetaWorld, Person } from "./world.ts";

type Json = Record<string, unknown>;

export type SentMessage = {
  id: string;
  phoneNumberId: string;
  /** Digits; empty: nobody knows whose the id is. */
  to: string;
  type: string;
  body: Json;
  at: Date;
  callbackData: string | undefined;
};

export type SendingOptions = {
  /** How long a message takes to the phone, ms; default 10. */
  deliverMs: number;
  /** And until it is read, ms; default 20. */
  readMs: number;
  /** How long after a person has written anything may be sent to them, ms; default a day. */
  windowMs: number;
};

const DAY_MS = 86_400_000;
const TEXT_LENGTH = 4_096;
const KINDS = new Set([
  "text",
  "image",
  "video",
  "audio",
  "document",
  "sticker",
  "location",
  "contacts",
  "reaction",
  "interactive",
  "template",
]);
const FILES = new Set(["image", "video", "audio", "document", "sticker"]);

export class Sending {
  readonly sent: SentMessage[] = [];
  /** Messages that were marked as read, by wamid. */
  readonly read: string[] = [];
  /** Messages at which typing was shown, by wamid. */
  readonly typing: string[] = [];
  readonly #world: MetaWorld;
  readonly #webhooks: Webhooks;
  readonly #limits: SendLimits;
  readonly #options: SendingOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** When a person last wrote to a number. */
  readonly #heard = new Map<string, number>();

  constructor(
    world: MetaWorld,
    webhooks: Webhooks,
    limits: SendLimits,
    options: Partial<SendingOptions>,
  ) {
    this.#world = world;
    this.#webhooks = webhooks;
    this.#limits = limits;
    this.#options = { deliverMs: 10, readMs: 20, windowMs: DAY_MS, ...options };
  }

  /** Somebody wrote: for a day anything may be sent to them. */
  noteHeard(number: BusinessNumber, person: Person): void {
    this.#heard.set(`${number.id}/${person.phone}`, Date.now());
  }

  /** `effects`: what was armed against this very call. */
  send(number: BusinessNumber, body: Json, effects: ReturnType<Faults["meet"]>): object {
    if (body["messaging_product"] !== "whatsapp") {
      throw invalid("messaging_product must be whatsapp");
    }
    if (!number.isRegistered) throw new GraphError({ code: 133_010, httpStatus: 500 });
    if (body["status"] === "read") return this.#markRead(body);

    const type = typeof body["type"] === "string" ? body["type"] : "text";
    const target = targetOf(body);
    this.#check(number, type, body, target);
    if (!this.#limits.takeNumber(number.id, number.perSecond)) {
      throw new GraphError({ code: 130_429, httpStatus: 429, retryAfter: 1 });
    }
    const { portfolioId } = this.#world.wabaOf(number);
    const person = this.#world.findPerson(target, portfolioId);
    if (!this.#limits.takePair(number.id, person?.phone ?? target.phone ?? target.userId ?? "")) {
      throw new GraphError({ code: 131_056 });
    }
    const callbackData = textOf(body["biz_opaque_callback_data"]);
    const message: SentMessage = {
      id: newWamid(),
      phoneNumberId: number.id,
      to: person?.phone ?? target.phone ?? "",
      type,
      body,
      at: new Date(),
      callbackData,
    };
    this.sent.push(message);
    const failure = effects.find((effect) => "failed" in effect)?.failed;
    this.#tell(number, person, message, failure, target.phone !== undefined);
    const input = target.phone === undefined ? target.userId : textOf(body["to"]);
    const who = target.phone === undefined ? { user_id: target.userId } : { wa_id: message.to };
    return {
      messaging_product: "whatsapp",
      contacts: [{ input, ...who }],
      messages: [
        { id: message.id, ...(type === "template" ? { message_status: "accepted" } : {}) },
      ],
    };
  }

  #markRead(body: Json): object {
    const id = textOf(body["message_id"]);
    if (id === undefined) throw missing("message_id");
    this.read.push(id);
    if (isJson(body["typing_indicator"])) this.typing.push(id);
    return { success: true };
  }

  #check(
    number: BusinessNumber,
    type: string,
    body: Json,
    target: { phone?: string; userId?: string },
  ): void {
    if (!KINDS.has(type)) throw new GraphError({ code: 131_051, details: type });
    const content = body[type];
    const isRight = type === "contacts" ? Array.isArray(content) : isJson(content);
    if (!isRight) throw missing(type);
    const part = isJson(content) ? content : {};
    if (target.phone === number.phone) throw new GraphError({ code: 131_021 });
    if (type === "text" && (textOf(part["body"])?.length ?? 0) > TEXT_LENGTH) {
      throw invalid(`text.body must be at most ${TEXT_LENGTH} characters long`);
    }
    if (type === "text" && textOf(part["body"]) === undefined) throw missing("text.body");
    if (FILES.has(type) && textOf(part["id"]) === undefined && textOf(part["link"]) === undefined) {
      throw missing(`${type}.id or ${type}.link`);
    }
    if (type === "reaction" && body["context"] !== undefined) {
      throw invalid("a reaction has no context");
    }
    if (type === "interactive") checkInteractive(part);
    if (type === "template") this.#checkTemplate(number, part);
  }

  #checkTemplate(number: BusinessNumber, part: Json): void {
    const language = isJson(part["language"]) ? textOf(part["language"]["code"]) : undefined;
    const template = this.#world.templates.find(
      (one) =>
        one.wabaId === number.wabaId && one.name === part["name"] && one.language === language,
    );
    if (!template?.isApproved) throw new GraphError({ code: 132_001, httpStatus: 404 });
    const components = Array.isArray(part["components"]) ? part["components"] : [];
    const body: unknown = components.find((one) => isJson(one) && one["type"] === "body");
    const given = isJson(body) && Array.isArray(body["parameters"]) ? body["parameters"].length : 0;
    if (given !== template.parameters) throw new GraphError({ code: 132_000 });
    const button: unknown = components.find((one) => isJson(one) && one["sub_type"] === "flow");
    if (isJson(button) && (template.flowId === null || String(button["index"]) !== "1")) {
      throw new GraphError({ code: 132_000, details: "the template has no such button" });
    }
  }

  /** What comes of it: sent, delivered, read, or why not. */
  #tell(
    number: BusinessNumber,
    person: Person | undefined,
    message: SentMessage,
    fault: { code: number; details?: string } | undefined,
    isToPhone: boolean,
  ): void {
    const { id, callbackData, type } = message;
    const stranger = {
      phone: message.to,
      dialled: [],
      name: "",
      username: null,
      isPhoneHidden: false,
    };
    const recipient = person ?? { ...stranger, isOnWhatsapp: false, isReading: false };
    const heardAt = this.#heard.get(`${number.id}/${message.to}`) ?? -Infinity;
    const isOpen = Date.now() - heardAt < this.#options.windowMs;
    const category = isOpen ? "service" : "utility";
    const common = { id, callbackData, isToPhone, category };
    const failure =
      fault ??
      (recipient.isOnWhatsapp ? undefined : { code: 131_026 }) ??
      (isOpen || type === "template" ? undefined : { code: 131_047 });
    const { deliverMs, readMs } = this.#options;
    if (failure) {
      this.#after(deliverMs, () =>
        this.#webhooks.status(number, recipient, { ...common, status: "failed", error: failure }),
      );
      return;
    }
    const steps = ["sent", "delivered", ...(recipient.isReading ? ["read" as const] : [])] as const;
    for (const status of steps) {
      const ms = status === "sent" ? 0 : status === "delivered" ? deliverMs : deliverMs + readMs;
      this.#after(ms, () => this.#webhooks.status(number, recipient, { ...common, status }));
    }
  }

  #after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, ms);
    this.#timers.add(timer);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

function checkInteractive(part: Json): void {
  const action = isJson(part["action"]) ? part["action"] : {};
  const buttons = Array.isArray(action["buttons"]) ? action["buttons"] : [];
  if (part["type"] === "button" && (buttons.length === 0 || buttons.length > 3)) {
    throw invalid("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3");
  }
  const sections = Array.isArray(action["sections"]) ? action["sections"] : [];
  const rows = sections.flatMap((one) =>
    isJson(one) && Array.isArray(one["rows"]) ? one["rows"] : [],
  );
  if (part["type"] === "list" && (rows.length === 0 || rows.length > 10)) {
    throw invalid("Total row count exceed max allowed count: 10");
  }
}

/** To a phone, or to the id that a person has in the portfolio; the phone wins. */
function targetOf(body: Json): { phone?: string; userId?: string } {
  const to = textOf(body["to"]);
  if (to !== undefined) {
    const phone = to.replaceAll(/[^0-9]/g, "");
    if (phone === "") throw invalid("to is no phone number");
    return { phone };
  }
  const userId = textOf(body["recipient"]);
  if (userId === undefined) throw missing("to");
  return { userId };
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

const invalid = (details: string): GraphError => new GraphError({ code: 131_009, details });
const missing = (name: string): GraphError =>
  new GraphError({ code: 131_008, details: `${name} is required` });
