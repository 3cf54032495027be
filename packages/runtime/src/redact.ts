/**
 * What must not reach a log: pairing codes, QR texts, tokens, keys, message texts, whole phone
 * numbers. Two nets, because each has holes: by the name of the field, and by the look of the value,
 * which also catches what a library has put into an error's message.
 */

const HIDDEN = "[redacted]";
const MAX_DEPTH = 6;
const MAX_ITEMS = 50;
const MAX_TEXT_LENGTH = 4_000;

/** Compared without case, `_` and `-`. Whatever stands under these names is hidden whole. */
const SECRET_NAMES = new Set(
  [
    "password passwd pass pwd secret secrets clientSecret appSecret webhookSecret verifyToken",
    "token tokens accessToken refreshToken apiToken apiKey bearer jwt credential credentials creds",
    "authorization proxyAuthorization cookie setCookie xApiKey xHubSignature256",
    "pairingCode qr qrCode qrText ref refs",
    "private privKey privateKey keyPair key kek dek masterKey dataKey wrappedKey encryptionKey",
    "noiseKey advSecretKey companionEphemeralKeyPair pairingEphemeralKeyPair signedIdentityKey",
    "signedPreKey preKey preKeys identityKey senderKey sessionKey appStateSyncKey mediaKey",
    "text body caption conversation mediaUrl mediaUrls directPath",
  ]
    .join(" ")
    .split(" ")
    .map(plainName),
);

/** Names whose values are phones, JIDs or addresses of people: shown in part. */
const PERSON_NAMES = new Set(
  [
    "phone phones phoneNumber phoneE164 displayPhoneNumber msisdn waId jid jids lid to from",
    "recipient sender participant remoteJid chatId email adminEmail notificationEmail user username",
  ]
    .join(" ")
    .split(" ")
    .map(plainName),
);

const CODE_GROUP = "[1-9A-HJ-NP-TV-Z]{4}";
const WHOLE_CODE = new RegExp(`^${CODE_GROUP}-?${CODE_GROUP}$`);
/** JSON inside a text shows a line break as the two characters \n, whose n must not hide what follows. */
const START = "(?:(?<![A-Za-z0-9])|(?<=\\\\[nrt]))";

type Rule = readonly [pattern: RegExp, replace: string | ((match: string) => string)];

