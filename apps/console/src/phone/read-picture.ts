/** Reads the QR of a picture. The decoder is fetched when the first picture comes. */

/** Sides a picture is drawn at, until one can be read. */
const SIDES = [640, 1_024, 400];

/** @returns the text of the QR, or undefined if none can be read */
export async function readPicture(dataUrl: string): Promise<string | undefined> {
  const [{ default: decodeQr }, picture] = await Promise.all([
    import("qr/decode.js"),
    loadPicture(dataUrl),
  ]);
  for (const side of SIDES) {
    const image = draw(picture, side);
    try {
      return decodeQr(image);
    } catch {
      // Another size may be readable.
    }
  }
  return undefined;
}

/** A file as a data URL: the page's policy lets pictures come from nowhere else. */
export function fileToDataUrl(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () =>
      resolve(typeof reader.result === "string" ? reader.result : ""),
    );
    reader.addEventListener("error", () => reject(new Error("The file cannot be read.")));
    reader.readAsDataURL(file);
  });
}

async function loadPicture(dataUrl: string): Promise<HTMLImageElement> {
  const picture = new Image();
  picture.src = dataUrl;
  await picture.decode();
  return picture;
}

function draw(picture: HTMLImageElement, longest: number): ImageData {
  const scale = longest / Math.max(picture.naturalWidth, picture.naturalHeight, 1);
  const width = Math.max(1, Math.round(picture.naturalWidth * scale));
  const height = Math.max(1, Math.round(picture.naturalHeight * scale));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser cannot draw.");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
