import { cli } from "./cli/cli.ts";
import { components } from "./components.ts";

process.exitCode = await cli(process.argv.slice(2), components);
