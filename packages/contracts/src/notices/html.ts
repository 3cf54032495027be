/** The HTML of a mail: one column, no pictures, nothing that is fetched, so that opening it tells nobody. */
export type Paragraph =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "link"; url: string; label: string }
  | { kind: "list"; lines: readonly string[] };

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escape = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");

const FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const STYLES = {
  body: `margin:0;padding:24px 12px;background:#f4f5f4;color:#17211b;${FONT};font-size:16px;line-height:1.5`,
  card: "max-width:560px;margin:0 auto;padding:28px 24px;background:#ffffff;border-radius:12px",
  text: "margin:0 0 16px",
  code: "margin:0 0 16px;padding:16px;background:#eef3ef;border-radius:8px;text-align:center;font-family:Menlo,Consolas,monospace;font-size:30px;font-weight:600;letter-spacing:3px",
  link: "display:inline-block;padding:12px 20px;background:#12664f;color:#ffffff;border-radius:8px;text-decoration:none;font-weight:600",
  list: "margin:0 0 16px;padding-left:20px",
  footer: "max-width:560px;margin:16px auto 0;color:#5b665f;font-size:13px",
} as const;

export function htmlOf(language: string, paragraphs: readonly Paragraph[], footer: string): string {
  return `<!doctype html>
<html lang="${language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="${STYLES.body}">
<div style="${STYLES.card}">
${paragraphs.map(paragraphOf).join("\n")}
</div>
<p style="${STYLES.footer}">${escape(footer)}</p>
</body>
</html>
`;
}

function paragraphOf(paragraph: Paragraph): string {
  switch (paragraph.kind) {
    case "text":
      return `<p style="${STYLES.text}">${escape(paragraph.text)}</p>`;
    case "code":
      return `<p style="${STYLES.code}">${escape(paragraph.text)}</p>`;
    case "link":
      return `<p style="${STYLES.text}"><a href="${escape(paragraph.url)}" style="${STYLES.link}">${escape(paragraph.label)}</a></p>`;
    case "list":
      return `<ul style="${STYLES.list}">${paragraph.lines.map((line) => `<li>${escape(line)}</li>`).join("")}</ul>`;
  }
}
