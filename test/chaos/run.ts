/** `npm run chaos [-- --kills N --seed N]`: the long version of test/chaos/chaos.test.ts. */
import { parseArgs } from "node:util";
import { chaos } from "./chaos.ts";

const { values } = parseArgs({ options: { kills: { type: "string", default: "50" }, seed: { type: "string", default: String(Date.now() % 1e9) } } });
console.log(`chaos: ${values.kills} kills, seed ${values.seed}`);
console.log(await chaos(Number(values.kills), Number(values.seed)));
