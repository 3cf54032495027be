/** What the first bytes of a file say it is. Pure. */

/** As many bytes as are looked at. */
export const SNIFFED_BYTES = 12;

const FTYP: readonly [RegExp, string][] = [
  [/^3g/, "video/3gpp"],
  [/^qt/, "video/quicktime"],
  [/^M4A/, "audio/mp4"],
  [/^(isom|iso[2-9]|mp4|avc1|M4V|dash|MSNV|f4v)/i, "video/mp4"],
];

/** The type of a kind of file that WhatsApp shows; undefined for everything else, a document for instance. */
export function sniff(head: Uint8Array): string | undefined {
  const text = Buffer.from(head.subarray(0, SNIFFED_BYTES)).toString("latin1");
  if (text.startsWith("\xff\xd8\xff")) return "image/jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (text.startsWith("GIF8")) return "image/gif";
  if (text.startsWith("OggS")) return "audio/ogg";
  if (text.startsWith("#!AMR")) return "audio/amr";
  if (text.startsWith("ID3")) return "audio/mpeg";
  if (text.startsWith("%PDF-")) return "application/pdf";
  if (text.startsWith("RIFF")) {
    const form = text.slice(8, 12);
    return form === "WEBP" ? "image/webp" : form === "WAVE" ? "audio/wav" : undefined;
  }
  if (text.slice(4, 8) === "ftyp") {
    const brand = text.slice(8, 12);
    return FTYP.find(([pattern]) => pattern.test(brand))?.[1];
  }
  const [first = 0, second = 0] = head;
  // A frame of MPEG audio: eleven bits set, then version and layer. Layer 0 is AAC in ADTS.
  if (first === 0xff && (second & 0xe0) === 0xe0) {
    if ((second & 0x06) === 0) return (second & 0xf0) === 0xf0 ? "audio/aac" : undefined;
    return "audio/mpeg";
  }
  return undefined;
}

/** `Image/JPEG; charset=x` → `image/jpeg`; undefined for what is no media type. */
export function plainType(contentType: string | undefined): string | undefined {
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  return type !== undefined && /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/.test(type)
    ? type
    : undefined;
}
