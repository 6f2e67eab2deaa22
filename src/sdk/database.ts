import { ConfigError } from "./errors.ts";
import { percentDecoded } from "./http_message.ts";
import { secretIn } from "./secret_file.ts";
import { tlsOptions, tlsSchema, type TlsConfig, type TlsOptions } from "./tls.ts";

/** Keys that say where a server of a database is, for every component that asks one. */
export const databaseSchema = {
  url: {
    type: "string", minLength: 1, writeOnly: true,
    description: "`postgres://user@host:5432/database`, or `mysql://…` for MySQL and MariaDB. May hold the password, percent-encoded; a file keeps it out of the configuration.",
  },
  password_file: { type: "string", minLength: 1, description: "File that holds the password. Read again for every connection." },
  tls: tlsSchema,
} as const;

export type DatabaseKind = "postgres" | "mysql" | "sqlite";

/** A database's URL, taken apart. */
export interface Database {
  readonly kind: DatabaseKind;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** As the URL has it; `password_file` wins. */
  readonly password: string | undefined;
  /** Name of the database; for sqlite the file's path. */
  readonly database: string;
  /** For messages and logs: no credentials. */
  readonly label: string;
}

const KINDS: Readonly<Record<string, DatabaseKind>> = {
  "postgres:": "postgres", "postgresql:": "postgres", "mysql:": "mysql", "mariadb:": "mysql", "sqlite:": "sqlite", "file:": "sqlite",
};
const PORTS: Readonly<Record<DatabaseKind, number>> = { postgres: 5_432, mysql: 3_306, sqlite: 0 };

/**
 * Takes a URL apart. sqlite: `sqlite:/var/lib/shop.db` (absolute) or `sqlite:shop.db` (relative to the working directory).
 * Throws `ConfigError` at `/url`, without repeating it: it may hold a password.
 */
export function parseDatabaseUrl(url: string, kinds: readonly DatabaseKind[]): Database {
  const wrong = (what: string): ConfigError => new ConfigError("/url", what);
  const scheme = /^([a-z]+:)/i.exec(url)?.[1]?.toLowerCase() ?? "";
  const kind = KINDS[scheme];
  if (kind === undefined || !kinds.includes(kind)) {
    const allowed = Object.entries(KINDS).filter(([name, one]) => kinds.includes(one) && name !== "file:").map(([name]) => name);
    throw wrong(`does not begin with one of ${allowed.join(", ")}`);
  }
  if (kind === "sqlite") {
    const path = percentDecoded(url.slice(scheme.length).replace(/^\/\/(?=\/|[^/])/, ""));
    if (path === "" || path.includes("\0")) throw wrong("names no file");
    return { kind, host: "", port: 0, user: "", password: undefined, database: path, label: `sqlite:${path}` };
  }
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hostname === "") throw wrong("is no URL with a host");
  if (parsed.search !== "" || parsed.hash !== "") throw wrong("has parameters after the database; use the keys beside it (`tls`, …)");
  const database = percentDecoded(parsed.pathname.slice(1));
  if (database === "" || database.includes("/")) throw wrong("names no database after the host");
  const host = parsed.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = parsed.port === "" ? PORTS[kind] : Number(parsed.port);
  if (parsed.username === "") throw wrong("names no user before the host");
  return {
    kind, host, port, database,
    user: percentDecoded(parsed.username),
    password: parsed.password === "" ? undefined : percentDecoded(parsed.password),
    label: `${kind}://${parsed.host}/${database}`,
  };
}

/** What a client needs beside the address. Read for every connection, so that rotated files are taken up. */
export interface DatabaseSecrets {
  readonly password: string | undefined;
  readonly tls: TlsOptions | undefined;
}

/** Rejects with the path, never the content, of a file that cannot be read. */
export async function databaseSecrets(
  { password }: Database,
  { password_file: file, tls }: { readonly password_file?: string | undefined; readonly tls?: TlsConfig | undefined },
): Promise<DatabaseSecrets> {
  return {
    password: file === undefined ? password : await secretIn(file),
    tls: tls === undefined ? undefined : await tlsOptions(tls),
  };
}
