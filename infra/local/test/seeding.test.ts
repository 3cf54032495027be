import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FencedError,
  openDatabase,
  readAuth,
  readKeys,
  readStatus,
  withCompany,
} from "@manyline/db";
import { openTestDatabase } from "@manyline/db/testing";
import { muteLibsignal, startWhatsAppSimulator, verifyXEdDSA } from "@manyline/simulators";
import { BufferJSON, type AuthenticationCreds } from "@whiskeysockets/baileys";
import { seedLinkedNumbers } from "../src/testing/index.ts";

test("seeded numbers are linked: whole credentials of their own, known to WhatsApp, stored under their fence", async () => {
  muteLibsignal();
  await using database = await openTestDatabase();
  await using simulator = await startWhatsAppSimulator({ port: 0 });
  const numbers = await seedLinkedNumbers({
    platformUrl: database.urls.platform,
    workerUrl: database.urls.worker,
    keyring: database.keyring,
    simulatorUrl: simulator.httpUrl,
    companies: 2,
    numbersPerCompany: 2,
    preKeys: 9,
  });
  assert.equal(numbers.length, 4);
  assert.deepEqual(
    numbers.map(({ companyId }) => companyId),
    ["fleet-1", "fleet-1", "fleet-2", "fleet-2"],
  );
  await using worker = openDatabase({ url: database.urls.worker, applicationName: "test" });
  await using app = openDatabase({ url: database.urls.app, applicationName: "test" });
  const identities = new Set<string>();
  for (const { companyNo, numberNo, phone, deviceId } of numbers) {
    const status = await withCompany(app, companyNo, (tx) => readStatus(tx, companyNo, numberNo));
    assert.ok(status?.number.isLinked);
    assert.equal(status.number.phone, phone);
    assert.equal(status.number.status, "connected");

    const fence = { companyNo, numberNo, epoch: 0 };
    const stored = await readAuth(worker, database.keyring, fence);
    const creds = JSON.parse(String(stored.creds), BufferJSON.reviver) as AuthenticationCreds;
    const { account, signedIdentityKey, signedPreKey } = creds;
    assert.ok(account?.details && account.accountSignatureKey && account.accountSignature);
    identities.add(Buffer.from(signedIdentityKey.public).toString("hex"));
    const typed = Buffer.concat([Buffer.of(5), signedPreKey.keyPair.public]);
    assert.ok(verifyXEdDSA(signedIdentityKey.public, typed, signedPreKey.signature));
    const { details, accountSignatureKey, deviceSignature } = account;
    const identity = Buffer.from(signedIdentityKey.public);
    assert.ok(
      verifyXEdDSA(
        accountSignatureKey,
        Buffer.concat([Buffer.of(6, 0), details, identity]),
        account.accountSignature,
      ),
    );
    assert.ok(
      verifyXEdDSA(
        signedIdentityKey.public,
        Buffer.concat([Buffer.of(6, 1), details, identity, accountSignatureKey]),
        deviceSignature ?? Buffer.alloc(64),
      ),
    );
    const preKeys = await readKeys(worker, database.keyring, fence, "pre-key", ["1", "9", "10"]);
    assert.deepEqual([...preKeys.keys()].toSorted(), ["1", "9"]);
    await assert.rejects(readAuth(worker, database.keyring, { ...fence, epoch: 1 }), FencedError);

    const device = simulator.server.directory.get(phone)?.devices.get(deviceId);
    assert.equal(device?.preKeys.size, 9);
    assert.deepEqual(device.identity, identity);
  }
  assert.equal(identities.size, 4);
});
