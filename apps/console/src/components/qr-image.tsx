import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { useModule } from "./use-module.ts";
import css from "./qr-image.module.css";

const QUIET_ZONE = 4;
/** of the picture itself, so that a copied or dragged one is large enough to be read */
const PIXELS_PER_MODULE = 6;

/** The encoder, fetched apart. */
export const loadEncoder = () => import("uqr");
type Encode = Awaited<ReturnType<typeof loadEncoder>>["encode"];

/** The QR as one black path on white: an image that can be dragged to another page. */
export function QrImage({ text, alt }: { text: string; alt: string }) {
  const encode = useModule(loadEncoder)?.encode;
  const source = useMemo(() => {
    // Some servers draw their QRs and do not tell what they say.
    if (text.startsWith("data:image/png;base64,")) return text;
    return encode && qrDataUrl(encode, text);
  }, [encode, text]);
  if (source === undefined) return <QrSpace>{null}</QrSpace>;
  return <img class={css.qr} src={source} alt={alt} />;
}

/** The same square, before there is a QR. */
export function QrSpace({ children }: { children: ComponentChildren }) {
  return <div class={`${css.qr} ${css.space}`}>{children}</div>;
}

function qrDataUrl(encode: Encode, text: string): string {
  const { data, size } = encode(text, { ecc: "L", boostEcc: false, border: QUIET_ZONE });
  const path = data.map((row, y) => rowPath(row, y)).join("");
  const pixels = size * PIXELS_PER_MODULE;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${pixels}" height="${pixels}"` +
    ` viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">` +
    `<path fill="#fff" d="M0 0h${size}v${size}H0z"/><path d="${path}"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** One rectangle for each run of black modules. */
function rowPath(row: boolean[], y: number): string {
  let path = "";
  let from = -1;
  for (const [x, isBlack] of [...row, false].entries()) {
    if (isBlack && from < 0) from = x;
    if (!isBlack && from >= 0) {
      path += `M${from} ${y}h${x - from}v1H${from}z`;
      from = -1;
    }
  }
  return path;
}