const RULES: readonly Rule[] = [
  // A UUID may hold two groups of four that look like a code: it is matched first and kept.
  [
    new RegExp(
      "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}" +
        `|${START}${CODE_GROUP}-${CODE_GROUP}(?![A-Za-z0-9])`,
      "g",
    ),
    (match) => (match.length === 36 ? match : HIDDEN),
  ],
  // The same code without its dash, as the library makes it; a digit and a letter tell it from a word.
  [starting("(?=[A-Z]*[1-9])(?=[1-9]*[A-Z])[1-9A-HJ-NP-TV-Z]{8}(?![A-Za-z0-9])"), HIDDEN],
  [/https?:\/\/wa\.me\/settings\/linked_devices[^\s"'<>\\]*/gi, HIDDEN],
  [starting("[12]@[A-Za-z0-9+/=_-]{16,}(?:,[A-Za-z0-9+/=_-]+)+"), HIDDEN],
  [starting("(Bearer|Basic)\\s+[A-Za-z0-9._~+/=-]+", "gi"), `$1 ${HIDDEN}`],
  [starting("(?:mly_|whsec_)[A-Za-z0-9+/=_-]+"), HIDDEN],
  [starting("eyJ[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]*)?"), HIDDEN],
  [starting("EAA[A-Za-z0-9]{20,}"), HIDDEN],
  [/(\/\/)[^\s/@"']+:[^\s/@"']+@/g, `$1${HIDDEN}@`],
  [
    /([?&#](?:access_token|token|key|secret|code|password|signature|hub\.verify_token)=)[^\s&"'<>\\]+/gi,
    `$1${HIDDEN}`,
  ],
  [
    /((?:priv(?:ate)?_?key|private|noiseKey|advSecretKey|signedPreKey|identityKey|secret|kek|mediaKey|password)["'\\]*\s*[:=]\s*["'\\]*)[A-Za-z0-9+/=_-]{8,}/gi,
    `$1${HIDDEN}`,
  ],
  [
    starting("\\d{5,20}(?=(?:[:_.]\\d+)*@(?:s\\.whatsapp\\.net|c\\.us|lid|g\\.us|hosted))"),
    maskDigits,
  ],
  [/(?<![\w.])\+\d{7,15}\b/g, maskDigits],
];

function starting(pattern: string, flags = "g"): RegExp {
  return new RegExp(START + pattern, flags);
}

/** The text with everything hidden that looks secret. Also cuts what is longer than 4,000 characters. */
export function redactText(text: string): string {
  const cut =
    text.length > MAX_TEXT_LENGTH
      ? `${text.slice(0, MAX_TEXT_LENGTH)}… (${text.length} characters)`
      : text;
  let clean = cut;
  for (const [pattern, replace] of RULES) {
    clean =
      typeof replace === "string"
        ? clean.replaceAll(pattern, replace)
        : clean.replaceAll(pattern, (match) => replace(match));
  }
  return clean;
}

/** `79001234567` → `7900*****67`. Up to six digits are too few to show any part of. */
export function maskDigits(value: string): string {
  const digits = value.replaceAll(/\D/g, "");
  if (digits.length <= 6) return "*".repeat(digits.length);
  return `${digits.slice(0, 4)}${"*".repeat(digits.length - 6)}${digits.slice(-2)}`;
}

/**
 * A copy of `value` that may be logged. Bytes become their length, errors their allowed fields,
 * deep or long structures are cut; functions and symbols disappear. Never throws on cycles.
 */
export function redactValue(value: unknown, name = "", depth = 0): unknown {
  const plain = plainName(name);
  if (value === null || value === undefined || typeof value === "boolean") return value;
  if (SECRET_NAMES.has(plain)) return HIDDEN;
  if (typeof value === "string") return redactNamedText(plain, value);
  if (typeof value === "object") return redactObject(value, name, depth);
  if (typeof value !== "number" && typeof value !== "bigint") return undefined;
  const digits = String(value);
  if (PERSON_NAMES.has(plain) && digits.length > 6) return maskDigits(digits);
  return typeof value === "bigint" ? digits : value;
}

/**
 * What is logged of an error: type, message, stack, code, and the same of its cause. An allow-list,
 * since clients hang parameters on their errors (pg: `detail`, `where`; HTTP clients: the request).
 */
export function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error, message: redactText(String(error)) };
  const code: unknown = "code" in error ? error.code : undefined;
  const described: Record<string, unknown> = {
    type: error.name,
    message: redactText(error.message),
    stack: redactText(error.stack ?? ""),
  };
  if (typeof code === "string") described["code"] = redactText(code);
  if (typeof code === "number") described["code"] = code;
  if (depth < 3 && error.cause !== undefined) {
    described["cause"] = describeError(error.cause, depth + 1);
  }
  if (depth < 3 && error instanceof AggregateError) {
    described["errors"] = error.errors
      .slice(0, 5)
      .map((inner: unknown) => describeError(inner, depth + 1));
  }
  return described;
}

function redactNamedText(plain: string, value: string): string {
  if (plain === "code" && WHOLE_CODE.test(value)) return HIDDEN;
  if (!PERSON_NAMES.has(plain)) return redactText(value);
  const at = value.indexOf("@");
  const looksLikeMail = at > 0 && /\.[a-z]{2,}$/i.test(value) && !/\d{5,}/.test(value.slice(0, at));
  if (looksLikeMail) return `${value.slice(0, 1)}***${value.slice(at)}`;
  const digitCount = value.replaceAll(/\D/g, "").length;
  if (digitCount < 5) return redactText(value);
  return at > 0 ? `${maskDigits(value.slice(0, at))}${value.slice(at)}` : maskDigits(value);
}

function redactObject(value: object, name: string, depth: number): unknown {
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return `[${value.byteLength} bytes]`;
  if (depth >= MAX_DEPTH) return "[deep]";
  if (value instanceof Set) return redactObject([...value], name, depth);
  if (value instanceof Map) return redactObject(Object.fromEntries(value), name, depth);
  if (value instanceof URL) return redactText(value.href);
  if (Array.isArray(value)) {
    const items = value
      .slice(0, MAX_ITEMS)
      .map((item: unknown) => redactValue(item, name, depth + 1));
    return value.length > MAX_ITEMS ? [...items, `… ${value.length - MAX_ITEMS} more`] : items;
  }
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value).slice(0, MAX_ITEMS)) {
    copy[safeKey(key)] = redactValue(item, key, depth + 1);
  }
  return copy;
}

/** Objects keyed by JID or phone would show them as field names. */
function safeKey(key: string): string {
  return /\d{7,}|-/.test(key) ? redactText(key).replaceAll(/\d{7,}/g, maskDigits) : key;
}

function plainName(name: string): string {
  return name.replaceAll(/[_-]/g, "").toLowerCase();
}
