import { isIP } from "node:net";
import { ConfigError, messageOf } from "./errors.ts";
import { secretIn } from "./secret_file.ts";
import { tlsOptions, tlsSchema, type TlsConfig, type TlsOptions } from "./tls.ts";

const PORT_DEFAULT = 9_092;

/** Keys of whatever speaks to Kafka: spread into the component's `properties`. */
export const kafkaClientProperties = {
  brokers: {
    type: "array", minItems: 1, maxItems: 100, items: { type: "string", minLength: 1 },
    description: "Brokers to ask first, as host:port (9092 without port); one entry may hold several, separated by commas.",
  },
  client_id: {
    type: "string", pattern: "^\\S+$", maxLength: 200, default: "sojourn", description: "What brokers call this client in their logs and quotas.",
  },
  sasl: {
    type: "object", additionalProperties: false, required: ["mechanism"],
    description: "How to authenticate. Files are read again for each connection, so that a rotated secret is used at the next.",
    properties: {
      mechanism: { enum: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], description: "SASL mechanism." },
      username: { type: "string", minLength: 1, description: "User name, for PLAIN and SCRAM." },
      password: { type: "string", minLength: 1, writeOnly: true, description: "Password, for PLAIN and SCRAM." },
      password_file: { type: "string", minLength: 1, description: "File that holds the password." },
      token: { type: "string", minLength: 1, writeOnly: true, description: "Token, for OAUTHBEARER." },
      token_file: { type: "string", minLength: 1, description: "File that holds the token; something else renews it." },
    },
  },
  tls: tlsSchema,
} as const;

/** `sasl` as configured. */
export interface KafkaSaslConfig {
  readonly mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly password_file?: string | undefined;
  readonly token?: string | undefined;
  readonly token_file?: string | undefined;
}

/** What `kafkaClientProperties` configure. */
export interface KafkaClientConfig {
  readonly brokers: readonly string[];
  readonly client_id: string;
  readonly sasl?: KafkaSaslConfig | undefined;
  readonly tls?: TlsConfig | undefined;
}

/** What a client of @platformatic/kafka takes; its own retries, timeouts and the like come beside. */
export interface KafkaClientOptions {
  readonly clientId: string;
  readonly bootstrapBrokers: { host: string; port: number }[];
  readonly sasl?: {
    readonly mechanism: KafkaSaslConfig["mechanism"];
    readonly username?: string;
    readonly password?: () => Promise<string>;
    readonly token?: () => Promise<string>;
  };
  readonly tls?: TlsOptions;
  readonly tlsServerName?: string | boolean;
}

/** Throws `ConfigError` where the keys say too much, too little or nonsense. For `create`. */
export function checkKafkaClient({ brokers, sasl }: KafkaClientConfig): void {
  brokers.forEach((entry, n) => {
    for (const text of entry.split(",")) {
      if (addressOf(text) === undefined) throw new ConfigError(`/brokers/${n}`, `must be host:port, not ${JSON.stringify(text.slice(0, 100))}`);
    }
  });
  if (sasl === undefined) return;
  const { mechanism, username, password, password_file, token, token_file } = sasl;
  if (mechanism === "OAUTHBEARER") {
    if ((token === undefined) === (token_file === undefined)) throw new ConfigError("/sasl", "OAUTHBEARER needs either token or token_file");
    if (username !== undefined || password !== undefined || password_file !== undefined) throw new ConfigError("/sasl", "OAUTHBEARER takes no username and password");
    return;
  }
  if (username === undefined) throw new ConfigError("/sasl", `${mechanism} needs username`);
  if ((password === undefined) === (password_file === undefined)) throw new ConfigError("/sasl", `${mechanism} needs either password or password_file`);
  if (token !== undefined || token_file !== undefined) throw new ConfigError("/sasl", `${mechanism} takes no token`);
}

