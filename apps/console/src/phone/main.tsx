/** The simulated phone's start. */
import { render } from "preact";
import { PhoneApp } from "./ui/phone-app.tsx";

const root = document.getElementById("app");
if (root) render(<PhoneApp />, root);
