export * from "./whatsapp/index.ts";
