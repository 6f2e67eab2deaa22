import type { Alert } from "../../sdk/alert.ts";
import type { Cell, Store, Table, TableChange } from "../../sdk/store.ts";

const MEMBERS: Table = {
  name: "notification_members",
  columns: [["exporter", "text"], ["dedup_key", "text"], ["incident", "text"], ["state", "text"], ["sent_at", "integer"], ["alert", "json"]],
  keyColumns: 2,
};

const INCIDENTS: Table = {
  name: "notification_groups",
  columns: [["exporter", "text"], ["key", "text"], ["kind", "text"], ["labels", "json"], ["rule", "text"], ["open", "integer"], ["sent_at", "integer"], ["waits_since", "integer"]],
  keyColumns: 2,
};

/** One row, once anything was written to the others. An earlier version told of alerts without them. */
const LEDGER: Table = { name: "notification_ledger", columns: [["version", "integer"]], keyColumns: 1 };

export const DISPATCH_TABLES: readonly Table[] = [MEMBERS, INCIDENTS, LEDGER];

/** What one exporter knows, or is to know, of one alert. */
export interface Member {
  readonly exporter: string;
  /** The alert's. */
  readonly key: string;
  /** As it was when it last changed. */
  alert: Alert;
  /** `waiting`: fires and was not told; `told`: it was; `ending`: it was, and its end is still to be told. */
  state: "waiting" | "told" | "ending";
  /** Undefined while it waits and nothing is decided, or it is suppressed. */
  incident: Incident | undefined;
  /** Told first together with all else that a new source brought. */
  firstSync: boolean;
  /** It has been counted as suppressed. */
  counted: boolean;
}

/** What the destination sees as one: an alert of its own, a group by labels, or those of a rule that a storm put together. */
export interface Incident {
  readonly exporter: string;
  readonly key: string;
  readonly kind: "single" | "group" | "storm";
  readonly labels: Readonly<Record<string, string>>;
  /** Of a storm: names the rule. */
  readonly rule: string;
  readonly members: Set<Member>;
  told: number;
  waiting: number;
  ending: number;
  /** The destination has been told of it. */
  open: boolean;
  sentAt: number;
  /** Since when something waits to be told; undefined: nothing does. */
  waitsSince: number | undefined;
  /** When it is told again though nothing changed; Infinity: never. Made anew after a restart. */
  repeatAt: number;
  /** Of a storm: until then alerts join it although there may be room again. */
  ragesUntil: number;
}

export function createIncident(parts: Pick<Incident, "exporter" | "key" | "kind"> & Partial<Incident>): Incident {
  return { labels: {}, rule: "", members: new Set(), told: 0, waiting: 0, ending: 0, open: false, sentAt: 0, waitsSince: undefined, repeatAt: Infinity, ragesUntil: 0, ...parts };
}

/** Puts a member into an incident, out of one, or into another state. */
export function place(member: Member, incident: Incident | undefined, state = member.state): void {
  if (member.incident !== undefined) member.incident[member.state]--;
  if (member.incident !== incident) {
    member.incident?.members.delete(member);
    incident?.members.add(member);
  }
  member.incident = incident;
  member.state = state;
  if (incident !== undefined) incident[state]++;
}

/** Rows of what changed since the last commit. Deletes come first in a commit: another member of the same key may follow one. */
export class Ledger {
  readonly #members = { puts: new Set<Member>(), deletes: new Set<Member>() };
  readonly #incidents = { puts: new Set<Incident>(), deletes: new Set<Incident>() };
  /** The store knows that there is a ledger. */
  isMarked = false;

  put(member: Member): void {
    this.#members.puts.add(member);
  }

  remove(member: Member): void {
    this.#members.puts.delete(member);
    this.#members.deletes.add(member);
  }

  /** A single one has no row: its member says all. */
  putIncident(incident: Incident): void {
    if (incident.kind !== "single") this.#incidents.puts.add(incident);
  }

