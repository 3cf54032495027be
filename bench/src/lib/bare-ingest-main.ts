/**
 * What a webhook costs at least: Fastify, the bytes of the body, its HMAC; with DATABASE_URL one committed insert of
 * those bytes besides.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import Fastify from "fastify";
import { Pool } from "pg";

const { PORT, SECRET = "", DATABASE_URL, POOL } = process.env;
const pool = DATABASE_URL
  ? new Pool({ connectionString: DATABASE_URL, max: Number(POOL) })
  : undefined;
const app = Fastify({ bodyLimit: 4 * 1024 * 1024 });
app.removeAllContentTypeParsers();
app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => {
  done(null, body);
});
app.get("/health", () => ({ ok: true }));
app.post("/webhooks/meta", async (request, reply) => {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const header = String(request.headers["x-hub-signature-256"]);
  const own = Buffer.from(`sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`);
  const given = Buffer.from(header);
  if (own.length !== given.length || !timingSafeEqual(own, given)) return reply.code(401).send();
  if (pool) {
    const query = { name: "keep", text: "insert into bench_webhooks (body) values ($1)" };
    await pool.query({ ...query, values: [body] });
  }
  return { success: true };
});
await app.listen({ port: Number(PORT), host: "127.0.0.1" });
