/** Tokens of the simulated platform: real JWTs, with an end. */
import { createHmac, randomBytes } from "node:crypto";

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

export class Jwts {
  readonly #key = randomBytes(32);
  #made = 0;

  issue(session: string, ttlMs: number, now: number): string {
    this.#made += 1;
    // Whole seconds, as JWTs have them.
    const claims = {
      sub: session,
      exp: Math.ceil((now + ttlMs) / 1_000),
      end: now + ttlMs,
      jti: this.#made,
    };
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
    return `${text}.${this.#sign(text)}`;
  }

  /** The session it is for; undefined: it is not ours, or over. */
  read(token: string, now: number): string | undefined {
    const [head = "", claims = "", signature = ""] = token.split(".");
    if (signature !== this.#sign(`${head}.${claims}`)) return undefined;
    const { sub, end } = JSON.parse(Buffer.from(claims, "base64url").toString()) as {
      sub: string;
      end: number;
    };
    return now < end ? sub : undefined;
  }

  #sign(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("base64url");
  }
}
