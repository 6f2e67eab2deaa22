import { logSource } from "./log_source.ts";
import type { MakeSource } from "./source.ts";
import { webhookSource } from "./webhook_source.ts";

/** Every source that `npm run chaos -- --sources` knows. */
export const sources: Readonly<Record<string, MakeSource>> = { log: logSource, webhook: webhookSource };
