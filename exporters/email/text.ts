import { printable } from "../../src/sdk/alert_text.ts";
import type { Page, Section } from "./message.ts";

/** The page for those who read plain text. */
export function textOf({ title, note, sections, hidden, footer }: Page): string {
  const parts = [
    title,
    ...(note === undefined ? [] : [note]),
    ...sections.map(sectionText),
    ...(hidden > 0 ? [`+${hidden} more`] : []),
    `-- \n${footer}`,
  ];
  return `${parts.join("\n\n")}\n`;
}

function sectionText({ heading, summary, description, facts, links, body }: Section): string {
  return [
    heading,
    summary,
    ...description.split(/\r?\n/).filter((line) => line !== "").map(printable),
    ...facts.map(({ name, text }) => `  ${name}: ${text}`),
    ...links.map(({ title, url }) => `  ${title}: ${url}`),
    ...(body === "" ? [] : [`  observation: ${body}`]),
  ].join("\n");
}
