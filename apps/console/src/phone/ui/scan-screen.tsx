import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../components/button.tsx";
import { Notice } from "../../components/notice.tsx";
import { scanQr } from "../api.ts";
import { fileToDataUrl, readPicture } from "../read-picture.ts";
import { shownIn, shownInText, type Shown } from "../transfer.ts";
import { useLinking } from "./linking.ts";
import { PhoneScreen, type ScreenProps } from "./screen-parts.tsx";
import css from "./phone-app.module.css";

/** The camera: a QR is dropped, pasted or chosen as a picture, or pasted as its text. */
export function ScanScreen(props: ScreenProps) {
  const { phone, go } = props;
  const { isBusy, error, fail, run } = useLinking(props, "on-scan");
  const [isOver, setOver] = useState(false);
  const file = useRef<HTMLInputElement>(null);

  async function look(shown: Shown | undefined): Promise<void> {
    if (isBusy) return;
    const text = shown && (await textOf(shown));
    if (text === undefined) fail("There is no QR code in this that can be read.");
    else await run(() => scanQr(phone.msisdn, text));
  }

  const onPaste = useRef(look);
  onPaste.current = look;
  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      event.preventDefault();
      void onPaste.current(shownIn(event.clipboardData));
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  }, []);

  async function pasteByButton(): Promise<void> {
    const shown = await clipboardContent();
    if (shown === "denied")
      fail("The browser does not let the page read it. Press Ctrl+V instead.");
    else await look(shown);
  }

  return (
    <PhoneScreen title="Scan a QR code" onBack={() => go("devices")}>
      <div
        class={`${css.view} ${isOver ? css.over : ""}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void look(shownIn(event.dataTransfer));
        }}
      >
        <p>
          {isBusy
            ? "Linking…"
            : "Drag the QR code from the pairing page and drop it here, or copy it and paste it"}
        </p>
      </div>
      {error && <Notice tone="error">{error}</Notice>}
      <div class={css.choices}>
        <Button isBusy={isBusy} onClick={() => void pasteByButton()}>
          Paste a picture or the link text
        </Button>
        <Button isBusy={isBusy} onClick={() => file.current?.click()}>
          Choose a picture
        </Button>
        <input
          ref={file}
          type="file"
          accept="image/*"
          hidden
          aria-label="Picture of a QR code"
          onChange={(event) => {
            const [picture] = event.currentTarget.files ?? [];
            event.currentTarget.value = "";
            if (picture) void look({ kind: "picture", file: picture });
          }}
        />
        <Button kind="bare" onClick={() => go("code")}>
          Link with phone number instead
        </Button>
      </div>
    </PhoneScreen>
  );
}

async function textOf(shown: Shown): Promise<string | undefined> {
  try {
    if (shown.kind === "text") return shown.text;
    const url = shown.kind === "data-url" ? shown.url : await fileToDataUrl(shown.file);
    return await readPicture(url);
  } catch {
    return undefined;
  }
}

async function clipboardContent(): Promise<Shown | "denied" | undefined> {
  try {
    for (const item of await navigator.clipboard.read()) {
      const picture = item.types.find((type) => type.startsWith("image/"));
      if (picture) return { kind: "picture", file: await item.getType(picture) };
      if (item.types.includes("text/plain")) {
        return shownInText(await (await item.getType("text/plain")).text());
      }
    }
    return undefined;
  } catch {
    return "denied";
  }
}
