export type QrFormat = "json" | "png" | "svg";

/** What an Accept header asks for: the picture that is named first, else JSON. */
export function qrFormat(accept: string | undefined): QrFormat {
  const types = (accept ?? "").split(",").map((part) => part.split(";")[0]?.trim().toLowerCase());
  for (const type of types) {
    if (type === "application/json") return "json";
    if (type === "image/svg+xml") return "svg";
    if (type === "image/png" || type === "image/*") return "png";
  }
  return "json";
}