  removeIncident(incident: Incident): void {
    if (incident.kind === "single") return;
    this.#incidents.puts.delete(incident);
    this.#incidents.deletes.add(incident);
  }

  drain(changes: TableChange[]): void {
    const before = changes.length;
    drainRows(MEMBERS, this.#members, ({ exporter, key, incident, state, alert }) => (
      [exporter, key, incident?.key ?? null, state, incident?.kind === "single" ? Math.round(incident.sentAt) : null, state === "ending" ? JSON.stringify(alert) : null]
    ), changes);
    drainRows(INCIDENTS, this.#incidents, ({ exporter, key, kind, labels, rule, open, sentAt, waitsSince }) => (
      [exporter, key, kind, JSON.stringify(labels), rule, open ? 1 : 0, Math.round(sentAt), waitsSince === undefined ? null : Math.round(waitsSince)]
    ), changes);
    if (this.isMarked || changes.length === before) return;
    this.isMarked = true;
    changes.push({ table: LEDGER, puts: [1], deletes: [] });
  }
}

interface Keyed {
  readonly exporter: string;
  readonly key: string;
}

function rowKey({ exporter, key }: Keyed): string {
  return `${exporter}\n${key}`;
}

function drainRows<T extends Keyed>(table: Table, rows: { readonly puts: Set<T>; readonly deletes: Set<T> }, cells: (row: T) => Cell[], changes: TableChange[]): void {
  if (rows.puts.size + rows.deletes.size === 0) return;
  const puts: Cell[] = [];
  const deletes: Cell[] = [];
  for (const row of rows.puts) for (const cell of cells(row)) puts.push(cell);
  for (const { exporter, key } of rows.deletes) deletes.push(exporter, key);
  rows.puts.clear();
  rows.deletes.clear();
  changes.push({ table, puts, deletes });
}

/**
 * What was known before the restart. `alertOf` gives an alert that fires, or was resolved a moment ago; a member whose alert
 * is gone without a trace is left out. `isNew`: an earlier version wrote this store, or nothing did.
 */
export async function loadMembers(store: Store, alertOf: (key: string) => Alert | undefined): Promise<{ readonly members: Member[]; readonly incidents: Incident[]; readonly isNew: boolean }> {
  const incidents = new Map<string, Incident>();
  await store.load(INCIDENTS, (cells) => {
    for (let i = 0; i < cells.length; i += INCIDENTS.columns.length) {
      const [exporter, key, kind, labels, rule, open, sentAt, waitsSince] = cells.slice(i, i + 8) as [string, string, Incident["kind"], string, string, number, number, number | null];
      const incident = createIncident({ exporter, key, kind, labels: JSON.parse(labels) as Record<string, string>, rule, open: open === 1, sentAt, waitsSince: waitsSince ?? undefined });
      incidents.set(rowKey(incident), incident);
    }
  });
  const members: Member[] = [];
  await store.load(MEMBERS, (cells) => {
    for (let i = 0; i < cells.length; i += MEMBERS.columns.length) {
      const [exporter, key, incidentKey, state, sentAt, json] = cells.slice(i, i + 6) as [string, string, string | null, Member["state"], number | null, string | null];
      const alert = json === null ? alertOf(key) : (JSON.parse(json) as Alert);
      if (alert === undefined) continue;
      const member: Member = { exporter, key, alert, state, incident: undefined, firstSync: false, counted: false };
      members.push(member);
      const known = incidentKey === null ? undefined : incidents.get(rowKey({ exporter, key: incidentKey }));
      if (incidentKey === null || (known === undefined && state === "waiting")) continue;
      const incident = known ?? createIncident({ exporter, key: incidentKey, kind: "single", open: true, sentAt: sentAt ?? 0 });
      if (known === undefined) incidents.set(rowKey(incident), incident);
      place(member, incident);
    }
  });
  let isNew = members.length + incidents.size === 0;
  await store.load(LEDGER, () => (isNew = false));
  return { members, incidents: [...incidents.values()], isNew };
}
