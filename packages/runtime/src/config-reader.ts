/** What `process.env` looks like. */
export type Env = Readonly<Record<string, string | undefined>>;

/** One thing wrong with the environment. `name` is the variable, empty for a rule across several. */
export type ConfigMistake = { readonly name: string; readonly message: string };

/** A line of the README's table. `default` is what an operator would write. */
export type EnvRow = {
  readonly name: string;
  readonly meaning: string;
  readonly default: string | undefined;
  readonly isRequired: boolean;
  readonly isSecret: boolean;
};

/**
 * Required unless it has a `default` or is `optional` (then the value may be undefined).
 * `meaning` is one plain clause for the README, with the unit.
 */
export type VarSpec<T> = {
  readonly meaning?: string;
  readonly default?: T;
  readonly optional?: boolean;
};
/** Secrets have no default, ever: a forgotten variable must stop the start, not weaken it. */
export type SecretSpec = { readonly meaning?: string; readonly optional?: boolean };

type Read<T, S> = S extends { readonly optional: true } ? T | undefined : T;
type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly must: string };

/**
 * Hands out values by kind and remembers what was asked for and what was wrong. An empty or blank
 * variable counts as absent, as `${NAME:-}` in a compose file makes it.
 */
export class ConfigReader {
  readonly #env: Env;
  readonly #rows: EnvRow[] = [];
  readonly #mistakes: ConfigMistake[] = [];

  constructor(env: Env) {
    this.#env = env;
  }

  get mistakes(): readonly ConfigMistake[] {
    return this.#mistakes;
  }

  /** Everything asked for so far. */
  table(): EnvRow[] {
    return [...this.#rows];
  }

  /** Any text; `pattern` narrows it, and `must` says in words what the pattern wants. */
  string<const S extends VarSpec<string> & { pattern?: RegExp; must?: string }>(
    name: string,
    spec?: S,
  ): Read<string, S> {
    return this.#read(name, spec, "", (text) => {
      if (spec?.pattern === undefined || spec.pattern.test(text)) return { ok: true, value: text };
      return { ok: false, must: spec.must ?? `match ${String(spec.pattern)}` };
    });
  }

  /** An absolute URL, handed out as written. `protocols` with their colon, as in `https:`. */
  url<const S extends VarSpec<string> & { protocols?: readonly string[] }>(
    name: string,
    spec?: S,
  ): Read<string, S> {
    return this.#read(name, spec, "http://stand-in.invalid", (text) =>
      parseUrl(text, spec?.protocols),
    );
  }

  /** Several URLs with commas between them (a NATS cluster). */
  urls<const S extends VarSpec<readonly string[]> & { protocols?: readonly string[] }>(
    name: string,
    spec?: S,
  ): Read<readonly string[], S> {
    return this.#read(name, spec, [], (text) => {
      const parts = splitList(text);
      const bad = parts.map((part) => parseUrl(part, spec?.protocols)).find((parsed) => !parsed.ok);
      return bad === undefined ? { ok: true, value: parts } : bad;
    });
  }

  /** A TCP port, 0 to 65535; 0 asks the system for a free one. */
  port<const S extends VarSpec<number>>(name: string, spec?: S): Read<number, S> {
    return this.#read(name, spec, 0, (text) =>
      parseNumber(text, { min: 0, max: 65_535, whole: true }),
    );
  }

  /** A finite decimal number. */
  number<const S extends VarSpec<number> & { min?: number; max?: number }>(
    name: string,
    spec?: S,
  ): Read<number, S> {
    return this.#read(name, spec, spec?.min ?? 1, (text) =>
      parseNumber(text, { ...spec, whole: false }),
    );
  }

  /** A whole number. */
  integer<const S extends VarSpec<number> & { min?: number; max?: number }>(
    name: string,
    spec?: S,
  ): Read<number, S> {
    return this.#read(name, spec, spec?.min ?? 1, (text) =>
      parseNumber(text, { ...spec, whole: true }),
    );
  }

  /** A duration in whole milliseconds, 0 or more; the variable's name ends in `_MS`. */
  durationMs<const S extends VarSpec<number> & { min?: number; max?: number }>(
    name: string,
    spec?: S,
  ): Read<number, S> {
    return this.#read(name, spec, spec?.min ?? 1, (text) =>
      parseNumber(text, { min: 0, ...spec, whole: true }),
    );
  }

  /** `true`/`1`/`yes`/`on` or `false`/`0`/`no`/`off`. Anything else is a mistake, not false. */
  flag<const S extends VarSpec<boolean>>(name: string, spec?: S): Read<boolean, S> {
    return this.#read(name, spec, false, (text) => {
      const word = text.toLowerCase();
      if (["true", "1", "yes", "on"].includes(word)) return { ok: true, value: true };
      if (["false", "0", "no", "off"].includes(word)) return { ok: true, value: false };
      return { ok: false, must: "be true or false" };
    });
  }

  /** One of a closed list of words. */
  oneOf<const V extends string, const S extends VarSpec<NoInfer<V>>>(
    name: string,
    values: readonly [V, ...V[]],
    spec?: S,
  ): Read<V, S> {
    return this.#read<V, S>(name, spec, values[0], (text) => {
      const value = values.find((candidate) => candidate === text);
      if (value !== undefined) return { ok: true, value };
      return { ok: false, must: `be one of ${values.join(", ")}` };
    });
  }

  /** Texts with commas between them; blanks around each are cut, empty ones dropped. */
  list<const S extends VarSpec<readonly string[]>>(
    name: string,
    spec?: S,
  ): Read<readonly string[], S> {
    return this.#read(name, spec, [], (text) => ({ ok: true, value: splitList(text) }));
  }

  /** A secret text. Its value is in no message. `minLength` (default 1) counts characters. */
  secret<const S extends SecretSpec & { minLength?: number }>(
    name: string,
    spec?: S,
  ): Read<string, S> {
    const minLength = spec?.minLength ?? 1;
    return this.#read<string, S>(
      name,
      spec,
      "",
      (text) =>
        text.length >= minLength
          ? { ok: true, value: text }
          : { ok: false, must: `have at least ${minLength} characters` },
      true,
    );
  }

  /** A secret key of exactly `bytes` bytes in base64, base64url or hex. All zeros is refused. */
  secretBytes<const S extends SecretSpec & { bytes: number }>(
    name: string,
    spec: S,
  ): Read<Buffer, S> {
    return this.#read<Buffer, S>(
      name,
      spec,
      Buffer.alloc(spec.bytes),
      (text) => parseKey(text, spec.bytes),
      true,
    );
  }

  /**
   * A rule across variables: `r.check(min < max, 'MIN_MS must be below MAX_MS', ['MIN_MS', 'MAX_MS'])`.
   * Variables named in `about` that are wrong already silence it, since their stand-ins prove nothing.
   */
  check(condition: boolean, message: string, about: readonly string[] = []): void {
    const isMoot = this.#mistakes.some((mistake) => about.includes(mistake.name));
    if (!condition && !isMoot) this.#mistakes.push({ name: "", message });
  }

  #read<T, S extends VarSpec<T> | SecretSpec>(
    name: string,
    spec: S | undefined,
    standIn: T,
    parse: (text: string) => Parsed<T>,
    isSecret = false,
  ): Read<T, S> {
    // The conditional type cannot be followed by the checker: undefined is returned only when
    // `optional` is set, which is exactly what Read<T, S> says.
    return this.#readValue(name, spec, standIn, parse, isSecret) as Read<T, S>;
  }

  #readValue<T>(
    name: string,
    spec: VarSpec<T> | undefined,
    standIn: T,
    parse: (text: string) => Parsed<T>,
    isSecret: boolean,
  ): T | undefined {
    const fallback = spec?.default;
    this.#rows.push({
      name,
      meaning: spec?.meaning ?? "",
      default: fallback === undefined ? undefined : String(fallback),
      isRequired: fallback === undefined && spec?.optional !== true,
      isSecret,
    });
    const text = this.#env[name]?.trim() ?? "";
    if (text === "") {
      if (fallback !== undefined) return fallback;
      if (spec?.optional === true) return undefined;
      this.#mistakes.push({ name, message: `${name} is required and not set` });
      return standIn;
    }
    const parsed = parse(text);
    if (parsed.ok) return parsed.value;
    const shown = isSecret
      ? "(its value is not shown)"
      : `not ${JSON.stringify(withoutPasswords(text))}`;
    this.#mistakes.push({ name, message: `${name} must ${parsed.must}, ${shown}` });
    return standIn;
  }
}

