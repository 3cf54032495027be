import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_HASH, signedHeaders } from "./sign.ts";

test("signs as AWS does in its own example", () => {
  const headers = signedHeaders(
    {
      method: "GET",
      url: new URL("https://examplebucket.s3.amazonaws.com/test.txt"),
      headers: { range: "bytes=0-9" },
      bodyHash: EMPTY_HASH,
      at: new Date("2013-05-24T00:00:00.000Z"),
    },
    {
      keyId: "AKIAIOSFODNN7EXAMPLE",
      secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
      region: "us-east-1",
    },
  );
  assert.match(
    headers["authorization"] ?? "",
    /SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41$/,
  );
});
