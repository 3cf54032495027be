/** `node packages/contracts/src/write-documents.ts`: writes what is made from the contracts. */
import { writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { asyncapiDocument } from "./documents/asyncapi.ts";
import { errorsDocument, eventsDocument } from "./documents/markdown.ts";

const root = new URL("../../../", import.meta.url);
writeFileSync(new URL("docs/errors.md", root), errorsDocument());
writeFileSync(new URL("docs/events.md", root), eventsDocument());
writeFileSync(new URL("asyncapi.yaml", root), stringify(asyncapiDocument(), { lineWidth: 110 }));
