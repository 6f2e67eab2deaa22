import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";

// In a clone, where sources run as they are, what was compiled once is kept beside them; elsewhere Node.js decides.
const root = join(import.meta.dirname, "..");
if (existsSync(join(root, "tsconfig.json"))) enableCompileCache(join(root, ".cache", "compile"));

const { cli } = await import("./cli/cli.ts");
const { components } = await import("./components.ts");

process.exitCode = await cli(process.argv.slice(2), components);
