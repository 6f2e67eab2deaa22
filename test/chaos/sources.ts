import { kafkaSource } from "./kafka_source.ts";
import { logSource } from "./log_source.ts";
import { mariadbSource } from "./mariadb_source.ts";
import { postgresSource } from "./postgres_source.ts";
import type { MakeSource } from "./source.ts";
import { sqlPollSource } from "./sql_poll_source.ts";
import { webhookSource } from "./webhook_source.ts";

/** Every source that `npm run chaos -- --sources` knows. */
export const sources: Readonly<Record<string, MakeSource>> = {
  kafka: kafkaSource, log: logSource, mariadb: mariadbSource, postgres: postgresSource(15), postgres18: postgresSource(18),
  sql_poll: sqlPollSource, webhook: webhookSource,
};
