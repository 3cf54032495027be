import { createSilentLogger } from "@manyline/runtime";
import { buildApp } from "./app.ts";
import type { Config } from "./config.ts";
import { buildDeps } from "./deps.ts";
import { openApiText } from "./openapi.ts";

/** The committed document names no host of its own. */
const PUBLIC_URL = "http://127.0.0.1:3000";

/** The OpenAPI document of this build, made from the routes themselves. */
export async function openApiDocument(): Promise<string> {
  const nowhere = "postgres://nobody@127.0.0.1:1/nowhere";
  const config: Config = {
    http: {
      port: 0,
      host: "127.0.0.1",
      trustedProxies: [],
      publicUrl: PUBLIC_URL,
      consoleDir: ".",
    },
    databases: { app: nowhere, platform: nowhere, relay: nowhere },
    natsUrls: ["nats://127.0.0.1:1"],
    redisUrl: undefined,
    // Encrypts nothing here: the keyring only has to exist.
    keks: `document:${Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString("base64")}`,
    adminToken: "",
    limits: {
      perTokenPerMinute: 1,
      perAddressPerMinute: 1,
      failedLoginsPerMinute: 1,
      streamsPerToken: 1,
    },
    media: { store: "nowhere", openAddresses: [] },
    meta: { defaultCompany: undefined, defaultToken: undefined },
    handlerOpenAddresses: [],
    timeScale: 1,
    logLevel: "silent",
  };
  const deps = buildDeps(config, createSilentLogger());
  const { app } = await buildApp(deps);
  try {
    return openApiText(app);
  } finally {
    await app.close();
    await deps.bus.close();
    await Promise.all([deps.appDb.stop(), deps.platformDb.stop(), deps.relayDb.stop()]);
  }
}
