import type { Attributes, Json } from "../../src/sdk/observation.ts";

/** A point between two transactions of the binlog: the last GTID of each domain or server, else file and offset. */
export type Place = { readonly gtid: string } | { readonly file: string; readonly offset: number };

/** Where the receiver is: what the store keeps of it. */
export interface MysqlPosition {
  /** All transactions up to here were taken. */
  readonly place: Place;
  /** Of the one after it so many rows, by table: it is too large for one batch. `id`: its GTID, "" where it has none. */
  readonly transaction?: { readonly id: string; readonly rows: Readonly<Record<string, number>> };
  /** Changes of transactions that were prepared (XA) and neither committed nor rolled back, by the transaction's name. */
  readonly prepared?: Readonly<Record<string, readonly Prepared[]>>;
  /** Tables whose rows were read. Others that are configured are still to be read. */
  readonly tables: readonly string[];
  /** The table whose rows are being read, and the key of the last one. */
  readonly reading?: { readonly table: string; readonly after: readonly string[] };
  /** Time of the last change, ms: none after it gets an earlier one, or `track` would take it for late. */
  readonly time: number;
}

/** A change that waits for the second phase. */
export interface Prepared {
  readonly body: Json;
  readonly attributes: Attributes;
}

/** Out of the store, where only this module put it. Throws when it is of something else. */
export function positionFrom(json: Json | undefined): MysqlPosition | undefined {
  if (json === undefined || json === null) return undefined;
  const { place, tables, time } = json as unknown as Partial<MysqlPosition>;
  const known = typeof place === "object" && place !== null && ("gtid" in place ? typeof place.gtid === "string" : typeof place.file === "string");
  if (!known || !Array.isArray(tables) || typeof time !== "number") {
    throw new Error("the position in the store is not one of MySQL or MariaDB: give the receiver another id, or remove its position");
  }
  return json as unknown as MysqlPosition;
}

/** Follows the place through the binlog, transaction by transaction. */
export interface Progress {
  place(): Place;
  /** A transaction ended: its GTID, or where the file stands. */
  passed(gtid: string | undefined, file: string, offset: number): void;
  /** Whether all up to `target` was passed. */
  reached(target: Place): boolean;
}

/** MySQL's sets of GTIDs have arithmetic of their own, which the binlog's client brings along. */
export interface GtidSets {
  parse(text: string): { add(gtid: string): void; contains(gtid: string): boolean; toString(): string };
}

export function progressFrom(start: Place, mariadb: boolean, sets: GtidSets): Progress {
  if (!("gtid" in start)) return fileProgress(start);
  return mariadb ? domainProgress(start.gtid) : setProgress(start.gtid, sets);
}

/** MariaDB: within a domain the binlog's order is total, so that its last GTID says it all. */
function domainProgress(start: string): Progress {
  const domains = domainsOf(start);
  return {
    place: () => ({ gtid: [...domains.entries()].sort(([a], [b]) => Number(a) - Number(b)).map(([, gtid]) => gtid).join(",") }),
    passed(gtid) {
      if (gtid !== undefined) domains.set(gtid.slice(0, gtid.indexOf("-")), gtid);
    },
    reached(target) {
      if (!("gtid" in target)) return false;
      for (const [domain, gtid] of domainsOf(target.gtid)) {
        const here = domains.get(domain);
        if (here === undefined || (here !== gtid && sequence(here) < sequence(gtid))) return false;
      }
      return true;
    },
  };
}

function domainsOf(gtids: string): Map<string, string> {
  const parts = gtids.split(",").map((part) => part.trim()).filter((part) => part !== "");
  return new Map(parts.map((gtid) => [gtid.slice(0, gtid.indexOf("-")), gtid]));
}

function sequence(gtid: string): bigint {
  return BigInt(gtid.slice(gtid.lastIndexOf("-") + 1));
}

function setProgress(start: string, sets: GtidSets): Progress {
  const taken = sets.parse(start);
  return {
    place: () => ({ gtid: taken.toString() }),
    passed(gtid) {
      if (gtid !== undefined) taken.add(gtid);
    },
    reached(target) {
      if (!("gtid" in target)) return false;
      // The last of each interval: sets of one server have no holes that matter here.
      return target.gtid.split(",").every((part) => {
        const [uuid, ...intervals] = part.trim().split(":");
        return intervals.every((interval) => taken.contains(`${uuid}:${interval.slice(interval.indexOf("-") + 1)}`));
      });
    },
  };
}

function fileProgress(start: { readonly file: string; readonly offset: number }): Progress {
  let { file, offset } = start;
  return {
    place: () => ({ file, offset }),
    passed(_gtid, nextFile, nextOffset) {
      if (nextOffset > 0) [file, offset] = [nextFile, nextOffset];
    },
    reached: (target) => "file" in target && (fileNumber(file) > fileNumber(target.file) || (file === target.file && offset >= target.offset)),
  };
}

function fileNumber(file: string): number {
  return Number(/\.(\d+)$/.exec(file)?.[1] ?? 0);
}
