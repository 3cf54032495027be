/** Writes docs/openapi.json. Needs no server: nothing is asked of the database, NATS or Redis. */
import { writeFile } from "node:fs/promises";
import { openApiDocument } from "./openapi-document.ts";

await writeFile(new URL("../../../docs/openapi.json", import.meta.url), await openApiDocument());
