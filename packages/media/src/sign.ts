/** AWS Signature Version 4 for S3, with everything in headers. */
import { createHash, createHmac } from "node:crypto";

export type Credentials = {
  readonly keyId: string;
  readonly secret: string;
  readonly region: string;
};

export type Unsigned = {
  readonly method: string;
  readonly url: URL;
  /** Lower-case names; all of them are signed. */
  readonly headers?: Readonly<Record<string, string>>;
  /** SHA-256 of the body. */
  readonly bodyHash: Buffer;
  readonly at: Date;
};

export const EMPTY_HASH = createHash("sha256").digest();

/** The headers to send: those given, and the signature's. `host` is signed and left to the client. */
export function signedHeaders(request: Unsigned, credentials: Credentials): Record<string, string> {
  const { method, url, at } = request;
  const time = at.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const day = time.slice(0, 8);
  const bodyHash = request.bodyHash.toString("hex");
  const headers: Record<string, string> = {
    ...request.headers,
    "x-amz-content-sha256": bodyHash,
    "x-amz-date": time,
  };
  const signed = Object.entries({ ...headers, host: url.host }).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const names = signed.map(([name]) => name).join(";");
  const canonical = [
    method,
    url.pathname,
    url.searchParams.toString(),
    ...signed.map(([name, value]) => `${name}:${value.trim()}`),
    "",
    names,
    bodyHash,
  ].join("\n");
  const scope = `${day}/${credentials.region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  const key = [day, credentials.region, "s3", "aws4_request"].reduce<Buffer | string>(
    hmac,
    `AWS4${credentials.secret}`,
  );
  const signature = hmac(key, text).toString("hex");
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${credentials.keyId}/${scope},SignedHeaders=${names},Signature=${signature}`,
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
