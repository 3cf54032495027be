import { fileURLToPath } from "node:url";
import { resolve } from "node:path";
import { BucketStore } from "./bucket-store.ts";
import { FolderStore } from "./folder-store.ts";
import type { MediaStore } from "./store.ts";

/**
 * The store that a setting names: a folder (a path, or `file:///…`), or a bucket that speaks S3 as
 * `s3://<key id>:<secret>@<host>[:port]/<bucket>[/<prefix>][?region=…]`; `s3+http://` without TLS.
 * Nothing is opened yet. Throws a TypeError, without the secret in its message.
 */
export function openMediaStore(setting: string): MediaStore {
  if (/^s3(\+http)?:\/\//.test(setting)) return new BucketStore(bucketOf(setting));
  if (setting === "") throw new TypeError("a media store is a folder or an s3:// address");
  if (setting.startsWith("file:")) return new FolderStore(fileURLToPath(setting));
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(setting)) {
    throw new TypeError("a media store is a folder or an s3:// address");
  }
  return new FolderStore(resolve(setting));
}

function bucketOf(setting: string): ConstructorParameters<typeof BucketStore>[0] {
  const isPlain = setting.startsWith("s3+http:");
  const url = URL.parse(setting.replace(/^s3(\+http)?:/, isPlain ? "http:" : "https:"));
  const [bucket = "", ...prefix] = (url?.pathname ?? "").split("/").filter((part) => part !== "");
  if (!url || url.username === "" || url.password === "" || !/^[a-z0-9][a-z0-9.-]+$/.test(bucket)) {
    throw new TypeError("an s3:// address needs key id, secret, host and bucket");
  }
  return {
    endpoint: url.origin,
    bucket,
    prefix: prefix.join("/"),
    region: url.searchParams.get("region") ?? "us-east-1",
    keyId: decodeURIComponent(url.username),
    secret: decodeURIComponent(url.password),
  };
}
