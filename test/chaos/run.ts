/** `npm run chaos [-- --kills N --seed N --sources log,webhook]`: the long version of test/chaos/*.test.ts. */
import { parseArgs } from "node:util";
import { chaos } from "./chaos.ts";
import { sources } from "./sources.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 1e9) },
    sources: { type: "string", default: "log,webhook" },
  },
});
const names = values.sources.split(",");
const unknown = names.filter((name) => !(name in sources));
if (unknown.length > 0) throw new Error(`no source ${unknown.join(", ")}; there are ${Object.keys(sources).join(", ")}`);
console.log(`chaos: ${values.kills} kills, seed ${values.seed}, sources ${names.join(", ")}`);
console.log(await chaos(Number(values.kills), Number(values.seed), names.map((name) => sources[name]!)));
