import { useEffect, useId, useRef } from "preact/hooks";
import { Button } from "./button.tsx";
import css from "./dialog.module.css";

/** A native dialog with two answers. The safe one comes first, has the focus and is ink; Esc gives it too. */
export function Dialog(props: {
  title: string;
  body: string;
  safe: string;
  other: string;
  onSafe: () => void;
  onOther: () => void;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    // The browser gives the focus back to where it was.
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      class={css.dialog}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        props.onSafe();
      }}
    >
      <h2 id={titleId}>{props.title}</h2>
      <p>{props.body}</p>
      <div class={css.actions}>
        <Button kind="main" onClick={props.onSafe} autoFocus>
          {props.safe}
        </Button>
        <Button onClick={props.onOther}>{props.other}</Button>
      </div>
    </dialog>
  );
}
