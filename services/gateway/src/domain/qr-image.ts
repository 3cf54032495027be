import { crc32, deflateSync } from "node:zlib";
import { encode } from "uqr";

/** Error correction L, quiet zone of 4 modules: what phones read best at this length of text. */
const OPTIONS = { ecc: "L", boostEcc: false, border: 4 } as const;

/** The QR as a square of modules, true is black, with its quiet zone. */
export function qrModules(text: string): boolean[][] {
  return encode(text, OPTIONS).data;
}

/** The picture itself, where a WPP server draws its QRs and does not tell what they say. */
function pictureIn(qr: string): { type: string; base64: string } | undefined {
  const [, type, base64] = /^data:(image\/[a-z+.-]+);base64,([A-Za-z0-9+/=\s]+)$/i.exec(qr) ?? [];
  return type === undefined || base64 === undefined ? undefined : { type, base64 };
}

/** One path, black on white in every theme. */
export function qrSvg(text: string): string {
  const picture = pictureIn(text);
  if (picture) {
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" width="400" height="400">` +
      `<image width="1" height="1" href="data:${picture.type};base64,${picture.base64.replaceAll(/\s/g, "")}"/></svg>`
    );
  }
  const modules = qrModules(text);
  const size = modules.length;
  const path = modules.flatMap((row, y) =>
    rowRuns(row).map(([x, n]) => `M${x} ${y}h${n}v1h-${n}z`),
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" ` +
    `width="${size * PIXELS_PER_MODULE}" height="${size * PIXELS_PER_MODULE}" shape-rendering="crispEdges">` +
    `<path fill="#fff" d="M0 0h${size}v${size}H0z"/><path fill="#000" d="${path.join("")}"/></svg>`
  );
}

const PIXELS_PER_MODULE = 8;
const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A greyscale PNG of one bit a pixel, 8 pixels a module. */
export function qrPng(text: string): Buffer {
  const picture = pictureIn(text);
  if (picture) return Buffer.from(picture.base64, "base64");
  const modules = qrModules(text);
  const width = modules.length * PIXELS_PER_MODULE;
  // With 8 pixels a module and 8 pixels a byte, a module is exactly one byte: 0xff white, 0 black.
  const rows = modules.flatMap((row) => {
    // Each line starts with its filter type, 0: none.
    const line = Buffer.from([0, ...row.map((isBlack) => (isBlack ? 0 : 0xff))]);
    return Array.from({ length: PIXELS_PER_MODULE }, () => line);
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(width, 4);
  header[8] = 1;
  return Buffer.concat([
    PNG_SIGNATURE,
    pngChunk("IHDR", header),
    pngChunk("IDAT", deflateSync(Buffer.concat(rows))),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

/** Where black runs start in a row, and how long they are. */
function rowRuns(row: readonly boolean[]): [start: number, length: number][] {
  const runs: [number, number][] = [];
  row.forEach((isBlack, x) => {
    const last = runs.at(-1);
    if (!isBlack) return;
    if (last && last[0] + last[1] === x) last[1] += 1;
    else runs.push([x, 1]);
  });
  return runs;
}
