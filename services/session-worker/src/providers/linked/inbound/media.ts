/** The file a message announces: what a consumer is told, and what is needed to fetch it later. */
import { toNumber } from "@whiskeysockets/baileys";

/** How WhatsApp derives the keys of a file. */
export type MediaKind = "image" | "video" | "audio" | "document" | "sticker";

/** Bytes are base64. Kept sealed: whoever has this can read the file. */
export type MediaSource = {
  kind: MediaKind;
  url: string | null;
  directPath: string | null;
  mediaKey: string;
  fileEncSha256: string | null;
};

export type MediaFacts = {
  mimeType: string;
  bytes: number | null;
  sha256: string | null;
  fileName: string | null;
  seconds?: number;
  width?: number;
  height?: number;
  isAnimated?: boolean;
};

export type InboundMedia = { facts: MediaFacts; source: MediaSource };

/** What the protocol's messages with a file have in common. */
export type FileMessage = {
  url?: string | null;
  directPath?: string | null;
  mediaKey?: Uint8Array | null;
  mimetype?: string | null;
  fileLength?: Parameters<typeof toNumber>[0];
  fileSha256?: Uint8Array | null;
  fileEncSha256?: Uint8Array | null;
  fileName?: string | null;
  title?: string | null;
  seconds?: number | null;
  width?: number | null;
  height?: number | null;
  isAnimated?: boolean | null;
};

/** Null when nothing can be fetched: a photo that is shown once comes without its key. */
export function mediaOf(kind: MediaKind, file: FileMessage): InboundMedia | null {
  const { url, directPath, mediaKey } = file;
  if (!mediaKey || mediaKey.length === 0 || (!url && !directPath)) return null;
  const bytes = toNumber(file.fileLength);
  return {
    facts: {
      mimeType: file.mimetype || "application/octet-stream",
      bytes: bytes > 0 ? bytes : null,
      sha256: base64(file.fileSha256),
      fileName: file.fileName || file.title || null,
      ...positive("seconds", file.seconds),
      ...positive("width", file.width),
      ...positive("height", file.height),
      ...(file.isAnimated ? { isAnimated: true } : {}),
    },
    source: {
      kind,
      url: url || null,
      directPath: directPath || null,
      mediaKey: base64(mediaKey) ?? "",
      fileEncSha256: base64(file.fileEncSha256),
    },
  };
}

function base64(bytes: Uint8Array | null | undefined): string | null {
  return bytes && bytes.length > 0 ? Buffer.from(bytes).toString("base64") : null;
}

function positive(name: "seconds" | "width" | "height", value: number | null | undefined) {
  return typeof value === "number" && value > 0 ? { [name]: value } : {};
}
