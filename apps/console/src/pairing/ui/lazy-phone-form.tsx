import { useModule } from "../../components/use-module.ts";
import type { View } from "./view.ts";

/** Fetched beside the first screen, which is mostly the QR's. */
export const loadPhoneForm = () => import("./phone-form.tsx");

export function PhoneForm({ view }: { view: View }) {
  const module = useModule(loadPhoneForm);
  return module ? <module.PhoneForm view={view} /> : null;
}
