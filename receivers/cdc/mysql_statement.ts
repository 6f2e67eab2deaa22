/*
 * With row events the binlog still has statements: the ends of transactions, savepoints, and whatever changes tables as a
 * whole. Only those few are told apart; nothing here understands SQL.
 */

/** A statement of the binlog, as far as it matters. */
export type Statement =
  | { readonly kind: "begin" | "commit" | "rollback" | "ddl" | "rows" | "other" }
  | { readonly kind: "savepoint" | "rollback_to"; readonly name: string }
  /** Two-phase commit; `name` is the transaction's. */
  | { readonly kind: "xa_names" | "xa_commit" | "xa_rollback"; readonly name: string }
  | { readonly kind: "truncate"; readonly database: string | undefined; readonly table: string };

const TEXT_CHARS_MAX = 4_096;
const NAME = "(?:`((?:[^`]|``)+)`|([^\\s`.;(,/]+))";
const TRUNCATE = new RegExp(`^truncate\\s*(?:\\s|(?=\`))(?:table\\s*(?:\\s|(?=\`)))?${NAME}(?:\\s*\\.\\s*${NAME})?`, "i");
const SAVEPOINT = new RegExp(`^savepoint\\s+${NAME}`, "i");
const ROLLBACK_TO = new RegExp(`^rollback\\s+(?:work\\s+)?to\\s+(?:savepoint\\s+)?${NAME}`, "i");

const XA = /^xa\s+(start|begin|end|commit|rollback)\s+(\S.*?)(?:\s+(one\s+phase))?\s*$/is;

const SIMPLE: readonly (readonly [RegExp, "begin" | "commit" | "rollback" | "ddl" | "rows"])[] = [
  [/^begin\b/i, "begin"], [/^commit\b/i, "commit"], [/^rollback\b/i, "rollback"],
  [/^(?:alter|create|drop|rename)\b/i, "ddl"], [/^(?:insert|update|delete|replace|load|with)\b/i, "rows"],
];

/** What the statement does. Of a long one only the beginning is looked at. */
export function statementOf(text: string): Statement {
  const query = withoutComments(text.slice(0, TEXT_CHARS_MAX));
  const truncate = /^truncate/i.test(query) ? TRUNCATE.exec(query.replace(/\/\*(?!M?!).*?\*\//gs, " ").replace(/--\s.*$|#.*$/gm, " ")) : null;
  if (truncate !== null) {
    const [, quoted, plain, secondQuoted, secondPlain] = truncate;
    const first = nameOf(quoted, plain)!;
    const second = nameOf(secondQuoted, secondPlain);
    return { kind: "truncate", database: second === undefined ? undefined : first, table: second ?? first };
  }
  const back = ROLLBACK_TO.exec(query);
  if (back !== null) return { kind: "rollback_to", name: nameOf(back[1], back[2])!.toLowerCase() };
  const savepoint = SAVEPOINT.exec(query);
  if (savepoint !== null) return { kind: "savepoint", name: nameOf(savepoint[1], savepoint[2])!.toLowerCase() };
  const xa = XA.exec(query);
  if (xa !== null) {
    const verb = xa[1]!.toLowerCase();
    return { kind: verb === "commit" ? "xa_commit" : verb === "rollback" ? "xa_rollback" : "xa_names", name: xa[2]!.replace(/\s/g, "").toLowerCase() };
  }
  return { kind: SIMPLE.find(([pattern]) => pattern.test(query))?.[1] ?? "other" };
}

function nameOf(quoted: string | undefined, plain: string | undefined): string | undefined {
  return quoted?.replaceAll("``", "`") ?? plain;
}

/** Without the comments in front. `/*!50000 … *\/` holds what is executed: its content stays. */
function withoutComments(text: string): string {
  let rest = text.trimStart();
  for (;;) {
    if (/^\/\*M?!/.test(rest)) rest = rest.replace(/^\/\*M?!\d*/, "").replace("*/", " ").trimStart();
    else if (rest.startsWith("/*")) rest = after(rest, "*/");
    else if (rest.startsWith("#") || /^--\s/.test(rest)) rest = after(rest, "\n");
    else return rest;
  }
}

function after(text: string, end: string): string {
  const at = text.indexOf(end);
  return at < 0 ? "" : text.slice(at + end.length).trimStart();
}
