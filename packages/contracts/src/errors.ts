/**
 * Every error a caller can meet, with a stable code. `status` is the HTTP status, `retry` says whether
 * repeating can help (`now`, `later`, `never`), `title` is the plain sentence of the problem+json answer,
 * `remedy` what the caller should do. docs/errors.md is made from this table and a test compares them.
 */
export const ERRORS = {
  PHONE_REQUIRED: {
    status: 400,
    retry: "never",
    title: "A phone number is needed.",
    remedy: "Send phoneNumber, or store a phone for the number.",
  },
  INVALID_PHONE_FORMAT: {
    status: 400,
    retry: "never",
    title: "This is not a phone number.",
    remedy:
      "Send the number with its country code, e.g. 79001234567, or set the country of the company.",
  },
  INVALID_REQUEST: {
    status: 400,
    retry: "never",
    title: "The request is not valid.",
    remedy: "See errors[] for the field and the rule.",
  },
  INVALID_COMPANY_ID: {
    status: 400,
    retry: "never",
    title: "This is not a company id.",
    remedy: "Use 1 to 64 letters, digits, _ or -.",
  },
  UNAUTHORIZED: {
    status: 401,
    retry: "never",
    title: "No valid token was sent.",
    remedy: "Send Authorization: Bearer <token>, or open the page from a new pairing link.",
  },
  LINK_INVALID: {
    status: 401,
    retry: "never",
    title: "This link no longer works.",
    remedy: "Ask for a new pairing link.",
  },
  FORBIDDEN: {
    status: 403,
    retry: "never",
    title: "The token does not allow this.",
    remedy: "Use a token with the scope named in the detail.",
  },
  COMPANY_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such company.",
    remedy: "Check the id; create the company first.",
  },
  NUMBER_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such number in this company.",
    remedy: "Check ?number=, or list the numbers.",
  },
  WORKER_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such worker.",
    remedy: "List the workers; a restarted worker has a new id.",
  },
  SHARD_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such shard.",
    remedy: "List the shards; a merge removes one.",
  },
  JOB_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such job.",
    remedy: "List the jobs.",
  },
  COMMAND_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such command.",
    remedy: "List the dead commands; they are kept for 7 days.",
  },
  MESSAGE_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such message.",
    remedy: "Messages are kept for 90 days, unless set otherwise.",
  },
  CHAT_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such chat with this number.",
    remedy: "Send to a phone number, or list the chats.",
  },
  CONTACT_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such contact.",
    remedy: "List the contacts; a merged one goes on under the id that contact.merged named.",
  },
  MEDIA_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such file.",
    remedy:
      "Files go with their messages; one that WhatsApp has deleted cannot be fetched any more.",
  },
  FLOW_KEY_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "The company has no such key for flows.",
    remedy: "Create one with POST …/flow-keys; list them. The current one is replaced, not ended.",
  },
  FLOW_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "No flow has this name.",
    remedy: "List the flows; set one with PUT …/flows/<name>.",
  },
  WEBHOOK_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such webhook.",
    remedy: "List the company's webhooks.",
  },
  DELIVERY_NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is no such delivery to replay.",
    remedy: "List the deliveries. One that waits is sent by itself; a code is never sent again.",
  },
  NOT_FOUND: {
    status: 404,
    retry: "never",
    title: "There is nothing here.",
    remedy: "See the API documentation.",
  },
  NO_QR: {
    status: 404,
    retry: "later",
    title: "No QR code is being shown.",
    remedy: "Start one with POST …/reconnect and ask again when pairing.qr_issued arrives.",
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retry: "never",
    title: "This method is not offered here.",
    remedy: "See the API documentation.",
  },
  COMPANY_EXISTS: {
    status: 409,
    retry: "never",
    title: "A company with this id exists.",
    remedy: "Change it with PATCH, or choose another id.",
  },
  ALREADY_CONNECTED: {
    status: 409,
    retry: "never",
    title: "The number is linked and working.",
    remedy: "Nothing to do. Unlink it first to link another phone.",
  },
  REQUEST_IN_PROGRESS: {
    status: 409,
    retry: "later",
    title: "A pairing attempt is in progress.",
    remedy: "Wait for its result; it arrives by event.",
  },
  PHONE_ALREADY_LINKED: {
    status: 409,
    retry: "never",
    title: "This phone is linked to another number of the company.",
    remedy: "Use that number, or unlink it first.",
  },
  NUMBER_LIMIT_REACHED: {
    status: 409,
    retry: "never",
    title: "The company has as many numbers as it may have.",
    remedy: "Remove a number, or raise maxNumbersPerCompany.",
  },
  NUMBER_DISABLED: {
    status: 409,
    retry: "never",
    title: "This number is switched off.",
    remedy: "Set its desiredState to connected.",
  },
  COMPANY_DISABLED: {
    status: 409,
    retry: "never",
    title: "WhatsApp is switched off for this company.",
    remedy: "Set whatsappEnabled to true.",
  },
  FLOW_KEY_EXISTS: {
    status: 409,
    retry: "never",
    title: "The company has a key for flows.",
    remedy: "Use it, or replace it with POST …/flow-keys/rotate.",
  },
  FLOW_KEYS_MANY: {
    status: 409,
    retry: "later",
    title: "Too many former keys for flows still answer.",
    remedy: "Wait until one retires, or end one with DELETE …/flow-keys/<key>.",
  },
  WEBHOOKS_MANY: {
    status: 409,
    retry: "never",
    title: "The company has as many webhooks as it may have.",
    remedy: "Remove one, or let one take more events.",
  },
  WEBHOOK_DISABLED: {
    status: 409,
    retry: "never",
    title: "This webhook is switched off.",
    remedy: 'Mend its address, then switch it on: PATCH …/webhooks/<webhook> {"isEnabled":true}.',
  },
  IDEMPOTENCY_MISMATCH: {
    status: 409,
    retry: "never",
    title: "This Idempotency-Key was used with another request.",
    remedy: "Use a new key for a new message.",
  },
  NOT_CONNECTED: {
    status: 409,
    retry: "later",
    title: "The number is not connected.",
    remedy: "See its status; messages to be sent wait for the connection by themselves.",
  },
  NOT_CHANGEABLE: {
    status: 409,
    retry: "never",
    title: "This message cannot be changed.",
    remedy: "Only the number's own messages can be edited, for 15 minutes, or deleted.",
  },
  MEDIA_NOT_READY: {
    status: 409,
    retry: "later",
    title: "The file has not been fetched from WhatsApp yet.",
    remedy: "Try again in a few seconds.",
  },
  SHARDS_APART: {
    status: 409,
    retry: "later",
    title: "The two shards are not with the same owner.",
    remedy: "Pin both to the same host, wait until it owns both, merge again.",
  },
  SHARD_NOT_DIVISIBLE: {
    status: 409,
    retry: "never",
    title: "This shard cannot be changed this way.",
    remedy: "A split needs two companies in the shard, a merge a shard right above it.",
  },
  JOB_RUNNING: {
    status: 409,
    retry: "later",
    title: "A job of this kind is running.",
    remedy: "Wait for its end, or cancel it; jobId names it.",
  },
  NOT_DEAD: {
    status: 409,
    retry: "never",
    title: "Only a dead command can be replayed.",
    remedy: "A waiting one needs no help; for one that has ended send the request again.",
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    retry: "never",
    title: "The request is too large.",
    remedy: "Send less.",
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    retry: "never",
    title: "The body must be JSON.",
    remedy: "Send Content-Type: application/json.",
  },
  PROVIDER_NOT_SUPPORTED: {
    status: 501,
    retry: "never",
    title: "This is not possible with the provider of this number.",
    remedy: "Use a number of another provider; docs/wpp.md says what each can do.",
  },
  INVALID_RECIPIENT: {
    status: 422,
    retry: "never",
    title: "This is nobody a message can be sent to.",
    remedy: "Send to a phone number, con_…, cht_…, …@lid or …@g.us.",
  },
  MEDIA_REFUSED: {
    status: 422,
    retry: "never",
    title: "This file cannot be sent.",
    remedy: "See the detail; check its address, size and type.",
  },
  HANDLER_REFUSED: {
    status: 422,
    retry: "never",
    title: "This address cannot answer for flows.",
    remedy: "Use an https address whose name leads to the public Internet.",
  },
  WEBHOOK_REFUSED: {
    status: 422,
    retry: "never",
    title: "Nothing can be delivered to this address.",
    remedy: "Use an https address whose name leads to the public Internet.",
  },
  PHONE_NOT_ON_WHATSAPP: {
    status: 422,
    retry: "never",
    title: "This phone number is not on WhatsApp.",
    remedy: "Check the digits; set up WhatsApp on the phone first.",
  },
  PASSKEY_REQUIRED: {
    status: 422,
    retry: "never",
    title: "WhatsApp wants a passkey for this number.",
    remedy: "Link another number, or use the Cloud API for this one.",
  },
  RATE_LIMITED: {
    status: 429,
    retry: "later",
    title: "Too many pairing codes were asked for.",
    remedy: "Wait for the time in Retry-After.",
  },
  TOO_MANY_REQUESTS: {
    status: 429,
    retry: "later",
    title: "Too many requests.",
    remedy: "Wait for the time in Retry-After.",
  },
  QUEUE_FULL: {
    status: 429,
    retry: "later",
    title: "Too many messages wait to be sent.",
    remedy: "Wait for the time in Retry-After.",
  },
  WHATSAPP_REFUSED: {
    status: 502,
    retry: "later",
    title: "WhatsApp does not link new devices to this number now.",
    remedy: "This is WhatsApp's own pause; try again in an hour or two.",
  },
  PAIRING_CODE_FAILED: {
    status: 502,
    retry: "now",
    title: "WhatsApp gave no code.",
    remedy: "Try again, or use the QR code.",
  },
  META_REFUSED: {
    status: 502,
    retry: "later",
    title: "Meta does not do this, or does not answer.",
    remedy: "See graphCode, if there is one, and POST …/numbers/<number>/check.",
  },
  WPP_KEY_REUSED: {
    status: 409,
    retry: "never",
    title: "The WPP Platform gave a key or session that another number already has.",
    remedy: "Nothing was saved. Add the number with add_new, or repair it with force_recreate.",
  },
  WPP_REFUSED: {
    status: 502,
    retry: "later",
    title: "The WPP Platform does not do this.",
    remedy: "Nothing was saved. Let the operator check WPP_BASE_URL and WPP_SECRET.",
  },
  WPP_NOT_CONFIGURED: {
    status: 503,
    retry: "later",
    title: "This installation is not connected to a WPP Platform.",
    remedy: "Let the operator set WPP_BASE_URL and WPP_SECRET for the workers.",
  },
  INTERNAL: {
    status: 500,
    retry: "later",
    title: "Something went wrong on our side.",
    remedy: "Try again; if it lasts, name the requestId.",
  },
  UNAVAILABLE: {
    status: 503,
    retry: "later",
    title: "The service cannot answer at the moment.",
    remedy: "Try again in a few seconds.",
  },
  NO_OWNER: {
    status: 503,
    retry: "later",
    title: "No worker owns this number at the moment.",
    remedy: "Try again later: within seconds, unless the detail says that it is paused.",
  },
  COMMAND_TIMEOUT: {
    status: 504,
    retry: "now",
    title: "The worker did not answer in time.",
    remedy: "Try again; the timed-out command has no later effect.",
  },
} as const satisfies Record<string, ErrorDefinition>;

export type ErrorDefinition = {
  status: number;
  retry: "now" | "later" | "never";
  title: string;
  remedy: string;
};
export type ErrorCode = keyof typeof ERRORS;
export const ERROR_CODES = Object.keys(ERRORS) as ErrorCode[];

/** Facts that go with an error and into its answer. `retryAfterSeconds` becomes `Retry-After`; null: none. */
export type ErrorFacts = {
  detail?: string;
  retryAfterSeconds?: number | null;
  [fact: string]: unknown;
};

/** The one error class with a code. `expose`: the detail may be shown to the caller (5xx never is). */
export class ManylineError extends Error {
  override readonly name = "ManylineError";
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, facts: ErrorFacts = {}, options?: { cause?: unknown }) {
    super(facts.detail ?? ERRORS[code].title, options);
    this.code = code;
    this.facts = facts;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }

  get retry(): ErrorDefinition["retry"] {
    return ERRORS[this.code].retry;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}
