/**
 * Style as a test, for what no linter looks at. Reads the files that are committed or about to be.
 * Prints every breach as `file:line what`, and ends with 1 if there is one.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const LINES_MAX = 300;

// Built from parts, so that this file does not name them.
const hosts = [
  ["npmjs", "org"], ["npmjs", "com"], ["yarnpkg", "com"], ["pypi", "org"], ["pythonhosted", "org"], ["crates", "io"],
  ["proxy", "golang", "org"], ["maven", "org"], ["maven", "apache", "org"], ["deb", "debian", "org"],
].map((parts) => parts.join("."));

const code = /(\.(ts|js|mjs|cjs|sh)|^bin\/sojourn|^\.ci\/run)$/;

const breaches: string[] = [];
const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { encoding: "utf8", maxBuffer: 2 ** 26 });
for (const file of listed.split("\0")) {
  if (file === "" || !existsSync(file)) continue;
  const bytes = readFileSync(file);
  if (bytes.subarray(0, 8_000).includes(0)) continue;
  const lines = bytes.toString("utf8").replace(/\n$/, "").split("\n");
  if (code.test(file) && lines.length > LINES_MAX) breaches.push(`${file}:${LINES_MAX} has ${lines.length} lines; split it (at most ${LINES_MAX})`);
  for (const [index, line] of lines.entries()) {
    const at = `${file}:${index + 1}`;
    const host = hosts.find((name) => line.includes(name));
    if (host !== undefined) breaches.push(`${at} names the package registry ${host}; say which package instead`);
  }
}
for (const breach of breaches) console.error(breach);
process.exitCode = breaches.length > 0 ? 1 : 0;
