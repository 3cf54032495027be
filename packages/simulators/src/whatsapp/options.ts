/** What one phone, or the server on its behalf, does. Times are true times; `speed` shortens them. */
export type PhoneOptions = {
  /** how long a pairing code can be typed after the server accepted it */
  codeTtlMs: number;
  /** wrong codes after which the request is dead */
  codeMaxWrong: number;
  /** linked devices a phone can have; a scan beyond it is refused with `too_many_devices` */
  maxDevices: number;
  /** after the first login send the app-state key and an inline history as encrypted peer messages */
  pushHistory: boolean;
  /** older clients get failure 405; null: every version is welcome */
  minVersion: [number, number, number] | null;
  /** when the server retires the QR's secret with a `companion_reg_refresh` notification */
  companionRefresh: "never" | "before-scan" | "on-scan" | "after-finish";
  /** child element of that notification; anything but the two known ones must change nothing */
  refreshChild: string;
  /** how often per connection */
  refreshTimes: number;
  /** answer to `companion_hello`; a number is the error code, `silent` is no answer at all */
  helloAnswer: "accept" | "silent" | HelloError;
  /** regular expression for `companion_platform_display`; others get 400; null: no rule */
  displayRule: string | null;
  /** accepted hellos per rolling hour; further ones get 429; null: no limit */
  throttleAfter: number | null;
  /** `result-then-silence`: the phone takes the finish and then does nothing */
  finish: "normal" | "result-then-silence";
  /** when the server asks for a passkey instead of linking */
  passkey: "off" | "on-scan" | "after-finish";
  /** how 1:1 messages name their sender to this account's linked devices; `lid-no-pn`: without the number */
  addressing: "lid" | "pn" | "lid-no-pn";
  /** the phone acknowledges what it could decrypt */
  deliveryReceipts: boolean;
  /** the owner reads this long after the arrival; null: only when told to */
  readAfterMs: number | null;
  /** the phone answers every text of others with this; `{text}` is what was written; null: silence */
  autoReply: string | null;
  /** refuses (463) first messages of strangers that carry no token of this account */
  requireToken: boolean;
  /** refuses (463) messages that are addressed to the number instead of the LID */
  requireLid: boolean;
  /** the offline queue is sent, but its end is not announced */
  holdOfflineEnd: boolean;
};

export const HELLO_ERRORS = {
  400: "bad-request",
  403: "forbidden",
  404: "item-not-found",
  429: "rate-overlimit",
  452: "feature-not-available",
  500: "internal-server-error",
} as const;
export type HelloError = keyof typeof HELLO_ERRORS;

/** Server-wide options. The phone options here are the defaults of every phone. */
export type ServerOptions = PhoneOptions & {
  /** QR refs handed out per connection; the server cannot know the phone yet */
  qrRefs: number;
  /** every number has WhatsApp, unless its phone was set to `exists: false` */
  autoAccounts: boolean;
  /** 10 = ten times faster: divides every time of the server and the phones */
  speed: number;
};

/** at most three tries of the phone per code, whatever else is set */
export const MAX_PRIMARY_HELLOS = 3;

/** how long a phone waits for the client to take the next step of linking */
export const LINK_STEP_MS = 60_000;

const BROWSERS = "Chrome|Edge|Firefox|Opera|Safari";
const SYSTEMS = "Windows|Mac OS|Linux|Android|iOS|Ubuntu|Fedora";

export const DEFAULT_OPTIONS: ServerOptions = {
  qrRefs: 6,
  autoAccounts: true,
  speed: 1,
  codeTtlMs: 180_000,
  codeMaxWrong: 3,
  maxDevices: 4,
  pushHistory: true,
  minVersion: null,
  companionRefresh: "never",
  refreshChild: "companion_reg_refresh",
  refreshTimes: 1,
  helloAnswer: "accept",
  displayRule: `^(${BROWSERS}) \\((${SYSTEMS})\\)$`,
  throttleAfter: null,
  finish: "normal",
  passkey: "off",
  addressing: "lid",
  deliveryReceipts: true,
  readAfterMs: null,
  autoReply: null,
  requireToken: false,
  requireLid: false,
  holdOfflineEnd: false,
};

/** A value that an option does not take. The message names the option. */
export class OptionError extends Error {
  override name = "OptionError";
}

type Check = (value: unknown) => boolean;

const isCount: Check = (value) => Number.isInteger(value) && Number(value) >= 0;
const oneOf =
  (...allowed: unknown[]): Check =>
  (value) =>
    allowed.includes(value);
const orNull =
  (inner: Check): Check =>
  (value) =>
    value === null || inner(value);

export const isVersion: Check = (value) =>
  Array.isArray(value) && value.length === 3 && value.every(isCount);

const PHONE_CHECKS: Record<keyof PhoneOptions, Check> = {
  codeTtlMs: isCount,
  codeMaxWrong: isCount,
  maxDevices: isCount,
  pushHistory: oneOf(true, false),
  minVersion: orNull(isVersion),
  companionRefresh: oneOf("never", "before-scan", "on-scan", "after-finish"),
  refreshChild: (value) => typeof value === "string" && value.length > 0,
  refreshTimes: isCount,
  helloAnswer: oneOf("accept", "silent", ...Object.keys(HELLO_ERRORS).map(Number)),
  displayRule: orNull(isRegExp),
  throttleAfter: orNull(isCount),
  finish: oneOf("normal", "result-then-silence"),
  passkey: oneOf("off", "on-scan", "after-finish"),
  addressing: oneOf("lid", "pn", "lid-no-pn"),
  deliveryReceipts: oneOf(true, false),
  readAfterMs: orNull(isCount),
  autoReply: orNull((value) => typeof value === "string"),
  requireToken: oneOf(true, false),
  requireLid: oneOf(true, false),
  holdOfflineEnd: oneOf(true, false),
};

const SERVER_CHECKS: Record<keyof ServerOptions, Check> = {
  ...PHONE_CHECKS,
  qrRefs: (value) => isCount(value) && Number(value) > 0,
  autoAccounts: oneOf(true, false),
  speed: (value) => typeof value === "number" && Number.isFinite(value) && value > 0,
};

/** @throws {OptionError} for an unknown option or a value it does not take */
export function checkPhoneOptions(input: unknown): Partial<PhoneOptions> {
  return check(input, PHONE_CHECKS);
}

/** @throws {OptionError} for an unknown option or a value it does not take */
export function checkServerOptions(input: unknown): Partial<ServerOptions> {
  return check(input, SERVER_CHECKS);
}

function check<Options>(input: unknown, checks: Record<keyof Options, Check>): Partial<Options> {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new OptionError("options must be an object");
  }
  const out: Partial<Options> = {};
  for (const [name, value] of Object.entries(input)) {
    if (!Object.hasOwn(checks, name)) throw new OptionError(`there is no option ${name}`);
    if (!checks[name as keyof Options](value)) {
      throw new OptionError(`option ${name} does not take ${JSON.stringify(value)}`);
    }
    out[name as keyof Options] = value as Options[keyof Options];
  }
  return out;
}

function isRegExp(value: unknown): boolean {
  if (typeof value !== "string") return false;
  try {
    return new RegExp(value) instanceof RegExp;
  } catch {
    return false;
  }
}