function parseNumber(
  text: string,
  rules: { min?: number; max?: number; whole: boolean },
): Parsed<number> {
  const { min = -Infinity, max = Infinity, whole } = rules;
  const kind = whole ? "a whole number" : "a number";
  const range =
    min === -Infinity && max === Infinity
      ? ""
      : max === Infinity
        ? ` of at least ${min}`
        : min === -Infinity
          ? ` of at most ${max}`
          : ` from ${min} to ${max}`;
  const must = `be ${kind}${range}`;
  // Number() alone would take '', '0x10' and '1e3'; an operator who writes those made a slip.
  if (!/^[+-]?\d+(\.\d+)?$/.test(text)) return { ok: false, must };
  const value = Number(text);
  if (!Number.isFinite(value) || (whole && !Number.isSafeInteger(value)))
    return { ok: false, must };
  return value >= min && value <= max ? { ok: true, value } : { ok: false, must };
}

function parseUrl(text: string, protocols: readonly string[] | undefined): Parsed<string> {
  const must =
    protocols === undefined ? "be a URL" : `be a URL that starts with ${protocols.join(" or ")}`;
  if (!URL.canParse(text)) return { ok: false, must };
  const isKnown = protocols === undefined || protocols.includes(new URL(text).protocol);
  return isKnown ? { ok: true, value: text } : { ok: false, must };
}

function parseKey(text: string, bytes: number): Parsed<Buffer> {
  const isHex = text.length === bytes * 2 && /^[0-9a-f]+$/i.test(text);
  const isBase64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(text);
  const key = isHex ? Buffer.from(text, "hex") : Buffer.from(isBase64 ? text : "", "base64");
  if (key.length !== bytes) return { ok: false, must: `be ${bytes} bytes in base64 or hex` };
  if (key.every((byte) => byte === 0)) return { ok: false, must: "not be all zeros" };
  return { ok: true, value: key };
}

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** What stands before an @ of a mistyped URL is likely a password. */
function withoutPasswords(text: string): string {
  return text.replaceAll(/(?<=^|,|\/\/)(?![a-z]+:?\/\/)[^\s,]*@/g, "***@");
}