/** For each new client, since the files of `tls` are read here. Rejects with the path of one that cannot be read. */
export async function kafkaClientOptions({ brokers, client_id, sasl, tls }: KafkaClientConfig): Promise<KafkaClientOptions> {
  const addresses = brokers.flatMap((entry) => entry.split(",")).map((text) => addressOf(text)!);
  // Who serves many clusters behind one address tells them apart by the name asked for; an IP address is none (RFC 6066 §3).
  const serverName = tls?.server_name ?? addresses.some(({ host }) => isIP(host) === 0);
  return {
    clientId: client_id,
    bootstrapBrokers: addresses,
    ...(sasl === undefined ? {} : { sasl: saslOptions(sasl) }),
    ...(tls === undefined ? {} : { tls: await tlsOptions(tls), tlsServerName: serverName }),
  };
}

function saslOptions({ mechanism, username, password, password_file, token, token_file }: KafkaSaslConfig): NonNullable<KafkaClientOptions["sasl"]> {
  if (mechanism === "OAUTHBEARER") return { mechanism, token: async () => token?.trim() ?? await secretIn(token_file!) };
  return { mechanism, username: username!, password: async () => password ?? await secretIn(password_file!) };
}

/** host, host:port, [v6]:port. */
function addressOf(text: string): { host: string; port: number } | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]@]+))(?::(\d{1,5}))?$/.exec(text.trim());
  if (found === null) return undefined;
  const port = found[3] === undefined ? PORT_DEFAULT : Number(found[3]);
  return port >= 1 && port <= 65_535 ? { host: (found[1] ?? found[2])!, port } : undefined;
}

/** What went wrong, out of the client's nested errors. */
export interface KafkaFailure {
  /** One bounded line: the last thing that failed, and why. */
  readonly message: string;
  /** What brokers answered, as the protocol names it: UNKNOWN_TOPIC_OR_PARTITION, MESSAGE_TOO_LARGE, … https://kafka.apache.org/protocol#protocol_error_codes */
  readonly codes: ReadonlySet<string>;
  /** The broker knows who we are not: user, password, token or certificate. */
  readonly authentication: boolean;
}

const ERRORS_SEEN_MAX = 1_000;

/** Reads what a client of @platformatic/kafka threw: retries nest lists of errors, of which the last says how it is now. */
export function kafkaFailure(error: unknown): KafkaFailure {
  const codes = new Set<string>();
  let authentication = false;
  const open: unknown[] = [error];
  for (let seen = 0; open.length > 0 && seen < ERRORS_SEEN_MAX; seen++) {
    const one = open.pop();
    if (!(one instanceof Error)) continue;
    const { apiId, code, errors } = one as { apiId?: unknown; code?: unknown; errors?: unknown };
    if (typeof apiId === "string") codes.add(apiId);
    authentication ||= code === "PLT_KFK_AUTHENTICATION" || apiId === "SASL_AUTHENTICATION_FAILED";
    if (Array.isArray(errors)) open.push(...(errors.slice(-ERRORS_SEEN_MAX) as unknown[]));
    open.push(one.cause);
  }
  let last = error;
  for (let depth = 0; depth < 10; depth++) {
    const { errors } = last as { errors?: unknown };
    if (!Array.isArray(errors) || errors.length === 0) break;
    last = errors.at(-1);
  }
  const { serverErrorMessage } = last as { serverErrorMessage?: unknown };
  const message = messageOf(last);
  return { codes, authentication, message: typeof serverErrorMessage === "string" ? `${message} (${serverErrorMessage.slice(0, 300)})` : message };
}

/** As much of a connection of @platformatic/kafka, and of the pool of a client (`client.connections`), as is needed here. */
interface PooledConnection {
  readonly socket: { destroy(): unknown } | undefined;
  on(event: "close" | "error", listener: () => void): unknown;
}
interface ConnectionPool {
  on(event: "connecting", listener: (made: { readonly connection: PooledConnection }) => void): unknown;
}

/**
 * Call once for each client that has a pool, right after it was made. The pool listens to the first error of a connection alone: a second
 * one (a login refused, then a reset) would be uncaught and end the whole agent. Gives what cuts all connections at once, also
 * those whose peer takes nothing: the client's own `close` waits for it.
 */
export function guardConnections(pool: ConnectionPool): () => void {
  const open = new Set<PooledConnection>();
  pool.on("connecting", ({ connection }) => {
    open.add(connection);
    connection.on("close", () => void open.delete(connection));
    connection.on("error", () => {
      open.delete(connection);
      connection.socket?.destroy();
    });
  });
  return () => {
    for (const { socket } of open) socket?.destroy();
  };
}
