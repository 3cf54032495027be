/** What a person drops or pastes onto the camera. Pure but for reading the transfer. */

/** A picture to be read, or the link text itself. */
export type Shown =
  | { kind: "picture"; file: Blob }
  | { kind: "data-url"; url: string }
  | { kind: "text"; text: string };

/** Finds the picture or text in a drop or paste; undefined: neither. */
export function shownIn(transfer: DataTransfer | null): Shown | undefined {
  if (!transfer) return undefined;
  const dragged =
    pictureAddress(transfer.getData("text/html")) ?? transfer.getData("text/uri-list");
  if (isPictureUrl(dragged)) return { kind: "data-url", url: dragged.trim() };
  const file = [...transfer.files].find(({ type }) => type.startsWith("image/"));
  if (file) return { kind: "picture", file };
  return shownInText(transfer.getData("text/plain"));
}

/** Text that was pasted: the picture's address, or what the QR says. */
export function shownInText(text: string): Shown | undefined {
  const plain = text.trim();
  if (plain === "") return undefined;
  if (isPictureUrl(plain)) return { kind: "data-url", url: plain };
  return { kind: "text", text: plain };
}

/** The first picture of a piece of HTML, as browsers put it beside a dragged image. */
export function pictureAddress(html: string): string | undefined {
  const found = /<img\b[^>]*?\ssrc=(?:"([^"]*)"|'([^']*)')/i.exec(html);
  return (found?.[1] ?? found?.[2])?.replaceAll("&amp;", "&").replaceAll("&quot;", '"');
}

function isPictureUrl(text: string): boolean {
  return /^data:image\//i.test(text.trim());
}
