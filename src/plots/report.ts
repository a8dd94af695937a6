/** A page in one file: headings, sentences, tables, charts and text samples; nothing is loaded from elsewhere. */
import { escapeMarkup } from "./svg.ts";

export type ReportPart =
  | { readonly kind: "heading"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  /** SVG elements, side by side where there is room. */
  | { readonly kind: "charts"; readonly svg: readonly string[] }
  /** The first column is aligned left, the others right. */
  | { readonly kind: "table"; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }
  | { readonly kind: "sample"; readonly title: string; readonly text: string };

const STYLE = `:root{color-scheme:light dark;--ink:#1f2328;--faint:#59636e;--line:#d8dee4;--paper:#fff;--box:#f6f8fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#9198a1;--line:#30363d;--paper:#0d1117;--box:#161b22}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1340px;margin:2rem auto;padding:0 1.25rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{max-width:75ch;margin:.5rem 0}
.charts{display:flex;flex-wrap:wrap;gap:1.5rem 2rem;margin:1rem 0}.charts>figure{margin:0;max-width:100%}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left;padding-right:2rem;white-space:pre}
th{color:var(--faint);font-weight:600}pre{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.75rem 1rem;white-space:pre-wrap;overflow-wrap:anywhere;max-width:90ch}
footer{color:var(--faint);margin-top:2.5rem;font-size:.85rem}`;

export function htmlReport(title: string, parts: readonly ReportPart[], footer: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeMarkup(title)}</h1>
${parts.map(html).join("\n")}
<footer>${escapeMarkup(footer)}</footer>
</body>
</html>
`;
}

function html(part: ReportPart): string {
  switch (part.kind) {
    case "heading":
      return `<h2>${escapeMarkup(part.text)}</h2>`;
    case "text":
      return `<p>${escapeMarkup(part.text)}</p>`;
    case "charts":
      return `<div class="charts">${part.svg.map((chart) => `<figure>${chart}</figure>`).join("\n")}</div>`;
    case "sample":
      return `<h2>${escapeMarkup(part.title)}</h2>\n<pre>${escapeMarkup(part.text)}</pre>`;
    case "table": {
      const row = (cells: readonly string[], tag: string) =>
        `<tr>${cells.map((cell) => `<${tag}>${escapeMarkup(cell)}</${tag}>`).join("")}</tr>`;
      return `<div class="scroll"><table><thead>${row(part.head, "th")}</thead><tbody>${part.rows.map((cells) => row(cells, "td")).join("")}</tbody></table></div>`;
    }
  }
}
