/** The WPP servers of this installation. */
import { type Database, type Keyring, sealFileLink } from "@manyline/db";
import type { MediaStore } from "@manyline/media";
import type { Logger } from "@manyline/runtime";
import type { Config } from "./config.ts";
import { createFileSource } from "./files.ts";
import { FileGoneError } from "./providers/provider.ts";
import { createWppStore, WppConnect, WppPlatform, type WppParts } from "./providers/wpp/index.ts";

/** So long the platform may take to fetch a file that it was told of. */
const LINK_MS = 3_600_000;

export function wppParts(
  config: Config,
  {
    db,
    keyring,
    media,
    logger,
  }: {
    db: Database;
    keyring: Keyring;
    media: MediaStore;
    logger: Logger;
  },
): WppParts {
  const { wppUrl, wppConnectUrl, wppConnectSecret, publicUrl } = config;
  const linkOf: WppParts["linkOf"] = async ({ fence: { companyNo } }, { content }) => {
    const mediaId = content?.media?.id;
    if (mediaId === undefined) throw new FileGoneError("the message has no file");
    const until = new Date(Date.now() + LINK_MS);
    const token = await sealFileLink(db, keyring, companyNo, { mediaId, until });
    return `${bare(publicUrl ?? "")}/api/whatsapp/files/${token}`;
  };
  return {
    platform: wppUrl === undefined ? undefined : new WppPlatform({ url: wppUrl }),
    secret: config.wppSecret,
    connect:
      wppConnectUrl === undefined || wppConnectSecret === undefined
        ? undefined
        : new WppConnect({ url: wppConnectUrl, secret: wppConnectSecret }),
    webhookUrl: config.wppWebhookUrl === undefined ? undefined : bare(config.wppWebhookUrl),
    origins: wppUrl === undefined ? [] : [new URL(wppUrl).origin],
    store: createWppStore(db, keyring),
    files: createFileSource(db, media),
    linkOf: publicUrl === undefined ? undefined : linkOf,
    logger,
  };
}

const bare = (url: string): string => url.replace(/\/+$/, "");
