import type { Place } from "../../config/model.ts";

/** One test as it went. */
export interface Result {
  readonly name: string;
  /** Where it is written. */
  readonly place: Place;
  readonly tookMs: number;
  /** What failed: the headline, then all there is to say. */
  readonly failure?: { readonly message: string; readonly lines: readonly string[] } | undefined;
}

// What XML 1.0 has no way to write, not even as a character reference: https://www.w3.org/TR/xml/#charsets
// oxlint-disable-next-line no-control-regex
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;
const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;" };

const plain = (text: string): string => text.toWellFormed().replace(UNWRITABLE, "\ufffd");
const text = (value: string): string => plain(value).replace(/[&<>\r]/g, (c) => ENTITIES[c]!);

function attributes(map: Readonly<Record<string, string | number>>): string {
  return Object.entries(map).map(([name, value]) => ` ${name}="${plain(String(value)).replace(/[&<>"\t\n\r]/g, (c) => ENTITIES[c]!)}"`).join("");
}

const seconds = (ms: number): string => (ms / 1_000).toFixed(3);

function counts(results: readonly Result[]): Record<string, string | number> {
  return {
    tests: results.length,
    failures: results.filter(({ failure }) => failure !== undefined).length,
    errors: 0,
    skipped: 0,
    time: seconds(results.reduce((sum, { tookMs }) => sum + tookMs, 0)),
  };
}

/**
 * JUnit XML as CI systems read it: a suite for each file, a case for each test.
 * https://github.com/testmoapp/junitxml
 */
export function junitXml(results: readonly Result[]): string {
  const files = Map.groupBy(results, ({ place }) => place.file);
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuites${attributes({ name: "sojourn test", ...counts(results) })}>`,
    ...[...files].flatMap(([file, own]) => [`  <testsuite${attributes({ name: file, file, ...counts(own) })}>`, ...own.flatMap(testcase), "  </testsuite>"]),
    "</testsuites>",
    "",
  ].join("\n");
}

function testcase({ name, place, tookMs, failure }: Result): string[] {
  const head = `    <testcase${attributes({ name, classname: place.file, file: place.file, line: place.line, time: seconds(tookMs) })}`;
  if (failure === undefined) return [`${head}/>`];
  const { message, lines } = failure;
  return [`${head}>`, `      <failure${attributes({ message, type: "failure" })}>${text([message, ...lines].join("\n"))}</failure>`, "    </testcase>"];
}
