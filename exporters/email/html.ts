import { printable } from "../../src/sdk/alert_text.ts";
import type { Page, Section } from "./message.ts";

const RED = "#c0392b";
const GREEN = "#1e8449";
const CELL = "padding:1px 12px 1px 0;vertical-align:top";

/** The page for those who read HTML: no script, no picture, nothing from elsewhere; all that comes from outside is escaped. */
export function htmlOf({ title, note, sections, hidden, footer }: Page): string {
  const color = sections.every(({ resolved }) => resolved) ? GREEN : RED;
  return [
    `<!DOCTYPE html><html><head><meta charset="utf-8"><title>${escaped(title)}</title></head>`,
    `<body style="font-family:sans-serif;font-size:14px;color:#222">`,
    `<h2 style="color:${color};font-size:18px;margin:0 0 12px">${escaped(title)}</h2>`,
    ...(note === undefined ? [] : [`<p><strong>${escaped(note)}</strong></p>`]),
    ...sections.map(sectionHtml),
    ...(hidden > 0 ? [`<p>+${hidden} more</p>`] : []),
    `<p style="color:#777;font-size:12px">${escaped(footer)}</p>`,
    `</body></html>`,
  ].join("\n");
}

function sectionHtml({ resolved, heading, summary, description, facts, links, body }: Section): string {
  const lines = description.split(/\r?\n/).filter((line) => line !== "").map((line) => escaped(printable(line)));
  const rows = [...facts, ...(body === "" ? [] : [{ name: "observation", text: body }])];
  return [
    `<div style="border-left:4px solid ${resolved ? GREEN : RED};padding-left:12px;margin:0 0 18px">`,
    `<p style="margin:0"><strong>${escaped(heading)}</strong><br>${escaped(summary)}</p>`,
    ...(lines.length === 0 ? [] : [`<p style="margin:6px 0 0">${lines.join("<br>")}</p>`]),
    `<table style="border-collapse:collapse;font-size:13px;margin:6px 0">`,
    ...rows.map(({ name, text }) => `<tr><td style="${CELL};color:#777">${escaped(name)}</td><td style="${CELL}">${escaped(text)}</td></tr>`),
    `</table>`,
    ...(links.length === 0 ? [] : [`<p style="margin:0">${links.map(({ title, url }) => `<a href="${escaped(url)}">${escaped(title)}</a>`).join(" · ")}</p>`]),
    `</div>`,
  ].join("\n");
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text that is no markup, in an element or a quoted attribute. */
export function escaped(text: string): string {
  return text.toWellFormed().replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
